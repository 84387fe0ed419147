//! The bytes behind views and buffers, and the text of strings.

use std::{ffi::c_void, ptr, slice};

use moorline_core::options::{CopyBudget, Excess};
use napi::{Result, check_status, sys};

/// The kind of a typed array before Node-API has set it: a version that does not know a kind sets nothing.
const UNKNOWN_KIND: sys::napi_typedarray_type = -1;
/// `Float16Array`, in versions of Node-API that have it.
const FLOAT16_ARRAY: sys::napi_typedarray_type = 11;
/// Text up to this length is read in one call.
const SHORT_TEXT_BYTES: usize = 64;

/// The bytes behind an `ArrayBuffer`, a typed array, a `Buffer` or a `DataView`, borrowed for the call.
///
/// Where they are those of a `SharedArrayBuffer`, another thread may write them while they are read here. Neither Rust
/// nor Node-API has another way to access such bytes. What is read then is what either
/// thread has written, byte by byte, as it is in JavaScript; so nothing that was checked about the bytes (such as
/// that they are UTF-8) holds for a second read. To be kept, they are copied first.
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
            return typed_bytes(env, value);
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

/// A typed array as Node-API describes it.
struct TypedArrayInfo {
    kind: sys::napi_typedarray_type,
    length: usize,
    data: *mut c_void,
    buffer: sys::napi_value,
    offset: usize,
}

unsafe fn describe(env: sys::napi_env, value: sys::napi_value) -> Result<TypedArrayInfo> {
    let mut info = TypedArrayInfo {
        kind: UNKNOWN_KIND,
        length: 0,
        data: ptr::null_mut(),
        buffer: ptr::null_mut(),
        offset: 0,
    };
    // SAFETY: `value` is a typed array.
    check_status!(unsafe {
        sys::napi_get_typedarray_info(
            env,
            value,
            &raw mut info.kind,
            &raw mut info.length,
            &raw mut info.data,
            &raw mut info.buffer,
            &raw mut info.offset,
        )
    })?;
    Ok(info)
}

/// The bytes of a typed array; `None` where the size of its elements is unknown.
unsafe fn typed_bytes<'a>(env: sys::napi_env, value: sys::napi_value) -> Result<Option<&'a [u8]>> {
    // SAFETY: `value` is a typed array; no JavaScript runs between the last description and the slice.
    unsafe {
        let info = describe(env, value)?;
        if let Some(size) = element_bytes(info.kind) {
            return Ok(Some(as_slice(info.data, info.length * size)));
        }
        // Node 24 has `Float16Array`, but its Node-API has no constant for it.
        let size = claimed_element_bytes(env, value)?;
        let (info, mut room) = (describe(env, value)?, 0);
        let known =
            sys::napi_get_arraybuffer_info(env, info.buffer, ptr::null_mut(), &raw mut room)
                == sys::Status::napi_ok;
        let length = info.length.saturating_mul(size);
        let fits = known && size > 0 && info.offset.saturating_add(length) <= room;
        Ok(fits.then(|| as_slice(info.data, length)))
    }
}

const fn element_bytes(kind: sys::napi_typedarray_type) -> Option<usize> {
    Some(match kind {
        sys::TypedarrayType::int8_array
        | sys::TypedarrayType::uint8_array
        | sys::TypedarrayType::uint8_clamped_array => 1,
        sys::TypedarrayType::int16_array | sys::TypedarrayType::uint16_array | FLOAT16_ARRAY => 2,
        sys::TypedarrayType::int32_array
        | sys::TypedarrayType::uint32_array
        | sys::TypedarrayType::float32_array => 4,
        sys::TypedarrayType::float64_array
        | sys::TypedarrayType::bigint64_array
        | sys::TypedarrayType::biguint64_array => 8,
        _ => return None,
    })
}

/// The array's own `BYTES_PER_ELEMENT`, which JavaScript can change: the caller checks it against the buffer. 0 where
/// it is not a valid size.
unsafe fn claimed_element_bytes(env: sys::napi_env, value: sys::napi_value) -> Result<usize> {
    let (mut claimed, mut size) = (ptr::null_mut(), 0);
    // SAFETY: the name ends with NUL; the pointers are to locals.
    unsafe {
        check_status!(sys::napi_get_named_property(
            env,
            value,
            c"BYTES_PER_ELEMENT".as_ptr(),
            &raw mut claimed
        ))?;
        let is_number =
            sys::napi_get_value_uint32(env, claimed, &raw mut size) == sys::Status::napi_ok;
        Ok(if is_number { size as usize } else { 0 })
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

/// A copy of bytes, within the budget.
pub(super) fn copy_bytes(
    bytes: &[u8],
    budget: &mut CopyBudget,
) -> std::result::Result<Vec<u8>, Excess> {
    budget.take_bytes(bytes.len())?;
    let mut copy = reserve(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// A buffer for `length` bytes; an error instead of an abort where the system has no memory for it.
fn reserve(length: usize) -> std::result::Result<Vec<u8>, Excess> {
    let mut room = Vec::new();
    room.try_reserve_exact(length)
        .map_err(|_| Excess::of_memory(length))?;
    Ok(room)
}

/// The text of a string, within the budget.
///
/// # Safety
/// `value` is a string of the running call.
pub(super) unsafe fn read_text(
    env: sys::napi_env,
    value: sys::napi_value,
    budget: &mut CopyBudget,
) -> Result<std::result::Result<String, Excess>> {
    let (mut short, mut length) = ([0_u8; SHORT_TEXT_BYTES], 0);
    // SAFETY: Node writes at most as many bytes as it is told, the closing NUL included.
    unsafe {
        check_status!(sys::napi_get_value_string_utf8(
            env,
            value,
            short.as_mut_ptr().cast(),
            SHORT_TEXT_BYTES,
            &raw mut length
        ))?;
        // A result that nearly fills the room may have been cut: a character takes up to four bytes.
        if length + 4 < SHORT_TEXT_BYTES {
            let text = budget.take_bytes(length).map(|()| &short[..length]);
            return Ok(text.map(|text| String::from_utf8_lossy(text).into_owned()));
        }
        check_status!(sys::napi_get_value_string_utf8(
            env,
            value,
            ptr::null_mut(),
            0,
            &raw mut length
        ))?;
        let room = budget.take_bytes(length).and_then(|()| reserve(length + 1));
        let mut text = match room {
            Ok(room) => room,
            Err(excess) => return Ok(Err(excess)),
        };
        check_status!(sys::napi_get_value_string_utf8(
            env,
            value,
            text.as_mut_ptr().cast(),
            length + 1,
            &raw mut length
        ))?;
        text.set_len(length);
        // Node-API gives valid UTF-8; where it did not, what is wrong is replaced.
        Ok(Ok(String::from_utf8(text).unwrap_or_else(|wrong| {
            String::from_utf8_lossy(wrong.as_bytes()).into_owned()
        })))
    }
}
