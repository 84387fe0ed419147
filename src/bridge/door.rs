//! The queue of one JavaScript environment, and the promises that leave through it.
//!
//! The order of the Node-API calls is the result of experiments and must be kept: the clean-up hook is
//! registered after the threadsafe function, so that it runs before the function's own; a completion is
//! pushed and the function called under one lock, so that neither can come after `closed`; the wake flag
//! is cleared before the queue is taken, so that no completion is left behind; and the function is
//! referenced only while a promise is pending, on the JavaScript thread only.

use std::{
    collections::VecDeque,
    ffi::c_void,
    future::Future,
    panic::AssertUnwindSafe,
    ptr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use moorline_core::error::{Delivery, Failure, Kind, Outcome};
use napi::{
    Env, Error, Result, Status,
    bindgen_prelude::{ToNapiValue, TypeName},
    check_status, sys,
};
use tokio_util::sync::CancellationToken;

use super::{callback::FunctionRef, failure, runtime::runtime, value::Value};

/// After this many settlements, or this much time, the event loop gets its turn.
const DRAIN_ITEMS: usize = 1000;
const DRAIN_TIME: Duration = Duration::from_millis(5);

/// What waits to be told to JavaScript.
pub(super) enum Item {
    /// A promise to settle.
    Settle(Deferred, Outcome<Value>),
    /// A function to call.
    Call(Arc<FunctionRef>, Value),
    /// A function nobody will call any more.
    Forget(sys::napi_ref),
}

/// A pending promise's other end.
pub(super) struct Deferred(sys::napi_deferred);

// SAFETY: the pointers are only carried by other threads, and used on the JavaScript thread, in `drain`.
unsafe impl Send for Item {}
unsafe impl Send for Deferred {}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    woken: bool,
    closed: bool,
}

/// The queue and its wake-up.
pub(super) struct Door {
    queue: Mutex<Queue>,
    wake: sys::napi_threadsafe_function,
    /// Fires when the environment ends: what still runs for it is dropped, as nobody can see its outcome.
    ended: CancellationToken,
}

// SAFETY: a threadsafe function may be called from any thread until it is finalized; `closed` is set
// under the queue's lock before that, and `push` looks at it under the same lock.
unsafe impl Send for Door {}
unsafe impl Sync for Door {}

impl Door {
    /// Queues `item`; what comes after the environment has closed is dropped.
    pub(super) fn push(&self, item: Item) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.closed {
            return;
        }
        queue.items.push_back(item);
        self.wake_up(&mut queue);
    }

    fn wake_up(&self, queue: &mut Queue) {
        if !queue.woken {
            queue.woken = true;
            // SAFETY: not closed, so the function still exists.
            unsafe {
                sys::napi_call_threadsafe_function(
                    self.wake,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                )
            };
        }
    }
}

/// What belongs to one JavaScript environment; touched on its thread only.
pub(super) struct PerEnvironment {
    pub(super) door: Arc<Door>,
    in_flight: usize,
}

/// The environment's own state, made at the first call.
///
/// # Safety
/// On the JavaScript thread of `env` only; the reference must not outlive the running call.
pub(super) unsafe fn per_environment<'a>(env: sys::napi_env) -> Result<&'a mut PerEnvironment> {
    let mut data: *mut c_void = ptr::null_mut();
    // SAFETY: the instance data slot is ours alone (napi-rs leaves it to us), so it holds what we put in.
    unsafe {
        check_status!(sys::napi_get_instance_data(env, &raw mut data))?;
        if !data.is_null() {
            return Ok(&mut *data.cast());
        }
        let (mut name, mut wake) = (ptr::null_mut(), ptr::null_mut());
        check_status!(super::value::create_string(env, "moorline", &raw mut name))?;
        let state: *mut PerEnvironment = Box::into_raw(Box::<PerEnvironment>::new_uninit()).cast();
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
            &raw mut wake
        ))?;
        sys::napi_unref_threadsafe_function(env, wake);
        state.write(PerEnvironment {
            door: Arc::new(Door {
                queue: Mutex::default(),
                wake,
                ended: CancellationToken::new(),
            }),
            in_flight: 0,
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
        Ok(&mut *state)
    }
}

unsafe extern "C" fn close(state: *mut c_void) {
    // SAFETY: registered with this pointer; runs before `free`.
    let door = unsafe { &(*state.cast::<PerEnvironment>()).door };
    let mut queue = door.queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.closed = true;
    let late = std::mem::take(&mut queue.items);
    drop(queue);
    // Dropping a value must not unwind into Node.
    let _ = std::panic::catch_unwind(AssertUnwindSafe(|| {
        drop(late);
        door.ended.cancel();
    }));
}

unsafe extern "C" fn free(_: sys::napi_env, state: *mut c_void, _: *mut c_void) {
    // SAFETY: called once, with the pointer given to `napi_set_instance_data`.
    drop(unsafe { Box::from_raw(state.cast::<PerEnvironment>()) });
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
    let state = unsafe { &mut *state.cast::<PerEnvironment>() };
    let _ = std::panic::catch_unwind(AssertUnwindSafe(|| unsafe { drain_items(env, state) }));
    if state.in_flight == 0 {
        // SAFETY: on the JavaScript thread.
        unsafe { sys::napi_unref_threadsafe_function(env, state.door.wake) };
    }
}

unsafe fn drain_items(env: sys::napi_env, state: &mut PerEnvironment) {
    let door = Arc::clone(&state.door);
    let mut items = {
        let mut queue = door.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.woken = false;
        std::mem::take(&mut queue.items)
    };
    let mut clock = Clock::default();
    while let Some(item) = items.pop_front() {
        let mut scope = ptr::null_mut();
        // SAFETY: a scope per item, so that a long drain does not keep every value alive.
        unsafe {
            sys::napi_open_handle_scope(env, &raw mut scope);
            tell(env, state, item);
            sys::napi_close_handle_scope(env, scope);
        }
        if clock.is_up() {
            break;
        }
    }
    if !items.is_empty() {
        let mut queue = door.queue.lock().unwrap_or_else(PoisonError::into_inner);
        items.append(&mut queue.items);
        queue.items = items;
        door.wake_up(&mut queue);
    }
}

/// Counts a drain's items, and looks at the time only now and then.
#[derive(Default)]
struct Clock {
    items: usize,
    started: Option<Instant>,
}

impl Clock {
    fn is_up(&mut self) -> bool {
        self.items += 1;
        if !self.items.is_multiple_of(32) {
            return false;
        }
        let started = *self.started.get_or_insert_with(Instant::now);
        self.items >= DRAIN_ITEMS || started.elapsed() >= DRAIN_TIME
    }
}

unsafe fn tell(env: sys::napi_env, state: &mut PerEnvironment, item: Item) {
    // SAFETY: on the JavaScript thread, within a handle scope.
    unsafe {
        match item {
            Item::Settle(deferred, outcome) => {
                settle(env, deferred, outcome);
                state.in_flight -= 1;
            }
            Item::Call(function, argument) => function.call(env, argument),
            Item::Forget(reference) => {
                sys::napi_delete_reference(env, reference);
            }
        }
    }
}

unsafe fn settle(env: sys::napi_env, deferred: Deferred, outcome: Outcome<Value>) {
    // SAFETY: each deferred is settled once, here.
    unsafe {
        let made = outcome.and_then(|value| {
            Value::to_napi_value(env, value)
                .map_err(|error| Failure::new(Kind::Internal, error.reason.as_str()))
        });
        match made {
            Ok(value) => sys::napi_resolve_deferred(env, deferred.0, value),
            Err(failed) => {
                let mut reason = ptr::null_mut();
                super::value::create_string(env, &failure::record(failed), &raw mut reason);
                sys::napi_reject_deferred(env, deferred.0, reason)
            }
        };
    }
}

/// A promise as a return value of a binding function.
pub(crate) struct Promised(sys::napi_value);

impl ToNapiValue for Promised {
    unsafe fn to_napi_value(_: sys::napi_env, promise: Self) -> Result<sys::napi_value> {
        Ok(promise.0)
    }
}

impl TypeName for Promised {
    fn type_name() -> &'static str {
        "Promise"
    }
    fn value_type() -> napi::ValueType {
        napi::ValueType::Object
    }
}

/// Settles its promise exactly once: with an outcome, or, when it is dropped before (a panic, an aborted
/// task), with a failure of kind `internal`.
pub(crate) struct Settler {
    door: Arc<Door>,
    deferred: Option<Deferred>,
}

impl Settler {
    pub(crate) fn settle(mut self, outcome: Outcome<Value>) {
        if let Some(deferred) = self.deferred.take() {
            self.door.push(Item::Settle(deferred, outcome));
        }
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        if let Some(deferred) = self.deferred.take() {
            let failure = Failure::new(Kind::Internal, "moorline stopped this call by a defect")
                .with_delivery(Delivery::Unknown);
            self.door.push(Item::Settle(deferred, Err(failure)));
        }
    }
}

/// A new promise and its settler; the process stays alive until it is settled.
pub(crate) fn deferred(env: &Env) -> Result<(Settler, Promised)> {
    let env = env.raw();
    let (mut deferred, mut promise) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: on the JavaScript thread, in a running call.
    unsafe {
        let state = per_environment(env)?;
        check_status!(sys::napi_create_promise(
            env,
            &raw mut deferred,
            &raw mut promise
        ))?;
        if state.in_flight == 0 {
            sys::napi_ref_threadsafe_function(env, state.door.wake);
        }
        state.in_flight += 1;
        let settler = Settler {
            door: Arc::clone(&state.door),
            deferred: Some(Deferred(deferred)),
        };
        Ok((settler, Promised(promise)))
    }
}

/// Keeps the process alive, or no longer: for a wait that only `lib/` knows of. Both calls come in pairs.
///
/// # Safety
/// On the JavaScript thread of `env`.
pub(super) unsafe fn keep_alive(env: sys::napi_env, keep: bool) {
    // SAFETY: the caller is on the JavaScript thread.
    unsafe {
        let Ok(state) = per_environment(env) else {
            return;
        };
        if keep {
            if state.in_flight == 0 {
                sys::napi_ref_threadsafe_function(env, state.door.wake);
            }
            state.in_flight += 1;
        } else {
            state.in_flight = state.in_flight.saturating_sub(1);
            if state.in_flight == 0 {
                sys::napi_unref_threadsafe_function(env, state.door.wake);
            }
        }
    }
}

/// Runs `future` on the runtime and answers with a promise of its outcome. The end of the environment (a
/// worker thread is terminated) drops it wherever it is.
pub(crate) fn promise<F, T>(env: &Env, future: F) -> Result<Promised>
where
    F: Future<Output = Outcome<T>> + Send + 'static,
    T: Into<Value>,
{
    let runtime = runtime()
        .ok_or_else(|| Error::new(Status::GenericFailure, "the system refused a thread"))?;
    let (settler, promised) = deferred(env)?;
    runtime.spawn(async move {
        let ended = settler.door.ended.clone();
        tokio::select! {
            biased;
            outcome = future => settler.settle(outcome.map(Into::into)),
            () = ended.cancelled() => {}
        }
    });
    Ok(promised)
}
