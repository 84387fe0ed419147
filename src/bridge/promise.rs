//! Promises that are settled with the outcome of a future.

use std::{future::Future, ptr, sync::Arc};

use moorline_core::error::{Failure, Outcome};
use napi::{
    Env, Result,
    bindgen_prelude::{ToNapiValue, TypeName},
    check_status, sys,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    environment::environment_state,
    queue::{CompletionQueue, Deferred, Item},
    runtime::try_runtime,
    value::Value,
};

/// A promise as a return value of a binding function.
pub(crate) struct PromiseValue(sys::napi_value);

impl PromiseValue {
    pub(super) fn value(&self) -> sys::napi_value {
        self.0
    }
}

impl ToNapiValue for PromiseValue {
    unsafe fn to_napi_value(_: sys::napi_env, promise: Self) -> Result<sys::napi_value> {
        Ok(promise.0)
    }
}

impl TypeName for PromiseValue {
    fn type_name() -> &'static str {
        "Promise"
    }
    fn value_type() -> napi::ValueType {
        napi::ValueType::Object
    }
}

/// The return value of a function that answers at once where it can.
pub(crate) enum Reply {
    Value(Value),
    Promise(PromiseValue),
}

impl ToNapiValue for Reply {
    unsafe fn to_napi_value(env: sys::napi_env, reply: Self) -> Result<sys::napi_value> {
        // SAFETY: as for this function.
        unsafe {
            match reply {
                Self::Value(value) => Value::to_napi_value(env, value),
                Self::Promise(promise) => PromiseValue::to_napi_value(env, promise),
            }
        }
    }
}

impl TypeName for Reply {
    fn type_name() -> &'static str {
        "unknown"
    }
    fn value_type() -> napi::ValueType {
        napi::ValueType::Unknown
    }
}

/// Settles its promise exactly once: with an outcome, or, when it is dropped before (a panic, an aborted
/// task), with a failure of kind `internal`.
pub(crate) struct Settler {
    completions: Arc<CompletionQueue>,
    deferred: Option<Deferred>,
}

impl Settler {
    pub(crate) fn settle(mut self, outcome: Outcome<Value>) {
        if let Some(deferred) = self.deferred.take() {
            self.completions.push(Item::Settle(deferred, outcome));
        }
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        if let Some(deferred) = self.deferred.take() {
            self.completions
                .push(Item::Settle(deferred, Err(Failure::defect())));
        }
    }
}

/// A new promise and its settler; the process stays alive until it is settled.
pub(crate) fn deferred(env: &Env) -> Result<(Settler, PromiseValue)> {
    let env = env.raw();
    let (mut deferred, mut promise) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: on the JavaScript thread, in a running call.
    unsafe {
        let state = environment_state(env)?;
        check_status!(sys::napi_create_promise(
            env,
            &raw mut deferred,
            &raw mut promise
        ))?;
        if state.completions.in_flight() == 0 {
            sys::napi_ref_threadsafe_function(env, state.completions.wake_function);
        }
        state
            .completions
            .set_in_flight(state.completions.in_flight() + 1);
        let settler = Settler {
            completions: Arc::clone(&state.completions),
            deferred: Some(Deferred(deferred)),
        };
        Ok((settler, PromiseValue(promise)))
    }
}

/// Runs `future` on the runtime and answers with a promise of its outcome. The end of the environment (a
/// worker thread is terminated) drops it wherever it is.
pub(crate) fn promise<F, T>(env: &Env, future: F) -> Result<PromiseValue>
where
    F: Future<Output = Outcome<T>> + Send + 'static,
    T: Into<Value>,
{
    let (settler, promised) = deferred(env)?;
    match try_runtime() {
        Ok(runtime) => {
            // A future that is held by others is copied into each of them, and some take kilobytes.
            let future = Box::pin(future);
            spawn(env, runtime, async move {
                settler.settle(future.await.map(Into::into));
            })?;
        }
        Err(refused) => settler.settle(Err(refused)),
    }
    Ok(promised)
}

/// Runs `future` on the runtime, for as long as the environment lives.
pub(crate) fn spawn(
    env: &Env,
    runtime: &Handle,
    future: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let environment_closed = environment_closed(env)?;
    runtime.spawn(async move {
        tokio::select! {
            biased;
            () = future => {}
            () = environment_closed.cancelled() => {}
        }
    });
    Ok(())
}

/// Fires when the environment ends.
pub(crate) fn environment_closed(env: &Env) -> Result<CancellationToken> {
    // SAFETY: on the JavaScript thread, in a running call.
    let state = unsafe { environment_state(env.raw()) }?;
    Ok(state.completions.environment_closed.clone())
}

/// Keeps the process alive, or no longer: for a wait that only `lib/` knows of. Both calls come in pairs.
///
/// # Safety
/// On the JavaScript thread of `env`.
pub(super) unsafe fn keep_alive(env: sys::napi_env, keep: bool) {
    // SAFETY: the caller is on the JavaScript thread.
    unsafe {
        let Ok(state) = environment_state(env) else {
            return;
        };
        if keep {
            if state.completions.in_flight() == 0 {
                sys::napi_ref_threadsafe_function(env, state.completions.wake_function);
            }
            state
                .completions
                .set_in_flight(state.completions.in_flight() + 1);
        } else {
            state
                .completions
                .set_in_flight(state.completions.in_flight().saturating_sub(1));
            if state.completions.in_flight() == 0 {
                sys::napi_unref_threadsafe_function(env, state.completions.wake_function);
            }
        }
    }
}
