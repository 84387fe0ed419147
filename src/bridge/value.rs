//! Plain values, both ways.

use std::{ffi::c_void, ptr, slice};

use moorline_core::options::Plain;
use napi::{
    Error, Result, Status, ValueType,
    bindgen_prelude::{Buffer, FromNapiValue, ToNapiValue, TypeName, ValidateNapiValue},
    check_status, sys,
};

use super::Handle;

/// Below this size a copy into V8's heap is cheaper than an external buffer with its finalizer.
const EXTERNAL_BUFFER_BYTES: usize = 64 * 1024;
/// Options and arguments are shallow; anything deeper is a cycle or a mistake.
const MAX_DEPTH: usize = 16;

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
    /// What is known only on the JavaScript thread, when it has come to this value.
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
                Self::Text(text) => create_string(env, &text, &raw mut made),
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
                    check_status!(sys::napi_create_array_with_length(
                        env,
                        items.len(),
                        &raw mut made
                    ))?;
                    for (index, item) in items.into_iter().enumerate() {
                        let item = Self::to_napi_value(env, item)?;
                        check_status!(sys::napi_set_element(env, made, index as u32, item))?;
                    }
                    sys::Status::napi_ok
                }
                Self::Later(value) => return Self::to_napi_value(env, value()),
                Self::Made(build) => return build(env),
            }
        };
        check_status!(status)?;
        Ok(made)
    }
}

/// A string; plain ASCII takes the way on which V8 has nothing to decode.
pub(super) unsafe fn create_string(
    env: sys::napi_env,
    text: &str,
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

/// An argument taken over whole as a [`Plain`] value.
pub(crate) struct Given(pub(crate) Plain);

impl TypeName for Given {
    fn type_name() -> &'static str {
        "unknown"
    }
    fn value_type() -> ValueType {
        ValueType::Unknown
    }
}

impl ValidateNapiValue for Given {}

impl FromNapiValue for Given {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        // SAFETY: napi passes the running call's environment and one of its arguments.
        unsafe { read(env, value, 0) }.map(Self)
    }
}

unsafe fn read(env: sys::napi_env, value: sys::napi_value, depth: usize) -> Result<Plain> {
    let mut kind = 0;
    // SAFETY (this function): all pointers are to locals that outlive their calls.
    unsafe {
        check_status!(sys::napi_typeof(env, value, &raw mut kind))?;
        Ok(match kind {
            sys::ValueType::napi_undefined => Plain::Undefined,
            sys::ValueType::napi_null => Plain::Null,
            sys::ValueType::napi_boolean => Plain::Bool(bool::from_napi_value(env, value)?),
            sys::ValueType::napi_number => Plain::Number(f64::from_napi_value(env, value)?),
            sys::ValueType::napi_string => Plain::Text(String::from_napi_value(env, value)?),
            sys::ValueType::napi_bigint => read_bigint(env, value)?,
            sys::ValueType::napi_object => read_object(env, value, depth)?,
            sys::ValueType::napi_function => Plain::Other("a function"),
            sys::ValueType::napi_symbol => Plain::Other("a symbol"),
            _ => Plain::Other("an external value"),
        })
    }
}

unsafe fn read_bigint(env: sys::napi_env, value: sys::napi_value) -> Result<Plain> {
    let (mut integer, mut lossless) = (0_i64, false);
    // SAFETY: out pointers to locals; `value` is a bigint.
    unsafe {
        check_status!(sys::napi_get_value_bigint_int64(
            env,
            value,
            &raw mut integer,
            &raw mut lossless
        ))?;
        if lossless {
            return Ok(Plain::Integer(integer));
        }
        let mut text = ptr::null_mut();
        check_status!(sys::napi_coerce_to_string(env, value, &raw mut text))?;
        Ok(Plain::BigInteger(String::from_napi_value(env, text)?))
    }
}

unsafe fn read_object(env: sys::napi_env, value: sys::napi_value, depth: usize) -> Result<Plain> {
    if depth >= MAX_DEPTH {
        return Err(Error::new(
            Status::InvalidArg,
            "the value is nested too deeply or refers to itself",
        ));
    }
    // SAFETY (this function): `value` is an object, which every probe below accepts.
    unsafe {
        let mut is = false;
        check_status!(sys::napi_is_array(env, value, &raw mut is))?;
        if is {
            return read_list(env, value, depth);
        }
        check_status!(sys::napi_is_date(env, value, &raw mut is))?;
        if is {
            let mut ms = 0.0;
            check_status!(sys::napi_get_date_value(env, value, &raw mut ms))?;
            return Ok(Plain::Date(ms));
        }
        if let Some(bytes) = view_bytes(env, value)? {
            return Ok(Plain::Bytes(bytes.to_vec()));
        }
        read_map(env, value, depth)
    }
}

unsafe fn read_list(env: sys::napi_env, value: sys::napi_value, depth: usize) -> Result<Plain> {
    let mut length = 0;
    // SAFETY: `value` is an array.
    unsafe {
        check_status!(sys::napi_get_array_length(env, value, &raw mut length))?;
        let mut items = Vec::with_capacity(length as usize);
        for index in 0..length {
            let mut item = ptr::null_mut();
            check_status!(sys::napi_get_element(env, value, index, &raw mut item))?;
            items.push(read(env, item, depth + 1)?);
        }
        Ok(Plain::List(items))
    }
}

unsafe fn read_map(env: sys::napi_env, value: sys::napi_value, depth: usize) -> Result<Plain> {
    let (mut keys, mut length) = (ptr::null_mut(), 0);
    // SAFETY: `value` is an object.
    unsafe {
        check_status!(sys::napi_get_all_property_names(
            env,
            value,
            sys::KeyCollectionMode::own_only,
            sys::KeyFilter::enumerable | sys::KeyFilter::skip_symbols,
            sys::KeyConversion::numbers_to_strings,
            &raw mut keys
        ))?;
        check_status!(sys::napi_get_array_length(env, keys, &raw mut length))?;
        let mut entries = Vec::with_capacity(length as usize);
        for index in 0..length {
            let (mut key, mut member) = (ptr::null_mut(), ptr::null_mut());
            check_status!(sys::napi_get_element(env, keys, index, &raw mut key))?;
            check_status!(sys::napi_get_property(env, value, key, &raw mut member))?;
            let member = read(env, member, depth + 1)?;
            if member != Plain::Undefined {
                entries.push((String::from_napi_value(env, key)?, member));
            }
        }
        Ok(Plain::Map(entries))
    }
}

/// The bytes behind an `ArrayBuffer`, a typed array, a `Buffer` or a `DataView`, borrowed for the call.
///
/// # Safety
/// The slice must not be kept after the call, nor while JavaScript runs.
pub(super) unsafe fn view_bytes<'a>(
    env: sys::napi_env,
    value: sys::napi_value,
) -> Result<Option<&'a [u8]>> {
    let (mut is, mut data, mut length) = (false, ptr::null_mut::<c_void>(), 0_usize);
    // SAFETY: each getter is asked only after its probe said yes.
    unsafe {
        check_status!(sys::napi_is_typedarray(env, value, &raw mut is))?;
        if is {
            let (mut kind, mut buffer, mut offset) = (0, ptr::null_mut(), 0);
            check_status!(sys::napi_get_typedarray_info(
                env,
                value,
                &raw mut kind,
                &raw mut length,
                &raw mut data,
                &raw mut buffer,
                &raw mut offset
            ))?;
            length *= element_bytes(kind);
            return Ok(Some(as_slice(data, length)));
        }
        check_status!(sys::napi_is_arraybuffer(env, value, &raw mut is))?;
        if is {
            check_status!(sys::napi_get_arraybuffer_info(
                env,
                value,
                &raw mut data,
                &raw mut length
            ))?;
            return Ok(Some(as_slice(data, length)));
        }
        check_status!(sys::napi_is_dataview(env, value, &raw mut is))?;
        if is {
            let (mut buffer, mut offset) = (ptr::null_mut(), 0);
            check_status!(sys::napi_get_dataview_info(
                env,
                value,
                &raw mut length,
                &raw mut data,
                &raw mut buffer,
                &raw mut offset
            ))?;
            return Ok(Some(as_slice(data, length)));
        }
    }
    Ok(None)
}

fn element_bytes(kind: sys::napi_typedarray_type) -> usize {
    match kind {
        sys::TypedarrayType::int16_array | sys::TypedarrayType::uint16_array => 2,
        sys::TypedarrayType::int32_array
        | sys::TypedarrayType::uint32_array
        | sys::TypedarrayType::float32_array => 4,
        sys::TypedarrayType::float64_array
        | sys::TypedarrayType::bigint64_array
        | sys::TypedarrayType::biguint64_array => 8,
        _ => 1,
    }
}

/// An empty view may have a null pointer, which a slice must not.
unsafe fn as_slice<'a>(data: *const c_void, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: Node-API reported `length` bytes at `data`, alive during the call.
    unsafe { slice::from_raw_parts(data.cast(), length) }
}
