//! The bounded queue between a network task and JavaScript.
//!
//! Network tasks put into it what they receive; one notification stands for all that collects until the next take. When it
//! is full they stop reading, so that a slow reader slows the server down.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::Poll,
};

use futures_util::task::AtomicWaker;
use moorline_core::sync::lock;

/// The content of a [`ReceiveQueue`].
pub trait Buffer: Default {
    /// The type of one take.
    type Batch;
    /// Removes and returns the next batch.
    fn take(&mut self) -> Self::Batch;
    /// Whether there is nothing to take.
    fn is_empty(&self) -> bool;
    /// Its size, as counted against the bound of the queue.
    fn cost(&self) -> usize;
}

/// The notification that there is something to take.
pub trait Wakeup: Send + Sync {
    /// Asks for one [`ReceiveQueue::take`], soon.
    fn notify(&self);
}

/// The bytes or messages one connection has received, and how it ended.
pub struct ReceiveQueue<C, E> {
    state: Mutex<State<C, E>>,
    bound: usize,
    waker: AtomicWaker,
}

struct State<C, E> {
    buffer: C,
    end: Option<E>,
    /// Dropped with the last notification, because it holds the listener.
    wakeup: Option<Arc<dyn Wakeup>>,
    /// Nothing is handed out at the moment.
    paused: bool,
    /// Notified since the last take.
    notified: bool,
    /// The network task waits for room, or for a take.
    waiting_for_room: bool,
    /// The number of takes so far.
    take_count: u64,
}

impl<C: Buffer, E> ReceiveQueue<C, E> {
    /// A paused queue, with the wakeup that `make_wakeup` makes for it.
    pub fn new(
        bound: usize,
        make_wakeup: impl FnOnce(&Weak<Self>) -> Arc<dyn Wakeup>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|queue| Self {
            state: Mutex::new(State {
                buffer: C::default(),
                end: None,
                wakeup: Some(make_wakeup(queue)),
                paused: true,
                notified: false,
                waiting_for_room: false,
                take_count: 0,
            }),
            bound,
            waker: AtomicWaker::new(),
        })
    }

    /// Takes the next batch, and the end if that was the last; nothing while paused. Notifies again when there is more.
    pub fn take(&self) -> Option<(C::Batch, Option<E>)> {
        let mut state = self.state();
        state.notified = false;
        state.take_count += 1;
        let taken = state.take();
        let over = matches!(taken, Some((_, Some(_))));
        let _dropped_wakeup = over.then(|| state.wakeup.take());
        let waiting_for_room = std::mem::take(&mut state.waiting_for_room);
        let wakeup = state.due_wakeup();
        drop(state);
        if waiting_for_room {
            self.waker.wake();
        }
        if let Some(wakeup) = wakeup {
            wakeup.notify();
        }
        taken
    }

    /// Hands nothing out from now on; when the queue is full, nothing more is received either.
    pub fn pause(&self) {
        self.state().paused = true;
    }

    /// Hands out what is received.
    pub fn resume(&self) {
        self.change(|state| state.paused = false);
    }

    /// Hands nothing out any more and drops the listener.
    pub fn detach(&self) {
        let mut state = self.state();
        state.paused = true;
        let _dropped_wakeup = state.wakeup.take();
        drop(state);
    }

    /// Adds what was received.
    pub fn put(&self, add: impl FnOnce(&mut C)) {
        self.change(|state| add(&mut state.buffer));
    }

    /// Marks the end of the stream.
    pub fn end(&self, end: E) {
        self.change(|state| state.end = Some(end));
    }

    /// Whether there is room for more; if not, the waker is woken when there is.
    pub fn has_room(&self) -> bool {
        let mut state = self.state();
        state.waiting_for_room = state.buffer.cost() >= self.bound;
        !state.waiting_for_room
    }

    /// Waits until there is room for more.
    pub async fn room(&self) {
        poll_fn(|context| {
            self.waker.register(context.waker());
            if self.has_room() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// The number of takes, once the queue is empty; the waker is woken at the next one.
    pub fn take_count_when_empty(&self) -> Option<u64> {
        let mut state = self.state();
        state.waiting_for_room = true;
        state.is_idle().then_some(state.take_count)
    }

    /// Notifies although there may be nothing to take; false when there is no listener or the queue is paused.
    pub fn notify_anyway(&self) -> bool {
        let mut state = self.state();
        let Some(wakeup) = state.wakeup.clone().filter(|_| !state.paused) else {
            return false;
        };
        let notified_before = std::mem::replace(&mut state.notified, true);
        drop(state);
        if !notified_before {
            wakeup.notify();
        }
        true
    }

    /// The waker of the network task.
    pub fn waker(&self) -> &AtomicWaker {
        &self.waker
    }

    fn change(&self, change: impl FnOnce(&mut State<C, E>)) {
        let mut state = self.state();
        change(&mut state);
        let wakeup = state.due_wakeup();
        drop(state);
        if let Some(wakeup) = wakeup {
            wakeup.notify();
        }
    }

    fn state(&self) -> MutexGuard<'_, State<C, E>> {
        lock(&self.state)
    }
}

impl<C: Buffer, E> State<C, E> {
    fn is_idle(&self) -> bool {
        self.buffer.is_empty() && self.end.is_none()
    }

    fn take(&mut self) -> Option<(C::Batch, Option<E>)> {
        if self.paused || self.is_idle() {
            return None;
        }
        let batch = self.buffer.take();
        let end = self.end.take_if(|_| self.buffer.is_empty());
        Some((batch, end))
    }

    /// The wakeup, if it is due; from here on it counts as notified.
    fn due_wakeup(&mut self) -> Option<Arc<dyn Wakeup>> {
        let must = !self.paused && !self.notified && !self.is_idle();
        self.notified |= must;
        self.wakeup.clone().filter(|_| must)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;

    use super::*;

    /// Taken two letters at a time.
    impl Buffer for String {
        type Batch = String;
        fn take(&mut self) -> String {
            let rest = self.split_off(self.len().min(2));
            std::mem::replace(self, rest)
        }
        fn is_empty(&self) -> bool {
            self.as_str().is_empty()
        }
        fn cost(&self) -> usize {
            self.len()
        }
    }

    #[derive(Default)]
    struct Notifications(AtomicUsize);

    impl Wakeup for Notifications {
        fn notify(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    type Letters = ReceiveQueue<String, &'static str>;

    fn queue(bound: usize) -> (Arc<Letters>, Arc<Notifications>) {
        let notifications = Arc::new(Notifications::default());
        let listener = Arc::clone(&notifications);
        (ReceiveQueue::new(bound, |_| listener), notifications)
    }

    fn take_notifications(notifications: &Notifications) -> usize {
        notifications.0.swap(0, Ordering::Relaxed)
    }

    #[test]
    fn one_notification_stands_for_all_that_collects() {
        let (queue, notifications) = queue(1000);
        queue.put(|it| it.push('a'));
        assert_eq!(take_notifications(&notifications), 0, "paused");
        assert!(queue.take().is_none());
        queue.resume();
        queue.put(|it| it.push('b'));
        assert_eq!(take_notifications(&notifications), 1);
        assert_eq!(queue.take(), Some(("ab".to_owned(), None)));
        assert!(queue.take().is_none());
        queue.put(|it| it.push('c'));
        assert_eq!(take_notifications(&notifications), 1);
    }

    #[test]
    fn each_batch_is_notified_and_the_end_comes_with_the_last() {
        let (queue, notifications) = queue(1000);
        queue.put(|it| it.push_str("abc"));
        queue.end("bye");
        queue.resume();
        assert_eq!(take_notifications(&notifications), 1);
        assert_eq!(queue.take(), Some(("ab".to_owned(), None)));
        assert_eq!(take_notifications(&notifications), 1);
        assert_eq!(queue.take(), Some(("c".to_owned(), Some("bye"))));
        assert_eq!(take_notifications(&notifications), 0);
    }

    #[test]
    fn nothing_is_taken_while_paused_not_even_the_end() {
        let (queue, notifications) = queue(1000);
        queue.resume();
        queue.put(|it| it.push('a'));
        queue.pause();
        assert!(queue.take().is_none());
        queue.end("bye");
        assert_eq!(take_notifications(&notifications), 1);
        queue.resume();
        assert_eq!(take_notifications(&notifications), 1);
        assert_eq!(queue.take(), Some(("a".to_owned(), Some("bye"))));
    }

    #[test]
    fn a_full_queue_has_room_again_when_it_was_emptied() {
        let (queue, _) = queue(100);
        queue.resume();
        queue.put(|it| it.push_str(&"x".repeat(99)));
        assert!(queue.room().now_or_never().is_some());
        queue.put(|it| it.push('x'));
        let mut waiting = std::pin::pin!(queue.room());
        assert!(waiting.as_mut().now_or_never().is_none());
        queue.take();
        assert!(waiting.now_or_never().is_some());
    }

    #[test]
    fn the_listener_is_dropped_with_the_last_notification() {
        let (ended, listener) = queue(100);
        ended.resume();
        ended.end("bye");
        assert_eq!(
            Arc::strong_count(&listener),
            2,
            "the end is not notified yet"
        );
        ended.take();
        assert_eq!(Arc::strong_count(&listener), 1);
        assert!(!ended.notify_anyway());

        let (detached, listener) = queue(100);
        detached.detach();
        assert_eq!(Arc::strong_count(&listener), 1);
        detached.resume();
        detached.end("bye");
        assert_eq!(take_notifications(&listener), 0);
    }
}
