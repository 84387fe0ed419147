//! What waits to be taken by JavaScript: bounded, so that a slow reader slows the server down.
//!
//! Network tasks put into it what they receive, and the bell rings once for all that collects until somebody comes.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::Poll,
};

use futures_util::task::AtomicWaker;
use moorline_core::sync::lock;

/// What collects in an [`ReceiveQueue`].
pub trait Contents: Default {
    /// What is taken at once.
    type Piece;
    /// Takes the next piece.
    fn take(&mut self) -> Self::Piece;
    /// Whether there is nothing to take.
    fn is_empty(&self) -> bool;
    /// What it takes of the inbox's bound.
    fn cost(&self) -> usize;
}

/// Hears that there is something to take.
pub trait Listen: Send + Sync {
    /// To be answered with one [`ReceiveQueue::take`], some time.
    fn ring(&self);
}

/// What one connection has received, and how it ended.
pub struct ReceiveQueue<C, E> {
    state: Mutex<State<C, E>>,
    bound: usize,
    driver: AtomicWaker,
}

struct State<C, E> {
    contents: C,
    end: Option<E>,
    /// Gone when nothing more will be told: it holds whoever listens.
    bell: Option<Arc<dyn Listen>>,
    /// Nobody wants anything at the moment.
    paused: bool,
    /// The bell has rung, and nobody came yet.
    notified: bool,
    /// The driver waits for room, or for a visit.
    waiting_for_room: bool,
    /// How often somebody came.
    take_count: u64,
}

impl<C: Contents, E> ReceiveQueue<C, E> {
    /// An inbox that is paused, with the bell that `listen` makes for it.
    pub fn new(bound: usize, listen: impl FnOnce(&Weak<Self>) -> Arc<dyn Listen>) -> Arc<Self> {
        Arc::new_cyclic(|inbox| Self {
            state: Mutex::new(State {
                contents: C::default(),
                end: None,
                bell: Some(listen(inbox)),
                paused: true,
                notified: false,
                waiting_for_room: false,
                take_count: 0,
            }),
            bound,
            driver: AtomicWaker::new(),
        })
    }

    /// The next piece of what came, and the end when it was the last; nothing while paused. The bell rings again
    /// when there is more.
    pub fn take(&self) -> Option<(C::Piece, Option<E>)> {
        let mut state = self.state();
        state.notified = false;
        state.take_count += 1;
        let taken = state.take();
        let over = matches!(taken, Some((_, Some(_))));
        let _bell = over.then(|| state.bell.take());
        let waiting_for_room = std::mem::take(&mut state.waiting_for_room);
        let bell = state.must_ring();
        drop(state);
        if waiting_for_room {
            self.driver.wake();
        }
        if let Some(bell) = bell {
            bell.ring();
        }
        taken
    }

    /// From now on nothing is given out, and in the end nothing more received.
    pub fn pause(&self) {
        self.state().paused = true;
    }

    /// Gives out what comes.
    pub fn resume(&self) {
        self.change(|state| state.paused = false);
    }

    /// Nothing is given out any more, and whoever listened is let go.
    pub fn detach(&self) {
        let mut state = self.state();
        state.paused = true;
        let _bell = state.bell.take();
        drop(state);
    }

    /// Adds what was received.
    pub fn put(&self, add: impl FnOnce(&mut C)) {
        self.change(|state| add(&mut state.contents));
    }

    /// The last thing that comes.
    pub fn end(&self, end: E) {
        self.change(|state| state.end = Some(end));
    }

    /// Whether there is room for more; if not, the driver is woken when there is.
    pub fn has_room(&self) -> bool {
        let mut state = self.state();
        state.waiting_for_room = state.contents.cost() >= self.bound;
        !state.waiting_for_room
    }

    /// Waits until there is room for more.
    pub async fn room(&self) {
        poll_fn(|context| {
            self.driver.register(context.waker());
            if self.has_room() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// How often somebody came, when all was taken; the driver is woken at the next visit.
    pub fn take_count(&self) -> Option<u64> {
        let mut state = self.state();
        state.waiting_for_room = true;
        state.is_idle().then_some(state.take_count)
    }

    /// Rings for nothing, so that somebody comes; false when nobody would.
    pub fn call(&self) -> bool {
        let mut state = self.state();
        let Some(bell) = state.bell.clone().filter(|_| !state.paused) else {
            return false;
        };
        let rings = std::mem::replace(&mut state.notified, true);
        drop(state);
        if !rings {
            bell.ring();
        }
        true
    }

    /// Who is to be woken.
    pub fn driver(&self) -> &AtomicWaker {
        &self.driver
    }

    fn change(&self, change: impl FnOnce(&mut State<C, E>)) {
        let mut state = self.state();
        change(&mut state);
        let bell = state.must_ring();
        drop(state);
        if let Some(bell) = bell {
            bell.ring();
        }
    }

    fn state(&self) -> MutexGuard<'_, State<C, E>> {
        lock(&self.state)
    }
}

impl<C: Contents, E> State<C, E> {
    fn is_idle(&self) -> bool {
        self.contents.is_empty() && self.end.is_none()
    }

    fn take(&mut self) -> Option<(C::Piece, Option<E>)> {
        if self.paused || self.is_idle() {
            return None;
        }
        let piece = self.contents.take();
        let end = self.end.take_if(|_| self.contents.is_empty());
        Some((piece, end))
    }

    /// The bell, when it must be rung.
    fn must_ring(&mut self) -> Option<Arc<dyn Listen>> {
        let must = !self.paused && !self.notified && !self.is_idle();
        self.notified |= must;
        self.bell.clone().filter(|_| must)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;

    use super::*;

    /// Taken two letters at a time.
    impl Contents for String {
        type Piece = String;
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
    struct Rings(AtomicUsize);

    impl Listen for Rings {
        fn ring(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    type Letters = ReceiveQueue<String, &'static str>;

    fn inbox(bound: usize) -> (Arc<Letters>, Arc<Rings>) {
        let rings = Arc::new(Rings::default());
        let listener = Arc::clone(&rings);
        (ReceiveQueue::new(bound, |_| listener), rings)
    }

    fn rung(rings: &Rings) -> usize {
        rings.0.swap(0, Ordering::Relaxed)
    }

    #[test]
    fn the_bell_rings_once_for_all_that_collects() {
        let (inbox, rings) = inbox(1000);
        inbox.put(|it| it.push('a'));
        assert_eq!(rung(&rings), 0, "paused");
        assert!(inbox.take().is_none());
        inbox.resume();
        inbox.put(|it| it.push('b'));
        assert_eq!(rung(&rings), 1);
        assert_eq!(inbox.take(), Some(("ab".to_owned(), None)));
        assert!(inbox.take().is_none());
        inbox.put(|it| it.push('c'));
        assert_eq!(rung(&rings), 1);
    }

    #[test]
    fn the_bell_rings_for_each_piece_and_the_end_comes_with_the_last() {
        let (inbox, rings) = inbox(1000);
        inbox.put(|it| it.push_str("abc"));
        inbox.end("bye");
        inbox.resume();
        assert_eq!(rung(&rings), 1);
        assert_eq!(inbox.take(), Some(("ab".to_owned(), None)));
        assert_eq!(rung(&rings), 1);
        assert_eq!(inbox.take(), Some(("c".to_owned(), Some("bye"))));
        assert_eq!(rung(&rings), 0);
    }

    #[test]
    fn nothing_is_taken_while_paused_not_even_the_end() {
        let (inbox, rings) = inbox(1000);
        inbox.resume();
        inbox.put(|it| it.push('a'));
        inbox.pause();
        assert!(inbox.take().is_none());
        inbox.end("bye");
        assert_eq!(rung(&rings), 1);
        inbox.resume();
        assert_eq!(rung(&rings), 1);
        assert_eq!(inbox.take(), Some(("a".to_owned(), Some("bye"))));
    }

    #[test]
    fn a_full_inbox_has_room_again_when_it_was_emptied() {
        let (inbox, _) = inbox(100);
        inbox.resume();
        inbox.put(|it| it.push_str(&"x".repeat(99)));
        assert!(inbox.room().now_or_never().is_some());
        inbox.put(|it| it.push('x'));
        let mut waiting = std::pin::pin!(inbox.room());
        assert!(waiting.as_mut().now_or_never().is_none());
        inbox.take();
        assert!(waiting.now_or_never().is_some());
    }

    #[test]
    fn whoever_listens_is_let_go_when_nothing_more_is_told() {
        let (taken, listener) = inbox(100);
        taken.resume();
        taken.end("bye");
        assert_eq!(
            Arc::strong_count(&listener),
            2,
            "it has yet to hear the end"
        );
        taken.take();
        assert_eq!(Arc::strong_count(&listener), 1);
        assert!(!taken.call());

        let (silenced, listener) = inbox(100);
        silenced.detach();
        assert_eq!(Arc::strong_count(&listener), 1);
        silenced.resume();
        silenced.end("bye");
        assert_eq!(rung(&listener), 0);
    }
}
