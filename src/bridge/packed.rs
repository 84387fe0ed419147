//! Many small values as one array, without an allocation for each, and with one crossing.

use std::ptr;

use napi::{Result, bindgen_prelude::ToNapiValue, check_status, sys};

use super::{
    array::create_array,
    value::{Value, made_string},
};

/// One element of a [`Packed`].
pub(crate) enum Element<'a> {
    /// Bytes of UTF-8.
    Text(&'a [u8]),
    Integer(i32),
    Value(Value),
}

/// Something that becomes a JavaScript array, element by element, on the JavaScript thread.
pub(crate) trait Packed: Send {
    /// The number of elements.
    fn len(&self) -> usize;
    /// The next one; asked for [`Self::len`] times.
    fn next(&mut self) -> Element<'_>;
}

/// # Safety
/// On the JavaScript thread of `env`, within a handle scope.
pub(super) unsafe fn create_packed(
    env: sys::napi_env,
    packed: &mut dyn Packed,
) -> Result<sys::napi_value> {
    // SAFETY: the caller vouches for `env`; every pointer is to memory that outlives its call.
    unsafe {
        let length = packed.len();
        let mut elements = Vec::with_capacity(length);
        for _ in 0..length {
            let mut made = ptr::null_mut();
            match packed.next() {
                Element::Text(text) => made = made_string(env, text)?,
                Element::Integer(number) => {
                    check_status!(sys::napi_create_int32(env, number, &raw mut made))?;
                }
                Element::Value(value) => made = Value::to_napi_value(env, value)?,
            }
            elements.push(made);
        }
        create_array(env, &elements)
    }
}
