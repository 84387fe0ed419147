//! JavaScript functions that native code calls later.

use std::{
    ptr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use napi::{
    Error, Result, Status, ValueType,
    bindgen_prelude::{FromNapiValue, ToNapiValue, TypeName, ValidateNapiValue},
    check_status, sys,
};

use super::{
    environment::environment_state,
    lib_functions::{report_lost, take_exception},
    queue::{CompletionQueue, Item},
    value::Value,
};

/// News that may wait for the JavaScript thread; beyond it they are dropped, counted and reported.
const MAX_QUEUED: u32 = 1024;

/// A JavaScript function of one argument, callable from any thread. Calls are delivered in order on the
/// function's own thread, do not keep the process alive, and return nothing.
#[derive(Clone)]
pub(crate) struct Callback {
    completions: Arc<CompletionQueue>,
    function: Arc<FunctionRef>,
}

/// The reference behind a [`Callback`]; the last owner gives it back, on the JavaScript thread.
pub(super) struct FunctionRef {
    reference: sys::napi_ref,
    completions: Arc<CompletionQueue>,
    queued: AtomicU32,
    dropped: AtomicU32,
    /// The number of dropped ones that have been reported.
    reported: AtomicU32,
}

// SAFETY: the reference is only carried by other threads; it is used and deleted in the drain of its queue.
unsafe impl Send for FunctionRef {}
unsafe impl Sync for FunctionRef {}

impl Callback {
    /// Queues one call with news; it is dropped when too many wait already.
    pub(crate) fn deliver(&self, argument: impl Into<Value>) {
        if self.function.queued.load(Ordering::Relaxed) >= MAX_QUEUED {
            self.function.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.ask(argument);
    }

    /// Queues one call that asks for something, however many wait: the asking side has a bound.
    pub(crate) fn ask(&self, argument: impl Into<Value>) {
        self.function.queued.fetch_add(1, Ordering::Relaxed);
        let call = Item::Call(Arc::clone(&self.function), argument.into());
        self.completions.push(call);
    }

    /// The number of calls that were dropped because the JavaScript thread did not keep up.
    #[cfg(feature = "test-hooks")]
    pub(crate) fn dropped(&self) -> u32 {
        self.function.dropped.load(Ordering::Relaxed)
    }
}

impl FunctionRef {
    /// # Safety
    /// On the JavaScript thread of `env`, within a handle scope.
    pub(super) unsafe fn call(&self, env: sys::napi_env, argument: Value) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
        let (mut function, mut global, mut result) =
            (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: the reference lives as long as `self`; Node wants a real receiver.
        unsafe {
            self.report_dropped(env);
            let argument = match Value::to_napi_value(env, argument) {
                Ok(argument) => argument,
                Err(error) => {
                    take_exception(env);
                    return report_lost(env, &error.reason);
                }
            };
            sys::napi_get_reference_value(env, self.reference, &raw mut function);
            sys::napi_get_global(env, &raw mut global);
            let status = sys::napi_call_function(
                env,
                global,
                function,
                1,
                &raw const argument,
                &raw mut result,
            );
            if status == sys::Status::napi_pending_exception {
                // A listener's throw belongs to its owner, like one out of an event emitter.
                let mut thrown = ptr::null_mut();
                sys::napi_get_and_clear_last_exception(env, &raw mut thrown);
                sys::napi_fatal_exception(env, thrown);
            }
        }
    }
}

impl FunctionRef {
    /// # Safety
    /// The same as for [`Self::call`].
    unsafe fn report_dropped(&self, env: sys::napi_env) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        let new = dropped.wrapping_sub(self.reported.swap(dropped, Ordering::Relaxed));
        if new > 0 {
            let reason =
                format!("{new} calls were dropped because the JavaScript thread did not keep up");
            // SAFETY: as for this function.
            unsafe { report_lost(env, &reason) };
        }
    }
}

impl Drop for FunctionRef {
    fn drop(&mut self) {
        self.completions.push(Item::Forget(self.reference));
    }
}

impl TypeName for Callback {
    fn type_name() -> &'static str {
        "function"
    }
    fn value_type() -> ValueType {
        ValueType::Function
    }
}

impl ValidateNapiValue for Callback {}

impl FromNapiValue for Callback {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let (mut kind, mut reference) = (0, ptr::null_mut());
        // SAFETY: napi passes the running call's environment and one of its arguments.
        unsafe {
            check_status!(sys::napi_typeof(env, value, &raw mut kind))?;
            if kind != sys::ValueType::napi_function {
                return Err(Error::new(Status::FunctionExpected, "not a function"));
            }
            let completions = Arc::clone(&environment_state(env)?.completions);
            check_status!(sys::napi_create_reference(
                env,
                value,
                1,
                &raw mut reference
            ))?;
            let function = Arc::new(FunctionRef {
                reference,
                completions: Arc::clone(&completions),
                queued: AtomicU32::new(0),
                dropped: AtomicU32::new(0),
                reported: AtomicU32::new(0),
            });
            Ok(Self {
                completions,
                function,
            })
        }
    }
}
