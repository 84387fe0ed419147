//! Arrays on their way to JavaScript.

use std::ptr;

use napi::{Result, check_status, sys};

use super::{environment::environment_state, value::create_string};

/// The most elements that are handed over as the arguments of a call, which lie on V8's stack.
const MAX_ARGUMENTS: usize = 4096;

/// An array of `elements`.
///
/// They are not set one by one: where `Array.prototype` was given a setter of an index, setting would call that, which
/// may throw, and keeps the element. A function of `lib/` that gives back its arguments makes the array at once.
///
/// # Safety
/// On the JavaScript thread of `env`, within the handle scope of the elements.
pub(super) unsafe fn create_array(
    env: sys::napi_env,
    elements: &[sys::napi_value],
) -> Result<sys::napi_value> {
    // SAFETY: as for this function; the pointers are to locals.
    unsafe {
        let state = environment_state(env)?;
        if elements.len() <= MAX_ARGUMENTS
            && let Some(array) = state.lib_functions.list(env, elements)?
        {
            return Ok(array);
        }
        let mut array = ptr::null_mut();
        check_status!(sys::napi_create_array_with_length(
            env,
            elements.len(),
            &raw mut array
        ))?;
        for (index, value) in elements.iter().enumerate() {
            define(env, array, index, *value)?;
        }
        Ok(array)
    }
}

unsafe fn define(
    env: sys::napi_env,
    array: sys::napi_value,
    index: usize,
    value: sys::napi_value,
) -> Result<()> {
    let mut name = ptr::null_mut();
    // SAFETY: the name and the descriptor live during their calls.
    unsafe {
        check_status!(create_string(env, &index.to_string(), &raw mut name))?;
        let element = sys::napi_property_descriptor {
            utf8name: ptr::null(),
            name,
            method: None,
            getter: None,
            setter: None,
            value,
            attributes: sys::PropertyAttributes::writable
                | sys::PropertyAttributes::enumerable
                | sys::PropertyAttributes::configurable,
            data: ptr::null_mut(),
        };
        check_status!(sys::napi_define_properties(
            env,
            array,
            1,
            &raw const element
        ))
    }
}
