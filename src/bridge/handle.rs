//! Native objects held by JavaScript.

use std::{
    any::TypeId,
    cell::RefCell,
    collections::HashMap,
    ffi::c_void,
    hash::{BuildHasherDefault, Hasher},
    ops::Deref,
    ptr,
    sync::Arc,
};

use moorline_core::options::{OptionError, PlainValue};
use napi::{
    Env, Result, ValueType,
    bindgen_prelude::{FromNapiValue, ToNapiValue, TypeName, ValidateNapiValue},
    check_status, sys,
};

use super::failure::to_js_error;

/// A shared native object as an opaque JavaScript value; the garbage collector drops its share.
///
/// Users never need one. They may hold one all the same, and hand over another value in its place: that of another type,
/// or one of another addon, is refused.
pub(crate) struct Handle<T: 'static>(pub(crate) Arc<T>);

thread_local! {
    /// The objects that the handles of this thread's environments point at, with their types. An external value of another
    /// addon may point anywhere, so nothing behind a pointer is read before it is found here.
    static LIVE: RefCell<HashMap<usize, TypeId, BuildHasherDefault<AddressHasher>>> = RefCell::default();
}

/// Addresses are distinct enough: they need spreading and no defence.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }
    fn write_usize(&mut self, address: usize) {
        // Allocations are aligned, and the table looks at the highest and the lowest bits.
        self.0 = (self.0 ^ (address >> 4) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl<T> Handle<T> {
    /// A new object.
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// Borrows the object behind `value` for the running call, without touching its count.
    ///
    /// # Safety
    /// `env` and `value` belong to the running call.
    pub(super) unsafe fn borrow<'a>(
        env: sys::napi_env,
        value: sys::napi_value,
    ) -> Option<&'a Arc<T>> {
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: asked of Node-API itself, which checks that the value is an external.
        if unsafe { sys::napi_get_value_external(env, value, &raw mut data) }
            != sys::Status::napi_ok
        {
            return None;
        }
        let type_id = LIVE.with_borrow(|live| live.get(&data.addr()).copied())?;
        // SAFETY: it was made below, for the type that was asked for, and the external is alive during the call.
        (type_id == TypeId::of::<T>()).then(|| unsafe { &*data.cast::<Arc<T>>() })
    }
}

/// An external value as another addon might have made it: it points at nothing that may be read.
#[cfg(feature = "test-hooks")]
pub(crate) struct Foreign;

#[cfg(feature = "test-hooks")]
impl TypeName for Foreign {
    fn type_name() -> &'static str {
        "unknown"
    }
    fn value_type() -> ValueType {
        ValueType::External
    }
}

#[cfg(feature = "test-hooks")]
impl ToNapiValue for Foreign {
    unsafe fn to_napi_value(env: sys::napi_env, _: Self) -> Result<sys::napi_value> {
        let mut value = ptr::null_mut();
        // SAFETY: the pointer is kept by Node, and never followed.
        check_status!(unsafe {
            sys::napi_create_external(
                env,
                ptr::without_provenance_mut(16),
                None,
                ptr::null_mut(),
                &raw mut value,
            )
        })?;
        Ok(value)
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
            .ok_or_else(|| {
                let given = PlainValue::Other("something else");
                let error = OptionError::wrong_type("a handle", "one that moorline made", &given);
                to_js_error(&Env::from_raw(env), error)
            })
    }
}

impl<T> ToNapiValue for Handle<T> {
    unsafe fn to_napi_value(env: sys::napi_env, handle: Self) -> Result<sys::napi_value> {
        let payload = Box::into_raw(Box::new(handle.0));
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
        LIVE.with_borrow_mut(|live| live.insert(payload.addr(), TypeId::of::<T>()));
        Ok(value)
    }
}

/// Drops the share. Dropping it may close connections but cannot panic through to Node: whatever
/// happens in a destructor stays behind `catch_unwind`.
unsafe extern "C" fn finalize<T: 'static>(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    let _ = std::panic::catch_unwind(|| {
        // A thread that ends may have given its table up before its environment.
        let _ = LIVE.try_with(|live| live.borrow_mut().remove(&data.addr()));
        // SAFETY: called once by Node with the pointer given to `napi_create_external`.
        drop(unsafe { Box::from_raw(data.cast::<Arc<T>>()) });
    });
}
