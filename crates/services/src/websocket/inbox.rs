//! What waits to be taken by JavaScript: bounded, so that a slow reader slows the server down.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::task::AtomicWaker;
use moorline_core::error::Failure;

use super::batch::Batch;

/// How a connection ended.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The close code: the server's, or ours when the server broke the protocol; 1005 when the close frame had
    /// none, 1006 when there was no close frame.
    pub code: u16,
    /// The server's reason.
    pub reason: String,
    /// Whether both sides sent a close frame.
    pub clean: bool,
    /// Why it ended, when it was not closed.
    pub failure: Option<Failure>,
}

/// Hears that there is something to take.
pub trait Listen: Send + Sync {
    /// To be answered with one [`Inbox::take`], some time.
    fn ring(&self);
}

/// The received messages of one connection, and its end.
pub struct Inbox {
    state: Mutex<State>,
    bound: usize,
    driver: AtomicWaker,
}

#[derive(Default)]
struct State {
    batch: Batch,
    closed: Option<Closed>,
    /// Nobody wants anything at the moment.
    paused: bool,
    /// The bell has rung, and nobody came yet.
    ringing: bool,
    /// The driver waits for room, or for a visit.
    stalled: bool,
    /// How often somebody came.
    visits: u64,
}

impl Inbox {
    /// An inbox that is paused.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            state: Mutex::new(State {
                paused: true,
                ..State::default()
            }),
            bound,
            driver: AtomicWaker::new(),
        }
    }

    /// All that came since the last time, and the end when that came too; nothing while paused.
    pub fn take(&self) -> Option<(Batch, Option<Closed>)> {
        let mut state = self.state();
        state.ringing = false;
        state.visits += 1;
        let idle = state.paused || state.is_idle();
        let taken = (!idle).then(|| (std::mem::take(&mut state.batch), state.closed.take()));
        let stalled = std::mem::take(&mut state.stalled);
        drop(state);
        if stalled {
            self.driver.wake();
        }
        taken
    }

    /// From now on nothing is given out, and in the end nothing more received.
    pub fn pause(&self) {
        self.state().paused = true;
    }

    /// True when the bell must be rung.
    pub(super) fn resume(&self) -> bool {
        let mut state = self.state();
        state.paused = false;
        state.must_ring()
    }

    /// Takes over what was received; true when the bell must be rung.
    pub(super) fn put(&self, batch: &mut Batch) -> bool {
        let mut state = self.state();
        state.batch.append(batch);
        state.must_ring()
    }

    /// The last thing that comes; true when the bell must be rung.
    pub(super) fn end(&self, closed: Closed) -> bool {
        let mut state = self.state();
        state.closed = Some(closed);
        state.must_ring()
    }

    /// Whether there is room for more; if not, the driver is woken when there is.
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.state();
        state.stalled = state.batch.cost() >= self.bound;
        !state.stalled
    }

    /// How often somebody came, when all was taken; the driver is woken at the next visit.
    pub(super) fn visits(&self) -> Option<u64> {
        let mut state = self.state();
        state.stalled = true;
        state.is_idle().then_some(state.visits)
    }

    /// Whether the bell must be rung for nothing, so that somebody comes; `None` when nobody would.
    pub(super) fn call(&self) -> Option<bool> {
        let mut state = self.state();
        if state.paused {
            return None;
        }
        Some(!std::mem::replace(&mut state.ringing, true))
    }

    /// Who is to be woken.
    pub(super) fn driver(&self) -> &AtomicWaker {
        &self.driver
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.batch.is_empty() && self.closed.is_none()
    }

    fn must_ring(&mut self) -> bool {
        let must = !self.paused && !self.ringing && !self.is_idle();
        self.ringing |= must;
        must
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Batch {
        let mut batch = Batch::default();
        batch.push_text(text);
        batch
    }

    #[test]
    fn the_bell_rings_once_for_all_that_collects() {
        let inbox = Inbox::new(1000);
        assert!(!inbox.put(&mut one("a")), "paused");
        assert!(inbox.take().is_none());
        assert!(inbox.resume());
        assert!(!inbox.put(&mut one("b")));
        let (batch, closed) = inbox.take().unwrap();
        assert_eq!((batch.entries.len(), closed.is_none()), (2, true));
        assert!(inbox.take().is_none());
        assert!(inbox.put(&mut one("c")));
    }

    #[test]
    fn nothing_is_taken_while_paused_not_even_the_end() {
        let inbox = Inbox::new(1000);
        inbox.resume();
        inbox.put(&mut one("a"));
        inbox.pause();
        assert!(inbox.take().is_none());
        let closed = Closed {
            code: 1000,
            reason: String::new(),
            clean: true,
            failure: None,
        };
        assert!(!inbox.end(closed));
        assert!(inbox.resume());
        let (batch, closed) = inbox.take().unwrap();
        assert_eq!((batch.entries.len(), closed.unwrap().code), (1, 1000));
    }

    #[test]
    fn a_full_inbox_has_room_again_when_it_was_emptied() {
        let inbox = Inbox::new(100);
        inbox.resume();
        assert!(inbox.has_room());
        inbox.put(&mut one(&"x".repeat(99)));
        assert!(!inbox.has_room());
        inbox.take();
        assert!(inbox.has_room());
    }
}
