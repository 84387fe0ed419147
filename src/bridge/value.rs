//! Plain values, both ways.

use std::{ffi::c_void, ptr};

use napi::{
    Error, Result, Status,
    bindgen_prelude::{Buffer, ToNapiValue},
    check_status, sys,
};

use super::{
    Handle,
    array::create_array,
    packed::{Packed, create_packed},
};

/// Below this size a copy into V8's heap is cheaper than an external buffer with its finalizer.
const EXTERNAL_BUFFER_BYTES: usize = 64 * 1024;

/// A value on its way to JavaScript.
///
/// Large structures cross as one JSON text, which `lib/` parses: V8 does that several times faster than
/// objects can be built from here.
pub(crate) enum Value {
    Undefined,
    Bool(bool),
    Number(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    /// An array of many small values.
    Packed(Box<dyn Packed>),
    /// A value that is made on the JavaScript thread, when its turn has come.
    Later(Box<dyn FnOnce() -> Value + Send>),
    /// Anything that needs the environment to be made, such as a [`Handle`].
    Made(Box<dyn FnOnce(sys::napi_env) -> Result<sys::napi_value> + Send>),
}

impl<T: Send + Sync + 'static> From<Handle<T>> for Value {
    fn from(handle: Handle<T>) -> Self {
        // SAFETY: run on the JavaScript thread, with the environment of the drain.
        Self::Made(Box::new(|env| unsafe {
            Handle::to_napi_value(env, handle)
        }))
    }
}

#[cfg(feature = "test-hooks")]
impl Value {
    /// A value in whose making something is thrown.
    pub(crate) fn thrown(message: String) -> Self {
        Self::Made(Box::new(move |env| {
            Err(napi::Env::from_raw(env)
                .throw_error(&message, None)
                .err()
                .unwrap_or_else(|| Error::new(Status::PendingException, String::new())))
        }))
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Undefined
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl ToNapiValue for Value {
    unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        let mut made = ptr::null_mut();
        // SAFETY: the caller vouches for `env`; every pointer is to memory that outlives its call.
        let status = unsafe {
            match value {
                Self::Undefined => sys::napi_get_undefined(env, &raw mut made),
                Self::Bool(flag) => sys::napi_get_boolean(env, flag, &raw mut made),
                Self::Number(number) => sys::napi_create_double(env, number, &raw mut made),
                Self::Text(text) => return made_string(env, text.as_bytes()),
                Self::Bytes(bytes) if bytes.len() >= EXTERNAL_BUFFER_BYTES => {
                    return Buffer::to_napi_value(env, bytes.into());
                }
                Self::Bytes(bytes) => {
                    let mut copy: *mut c_void = ptr::null_mut();
                    let data = bytes.as_ptr().cast();
                    sys::napi_create_buffer_copy(
                        env,
                        bytes.len(),
                        data,
                        &raw mut copy,
                        &raw mut made,
                    )
                }
                Self::List(items) => {
                    let made = items.into_iter().map(|item| Self::to_napi_value(env, item));
                    return create_array(env, &made.collect::<Result<Vec<_>>>()?);
                }
                Self::Packed(mut packed) => return create_packed(env, &mut *packed),
                Self::Later(value) => return Self::to_napi_value(env, value()),
                Self::Made(build) => return build(env),
            }
        };
        check_status!(status)?;
        Ok(made)
    }
}

/// A string, or the error that says that it is too long.
pub(super) unsafe fn made_string(env: sys::napi_env, text: &[u8]) -> Result<sys::napi_value> {
    let mut made = ptr::null_mut();
    // SAFETY: as for this function.
    let status = unsafe { create_text(env, text, &raw mut made) };
    if status == sys::Status::napi_ok {
        return Ok(made);
    }
    let length = text.len();
    let reason = format!("a text of {length} bytes is longer than a JavaScript string can be");
    Err(Error::new(Status::StringExpected, reason))
}

/// A string; plain ASCII takes the way on which V8 has nothing to decode.
pub(super) unsafe fn create_string(
    env: sys::napi_env,
    text: &str,
    made: *mut sys::napi_value,
) -> sys::napi_status {
    // SAFETY: as for this function.
    unsafe { create_text(env, text.as_bytes(), made) }
}

/// A string from bytes of UTF-8.
pub(super) unsafe fn create_text(
    env: sys::napi_env,
    text: &[u8],
    made: *mut sys::napi_value,
) -> sys::napi_status {
    let (data, length) = (text.as_ptr().cast(), text.len() as isize);
    // SAFETY: `data` and `length` describe `text`, which is copied during the call.
    unsafe {
        if text.is_ascii() {
            sys::napi_create_string_latin1(env, data, length, made)
        } else {
            sys::napi_create_string_utf8(env, data, length, made)
        }
    }
}
