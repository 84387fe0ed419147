//! The completions that wait for one JavaScript environment, and the wake-up of its thread.
//!
//! A completion is pushed and the threadsafe function called under one lock, so that neither can come after `closed`; the state of
//! the wake-up is cleared before the items are taken, so that no completion is left behind.

use std::{
    collections::VecDeque,
    mem, ptr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use moorline_core::{error::Outcome, sync::lock};
use napi::sys;
use tokio::{runtime::Handle, task::yield_now};
use tokio_util::sync::CancellationToken;

use super::{callback::FunctionRef, value::Value};

/// Work that waits for the JavaScript thread.
pub(super) enum Item {
    /// A promise to settle.
    Settle(Deferred, Outcome<Value>),
    /// A function to call.
    Call(Arc<FunctionRef>, Value),
    /// A function that is not called any more.
    Forget(sys::napi_ref),
}

/// A pending promise's other end.
pub(super) struct Deferred(pub(super) sys::napi_deferred);

// SAFETY: the pointers are only carried by other threads, and used on the JavaScript thread, in `drain`.
unsafe impl Send for Item {}
unsafe impl Send for Deferred {}

/// With so many promises pending, a wake-up is put off for what else is about to be ready: fewer and larger batches cost
/// both threads less.
const MIN_PENDING_TO_DEFER: usize = 8;
/// After this time a wake-up is not put off any more.
const MAX_DEFERRAL: Duration = Duration::from_micros(300);

/// The wake-up for the items of a queue.
#[derive(Clone, Copy, Default, PartialEq)]
enum WakeupState {
    #[default]
    None,
    /// A task wakes JavaScript once the runtime's worker has gone through what is ready.
    Deferred {
        since: Instant,
    },
    Sent,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    wakeup: WakeupState,
    closed: bool,
}

/// The queue and its wake-up.
pub(super) struct CompletionQueue {
    queue: Mutex<Queue>,
    /// True while there are items; read without the lock.
    pub(super) has_items: AtomicBool,
    pub(super) wake_function: sys::napi_threadsafe_function,
    /// The number of pending promises and waits; only the JavaScript thread changes it.
    in_flight: AtomicUsize,
    /// Fires when the environment ends: futures that still run for it are dropped, as their outcome has no receiver.
    pub(super) environment_closed: CancellationToken,
}

// SAFETY: a threadsafe function may be called from any thread until it is finalized; `closed` is set
// under the queue's lock before that, and `push` looks at it under the same lock.
unsafe impl Send for CompletionQueue {}
unsafe impl Sync for CompletionQueue {}

impl CompletionQueue {
    pub(super) fn new(wake_function: sys::napi_threadsafe_function) -> Self {
        Self {
            queue: Mutex::default(),
            wake_function,
            has_items: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            environment_closed: CancellationToken::new(),
        }
    }

    /// Queues `item`; one that comes after the environment has closed is dropped.
    pub(super) fn push(self: &Arc<Self>, item: Item) {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return;
        }
        queue.items.push_back(item);
        self.has_items.store(true, Ordering::Release);
        self.wake_up(&mut queue);
    }

    /// The number of promises and waits that are pending.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Sets it, on the JavaScript thread.
    pub(super) fn set_in_flight(&self, in_flight: usize) {
        self.in_flight.store(in_flight, Ordering::Relaxed);
    }

    /// Takes all items, for which a wake-up was sent. What comes from here on needs another.
    pub(super) fn take_items(&self) -> VecDeque<Item> {
        let mut queue = lock(&self.queue);
        queue.wakeup = WakeupState::None;
        self.has_items.store(false, Ordering::Relaxed);
        mem::take(&mut queue.items)
    }

    /// Puts back the items that are left for another turn of the event loop, before those that have come since.
    pub(super) fn put_back(self: &Arc<Self>, mut items: VecDeque<Item>) {
        let mut queue = lock(&self.queue);
        items.append(&mut queue.items);
        queue.items = items;
        self.wake_up(&mut queue);
    }

    /// Ends the queue, and takes what nobody settles any more.
    pub(super) fn close(&self) -> VecDeque<Item> {
        let mut queue = lock(&self.queue);
        queue.closed = true;
        mem::take(&mut queue.items)
    }

    /// From here on the caller, on the JavaScript thread, looks at the queue itself. False when a wake-up is
    /// already on its way.
    pub(super) fn suppress_wakeup(&self) -> bool {
        let mut queue = lock(&self.queue);
        let suppressed = queue.wakeup == WakeupState::None;
        if suppressed {
            queue.wakeup = WakeupState::Sent;
        }
        suppressed
    }

    /// The end of [`Self::suppress_wakeup`]: takes the one settlement that has come, if it `may_deliver` it now. Anything
    /// else is left to the event loop; a user's function must not be called from within a call of the user's.
    pub(super) fn restore_wakeup(self: &Arc<Self>, may_deliver: bool) -> Option<Item> {
        let mut queue = lock(&self.queue);
        queue.wakeup = WakeupState::None;
        if may_deliver && queue.items.len() == 1 && matches!(queue.items[0], Item::Settle(..)) {
            self.has_items.store(false, Ordering::Relaxed);
            return queue.items.pop_front();
        }
        if !queue.items.is_empty() {
            self.wake_up(&mut queue);
        }
        None
    }

    /// Puts the wake-up off until the runtime's worker has gone through what is ready; false where there is nothing to wait
    /// for, and on other threads.
    fn defer_wakeup(self: &Arc<Self>) -> bool {
        if self.in_flight() < MIN_PENDING_TO_DEFER {
            return false;
        }
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        let completions = Arc::clone(self);
        runtime.spawn(async move {
            // A task that yields runs again after the others.
            yield_now().await;
            completions.send_deferred_wakeup();
        });
        true
    }

    fn send_deferred_wakeup(&self) {
        let mut queue = lock(&self.queue);
        if matches!(queue.wakeup, WakeupState::Deferred { .. }) && !queue.closed {
            self.send_wakeup(&mut queue);
        }
    }

    fn wake_up(self: &Arc<Self>, queue: &mut Queue) {
        match queue.wakeup {
            WakeupState::Sent => {}
            WakeupState::Deferred { since } if since.elapsed() < MAX_DEFERRAL => {}
            WakeupState::None if self.defer_wakeup() => {
                queue.wakeup = WakeupState::Deferred {
                    since: Instant::now(),
                };
            }
            _ => self.send_wakeup(queue),
        }
    }

    fn send_wakeup(&self, queue: &mut Queue) {
        queue.wakeup = WakeupState::Sent;
        // SAFETY: not closed, so the function still exists.
        unsafe {
            sys::napi_call_threadsafe_function(
                self.wake_function,
                ptr::null_mut(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            )
        };
    }
}
