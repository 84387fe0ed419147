//! The functions of `lib/` that the bridge calls: they make errors and arrays, and report losses.

use std::{cell::Cell, ptr};

use moorline_core::error::Failure;
use napi::{
    Env, Error, Result, Status, ValueType,
    bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue},
    check_status, sys,
};

use super::{environment::environment_state, failure::failure_json, value::create_string};

/// The functions of `lib/`, as long as its environment lives; null until they are given.
pub(super) struct LibFunctions {
    to_error: Cell<sys::napi_ref>,
    on_lost: Cell<sys::napi_ref>,
    to_list: Cell<sys::napi_ref>,
}

impl Default for LibFunctions {
    fn default() -> Self {
        Self {
            to_error: Cell::new(ptr::null_mut()),
            on_lost: Cell::new(ptr::null_mut()),
            to_list: Cell::new(ptr::null_mut()),
        }
    }
}

/// A function that stays for the life of the environment, which frees the reference.
pub(crate) struct LibFunction(sys::napi_ref);

impl TypeName for LibFunction {
    fn type_name() -> &'static str {
        "function"
    }
    fn value_type() -> ValueType {
        ValueType::Function
    }
}

impl ValidateNapiValue for LibFunction {}

impl FromNapiValue for LibFunction {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let (mut kind, mut reference) = (0, ptr::null_mut());
        // SAFETY: napi passes the running call's environment and one of its arguments.
        unsafe {
            check_status!(sys::napi_typeof(env, value, &raw mut kind))?;
            if kind != sys::ValueType::napi_function {
                return Err(Error::new(Status::FunctionExpected, "not a function"));
            }
            check_status!(sys::napi_create_reference(
                env,
                value,
                1,
                &raw mut reference
            ))?;
        }
        Ok(Self(reference))
    }
}

/// Takes over the functions that make an error of a record, receive the reason why calls of a listener were lost, and
/// give back their arguments, in place of those of another copy of `lib/`.
#[napi_derive::napi(catch_unwind)]
pub fn bridge_attach(
    env: Env,
    #[napi(ts_arg_type = "(record: string) => unknown")] to_error: LibFunction,
    #[napi(ts_arg_type = "(reason: string) => void")] on_lost: LibFunction,
    #[napi(ts_arg_type = "(...items: unknown[]) => unknown[]")] to_list: LibFunction,
) -> Result<()> {
    // SAFETY: on the JavaScript thread, in a running call.
    let functions = unsafe { &environment_state(env.raw())?.lib_functions };
    for replaced in [
        functions.to_error.replace(to_error.0),
        functions.on_lost.replace(on_lost.0),
        functions.to_list.replace(to_list.0),
    ] {
        if !replaced.is_null() {
            // SAFETY: a reference of this environment that has no user any more. Kept, it would keep its realm alive.
            unsafe { sys::napi_delete_reference(env.raw(), replaced) };
        }
    }
    Ok(())
}

/// Throws the error of a defect out of a hand-written function: nothing of `lib/` is around it.
///
/// # Safety
/// On the JavaScript thread of `env`, in a running call.
pub(super) unsafe fn throw_defect(env: sys::napi_env) {
    // SAFETY: as for this function.
    unsafe {
        let made = environment_state(env).ok().and_then(|state| {
            ask(
                env,
                state.lib_functions.to_error.get(),
                &failure_json(Failure::defect()),
            )
        });
        if let Some(error) = made {
            sys::napi_throw(env, error);
        }
    }
}

/// Reports that calls of a listener were lost.
///
/// # Safety
/// On the JavaScript thread of `env`, within a handle scope.
pub(super) unsafe fn report_lost(env: sys::napi_env, reason: &str) {
    // SAFETY: as for this function.
    unsafe {
        let reported = environment_state(env)
            .ok()
            .and_then(|state| ask(env, state.lib_functions.on_lost.get(), reason));
        if reported.is_none() {
            // A logger that throws has no caller to throw to.
            take_exception(env);
        }
    }
}

impl LibFunctions {
    /// An array of `items`; `None` before `lib/` has attached itself.
    ///
    /// # Safety
    /// On the JavaScript thread of `env`, within a handle scope.
    pub(super) unsafe fn list(
        &self,
        env: sys::napi_env,
        items: &[sys::napi_value],
    ) -> Result<Option<sys::napi_value>> {
        // SAFETY: as for this function.
        unsafe { call(env, self.to_list.get(), items) }
    }
}

/// Calls one of the functions with a text; `None` when it cannot be called or throws, which leaves the exception pending.
unsafe fn ask(env: sys::napi_env, function: sys::napi_ref, text: &str) -> Option<sys::napi_value> {
    let mut argument = ptr::null_mut();
    // SAFETY: the pointers are to locals.
    unsafe {
        if create_string(env, text, &raw mut argument) != sys::Status::napi_ok {
            return None;
        }
        call(env, function, &[argument]).ok().flatten()
    }
}

unsafe fn call(
    env: sys::napi_env,
    function: sys::napi_ref,
    arguments: &[sys::napi_value],
) -> Result<Option<sys::napi_value>> {
    if function.is_null() {
        return Ok(None);
    }
    let (mut called, mut global, mut answer) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: the reference lives as long as the environment; the pointers are to locals.
    unsafe {
        check_status!(sys::napi_get_reference_value(
            env,
            function,
            &raw mut called
        ))?;
        check_status!(sys::napi_get_global(env, &raw mut global))?;
        check_status!(sys::napi_call_function(
            env,
            global,
            called,
            arguments.len(),
            arguments.as_ptr(),
            &raw mut answer
        ))?;
    }
    Ok(Some(answer))
}

/// The exception that is pending, which is so no longer.
///
/// # Safety
/// On the JavaScript thread of `env`, within a handle scope.
pub(super) unsafe fn take_exception(env: sys::napi_env) -> Option<sys::napi_value> {
    let (mut is, mut thrown) = (false, ptr::null_mut());
    // SAFETY: the pointers are to locals.
    unsafe {
        let pending =
            sys::napi_is_exception_pending(env, &raw mut is) == sys::Status::napi_ok && is;
        let taken = pending
            && sys::napi_get_and_clear_last_exception(env, &raw mut thrown) == sys::Status::napi_ok;
        taken.then_some(thrown)
    }
}
