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
    face::{take_exception, tell_lost},
    queue::{CompletionQueue, Item, per_environment},
    value::Value,
};

/// News that may wait for the JavaScript thread; beyond it they are dropped, counted and told of.
const MAX_QUEUED: u32 = 1024;

/// A JavaScript function of one argument, callable from any thread. Calls are delivered in order on the
/// function's own thread, do not keep the process alive, and return nothing.
#[derive(Clone)]
pub(crate) struct Callback {
    door: Arc<CompletionQueue>,
    function: Arc<FunctionRef>,
}

/// The reference behind a [`Callback`]; the last owner gives it back, on the JavaScript thread.
pub(super) struct FunctionRef {
    reference: sys::napi_ref,
    door: Arc<CompletionQueue>,
    queued: AtomicU32,
    dropped: AtomicU32,
    /// How many of the dropped ones have been told of.
    told: AtomicU32,
}

// SAFETY: the reference is only carried by other threads; it is used and deleted in the door's drain.
unsafe impl Send for FunctionRef {}
unsafe impl Sync for FunctionRef {}

impl Callback {
    /// Queues one call that tells something; it is dropped when too many wait already.
    pub(crate) fn tell(&self, argument: impl Into<Value>) {
        if self.function.queued.load(Ordering::Relaxed) >= MAX_QUEUED {
            self.function.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.ask(argument);
    }

    /// Queues one call that asks for something, however many wait: whoever asks has a bound.
    pub(crate) fn ask(&self, argument: impl Into<Value>) {
        self.function.queued.fetch_add(1, Ordering::Relaxed);
        let call = Item::Call(Arc::clone(&self.function), argument.into());
        self.door.push(call);
    }

    /// How many calls were dropped because the JavaScript thread did not keep up.
    #[cfg(feature = "probe")]
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
            self.tell_dropped(env);
            let argument = match Value::to_napi_value(env, argument) {
                Ok(argument) => argument,
                Err(error) => {
                    take_exception(env);
                    return tell_lost(env, &error.reason);
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
    /// As for [`Self::call`].
    unsafe fn tell_dropped(&self, env: sys::napi_env) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        let new = dropped.wrapping_sub(self.told.swap(dropped, Ordering::Relaxed));
        if new > 0 {
            let reason =
                format!("{new} calls were dropped, as the JavaScript thread did not keep up");
            // SAFETY: as for this function.
            unsafe { tell_lost(env, &reason) };
        }
    }
}

impl Drop for FunctionRef {
    fn drop(&mut self) {
        self.door.push(Item::Forget(self.reference));
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
            let door = Arc::clone(&per_environment(env)?.door);
            check_status!(sys::napi_create_reference(
                env,
                value,
                1,
                &raw mut reference
            ))?;
            let function = Arc::new(FunctionRef {
                reference,
                door: Arc::clone(&door),
                queued: AtomicU32::new(0),
                dropped: AtomicU32::new(0),
                told: AtomicU32::new(0),
            });
            Ok(Self { door, function })
        }
    }
}
