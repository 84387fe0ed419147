//! Native objects held by JavaScript.

use std::{any::TypeId, ffi::c_void, ops::Deref, ptr, sync::Arc};

use napi::{
    Error, Result, Status, ValueType,
    bindgen_prelude::{FromNapiValue, ToNapiValue, TypeName, ValidateNapiValue},
    check_status, sys,
};

/// A shared native object as an opaque JavaScript value; the garbage collector drops its share.
///
/// Only `lib/` holds handles, users never do. A handle of another type is refused by its type id.
pub(crate) struct Handle<T: 'static>(pub(crate) Arc<T>);

/// What an external value points at. `repr(C)`, so that the type can be read before the value is touched.
#[repr(C)]
struct Payload<T> {
    type_id: TypeId,
    value: Arc<T>,
}

impl<T> Handle<T> {
    /// A new object.
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// Borrows the object behind `value` for the running call, without touching its count.
    ///
    /// # Safety
    /// `env` and `value` belong to the running call, and `value` is no foreign external.
    pub(super) unsafe fn borrow<'a>(
        env: sys::napi_env,
        value: sys::napi_value,
    ) -> Option<&'a Arc<T>> {
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: asked of Node-API itself, which checks that the value is an external.
        if unsafe { sys::napi_get_value_external(env, value, &raw mut data) }
            != sys::Status::napi_ok
            || data.is_null()
        {
            return None;
        }
        // SAFETY: every external `lib/` can hold was made below, so `data` is a `Payload` of some type;
        // its first field tells which.
        let type_id = unsafe { *data.cast::<TypeId>() };
        // SAFETY: the type is the one asked for, and the external is alive during the call.
        (type_id == TypeId::of::<T>()).then(|| unsafe { &(*data.cast::<Payload<T>>()).value })
    }
}

impl<T> Deref for Handle<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> TypeName for Handle<T> {
    fn type_name() -> &'static str {
        "Handle"
    }
    fn value_type() -> ValueType {
        ValueType::External
    }
}

impl<T> ValidateNapiValue for Handle<T> {}

impl<T> FromNapiValue for Handle<T> {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        // SAFETY: napi passes the running call's environment and one of its arguments.
        unsafe { Self::borrow(env, value) }
            .map(|shared| Self(Arc::clone(shared)))
            .ok_or_else(|| Error::new(Status::InvalidArg, "not a handle of this type"))
    }
}

impl<T> ToNapiValue for Handle<T> {
    unsafe fn to_napi_value(env: sys::napi_env, handle: Self) -> Result<sys::napi_value> {
        let payload = Box::into_raw(Box::new(Payload {
            type_id: TypeId::of::<T>(),
            value: handle.0,
        }));
        let mut value = ptr::null_mut();
        // SAFETY: the payload stays valid until `finalize`, which is the only one to free it.
        let status = unsafe {
            sys::napi_create_external(
                env,
                payload.cast(),
                Some(finalize::<T>),
                ptr::null_mut(),
                &raw mut value,
            )
        };
        if status != sys::Status::napi_ok {
            // SAFETY: Node did not take the payload over.
            drop(unsafe { Box::from_raw(payload) });
        }
        check_status!(status)?;
        Ok(value)
    }
}

/// Gives the share back. Dropping it may close connections but cannot panic through to Node: whatever
/// happens in a destructor stays behind `catch_unwind`.
unsafe extern "C" fn finalize<T: 'static>(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    let _ = std::panic::catch_unwind(|| {
        // SAFETY: called once by Node with the pointer given to `napi_create_external`.
        drop(unsafe { Box::from_raw(data.cast::<Payload<T>>()) });
    });
}
