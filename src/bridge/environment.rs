//! One JavaScript environment: its state, and the settling of the promises that leave through it.
//!
//! The order of the Node-API calls is the result of experiments and must be kept: the clean-up hook is
//! registered after the threadsafe function, so that it runs before the function's own; and the function is
//! referenced only while a promise is pending, on the JavaScript thread only.

use std::{
    cell::Cell,
    ffi::c_void,
    panic::AssertUnwindSafe,
    ptr,
    sync::Arc,
    time::{Duration, Instant},
};

use moorline_core::error::{Failure, Kind, Outcome};
use napi::{Result, bindgen_prelude::ToNapiValue, check_status, sys};

use super::{
    failure,
    lib_functions::{LibFunctions, take_exception},
    queue::{CompletionQueue, Deferred, Item},
    value::{Value, create_string},
};

/// After this many settlements, or this much time, the event loop gets its turn.
const DRAIN_ITEMS: usize = 1000;
const DRAIN_TIME: Duration = Duration::from_millis(5);

/// The state of one JavaScript environment; touched on its thread only. Shared by calls within calls: JavaScript that
/// a drain calls may call back.
pub(super) struct EnvironmentState {
    pub(super) completions: Arc<CompletionQueue>,
    /// The functions of `lib/` that the bridge calls.
    pub(super) lib_functions: LibFunctions,
    /// The moment since which outcomes are waited for in place, without a turn of the event loop.
    pub(super) spinning_since: Cell<Option<Instant>>,
}

/// The environment's own state, made at the first call.
///
/// # Safety
/// On the JavaScript thread of `env` only; the reference must not outlive the running call.
pub(super) unsafe fn environment_state<'a>(env: sys::napi_env) -> Result<&'a EnvironmentState> {
    let mut data: *mut c_void = ptr::null_mut();
    // SAFETY: the instance data slot is ours alone (napi-rs leaves it to us), so it holds what we put in.
    unsafe {
        check_status!(sys::napi_get_instance_data(env, &raw mut data))?;
        if !data.is_null() {
            return Ok(&*data.cast());
        }
        let (mut name, mut wake_function) = (ptr::null_mut(), ptr::null_mut());
        check_status!(create_string(env, "moorline", &raw mut name))?;
        let state: *mut EnvironmentState =
            Box::into_raw(Box::<EnvironmentState>::new_uninit()).cast();
        check_status!(sys::napi_create_threadsafe_function(
            env,
            ptr::null_mut(),
            ptr::null_mut(),
            name,
            0,
            1,
            ptr::null_mut(),
            None,
            state.cast(),
            Some(drain),
            &raw mut wake_function
        ))?;
        sys::napi_unref_threadsafe_function(env, wake_function);
        state.write(EnvironmentState {
            completions: Arc::new(CompletionQueue::new(wake_function)),
            spinning_since: Cell::new(None),
            lib_functions: LibFunctions::default(),
        });
        check_status!(sys::napi_set_instance_data(
            env,
            state.cast(),
            Some(free),
            ptr::null_mut()
        ))?;
        check_status!(sys::napi_add_env_cleanup_hook(
            env,
            Some(close),
            state.cast()
        ))?;
        Ok(&*state)
    }
}

unsafe extern "C" fn close(state: *mut c_void) {
    // SAFETY: registered with this pointer; runs before `free`.
    let completions = unsafe { &(*state.cast::<EnvironmentState>()).completions };
    let late = completions.close();
    // Dropping a value must not unwind into Node.
    let _ = std::panic::catch_unwind(AssertUnwindSafe(|| {
        drop(late);
        completions.environment_closed.cancel();
    }));
}

unsafe extern "C" fn free(_: sys::napi_env, state: *mut c_void, _: *mut c_void) {
    // SAFETY: called once, with the pointer given to `napi_set_instance_data`.
    drop(unsafe { Box::from_raw(state.cast::<EnvironmentState>()) });
}

unsafe extern "C" fn drain(
    env: sys::napi_env,
    _: sys::napi_value,
    state: *mut c_void,
    _: *mut c_void,
) {
    if env.is_null() {
        return;
    }
    // SAFETY: the context given when the function was made; the environment is alive.
    let state = unsafe { &*state.cast::<EnvironmentState>() };
    state.spinning_since.set(None);
    unsafe { drain_items(env, state) };
    if state.completions.in_flight() == 0 {
        // SAFETY: on the JavaScript thread.
        unsafe { sys::napi_unref_threadsafe_function(env, state.completions.wake_function) };
    }
}

unsafe fn drain_items(env: sys::napi_env, state: &EnvironmentState) {
    let completions = Arc::clone(&state.completions);
    let mut items = completions.take_items();
    let mut budget = DrainBudget::default();
    while let Some(item) = items.pop_front() {
        let mut scope = ptr::null_mut();
        // SAFETY: a scope per item, so that a long drain does not keep every value alive.
        unsafe {
            sys::napi_open_handle_scope(env, &raw mut scope);
            // One item's defect is not the others'.
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| deliver(env, state, item)));
            sys::napi_close_handle_scope(env, scope);
        }
        if budget.spend_item() {
            break;
        }
    }
    if !items.is_empty() {
        completions.put_back(items);
    }
}

/// The items and the time of one drain. Looks at the time only now and then.
#[derive(Default)]
struct DrainBudget {
    items: usize,
    started: Option<Instant>,
}

impl DrainBudget {
    fn spend_item(&mut self) -> bool {
        self.items += 1;
        if !self.items.is_multiple_of(32) {
            return false;
        }
        let started = *self.started.get_or_insert_with(Instant::now);
        self.items >= DRAIN_ITEMS || started.elapsed() >= DRAIN_TIME
    }
}

/// Settles the one promise that is pending, within a running call.
///
/// # Safety
/// On the JavaScript thread of `env`.
pub(super) unsafe fn settle_last(env: sys::napi_env, state: &EnvironmentState, item: Item) {
    // SAFETY: in the handle scope of the running call.
    unsafe {
        deliver(env, state, item);
        sys::napi_unref_threadsafe_function(env, state.completions.wake_function);
    }
}

unsafe fn deliver(env: sys::napi_env, state: &EnvironmentState, item: Item) {
    // SAFETY: on the JavaScript thread, within a handle scope.
    unsafe {
        match item {
            Item::Settle(deferred, outcome) => {
                state
                    .completions
                    .set_in_flight(state.completions.in_flight() - 1);
                settle(env, deferred, outcome);
            }
            Item::Call(function, argument) => function.call(env, argument),
            Item::Forget(reference) => {
                sys::napi_delete_reference(env, reference);
            }
        }
    }
}

unsafe fn settle(env: sys::napi_env, deferred: Deferred, outcome: Outcome<Value>) {
    // SAFETY: each deferred is settled once, here; on the JavaScript thread, within a handle scope.
    unsafe {
        let made = outcome.and_then(|value| {
            Value::to_napi_value(env, value).map_err(|error| {
                Failure::new(Kind::Internal, error.reason.as_str()).with_code(failure::code(&error))
            })
        });
        // What is thrown while a value is made concerns its promise. Left pending, it would keep this one and all that
        // are settled after it from being settled.
        let status = match (take_exception(env), made) {
            (Some(thrown), _) => sys::napi_reject_deferred(env, deferred.0, thrown),
            (None, Ok(value)) => sys::napi_resolve_deferred(env, deferred.0, value),
            (None, Err(failed)) => {
                let mut reason = ptr::null_mut();
                if create_string(env, &failure::failure_json(failed), &raw mut reason)
                    != sys::Status::napi_ok
                {
                    let fallback =
                        Failure::new(Kind::Internal, "the failure is too long to be reported");
                    create_string(env, &failure::failure_json(fallback), &raw mut reason);
                }
                sys::napi_reject_deferred(env, deferred.0, reason)
            }
        };
        if status != sys::Status::napi_ok {
            // The environment ends, and runs no JavaScript any more. Nothing of it may reach the next item.
            take_exception(env);
        }
    }
}
