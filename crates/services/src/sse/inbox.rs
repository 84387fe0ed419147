//! What waits to be taken by JavaScript: bounded, so that a slow reader slows the server down.

use std::sync::{Mutex, MutexGuard, PoisonError};

use moorline_core::error::Failure;
use tokio::sync::Notify;

use super::batch::Batch;

/// A string cut out of a text keeps all of it in memory, so texts do not grow beyond this.
pub(super) const TEXT_BYTES: usize = 64 << 10;

/// How a stream ended.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Connecting again would not help.
    pub stopped: bool,
    /// Why it ended, when that was neither the server's doing nor the caller's.
    pub failure: Option<Failure>,
}

/// Hears that there is something to take.
pub trait Listen: Send + Sync {
    /// To be answered with one [`Inbox::take`], some time.
    fn ring(&self);
}

/// The events of one stream, and its end.
pub struct Inbox {
    state: Mutex<State>,
    bound: usize,
    room: Notify,
}

#[derive(Default)]
struct State {
    texts: Vec<String>,
    bytes: usize,
    closed: Option<Closed>,
    /// Nobody wants anything at the moment.
    paused: bool,
    /// The bell has rung, and nobody came yet.
    ringing: bool,
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
            room: Notify::new(),
        }
    }

    /// All that came since the last time, and the end when that came too; nothing while paused.
    pub fn take(&self) -> Option<(Vec<String>, Option<Closed>)> {
        let mut state = self.state();
        state.ringing = false;
        if state.paused || state.is_idle() {
            return None;
        }
        let was_full = state.bytes >= self.bound;
        state.bytes = 0;
        let taken = (std::mem::take(&mut state.texts), state.closed.take());
        drop(state);
        if was_full {
            self.room.notify_one();
        }
        Some(taken)
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
    pub(super) fn put(&self, batch: Batch) -> bool {
        let mut state = self.state();
        state.bytes += batch.text.len();
        match state.texts.last_mut() {
            Some(last) if last.len() + batch.text.len() <= TEXT_BYTES => {
                last.push_str(&batch.text);
            }
            _ => state.texts.push(batch.text),
        }
        state.must_ring()
    }

    /// The last thing that comes; true when the bell must be rung.
    pub(super) fn end(&self, closed: Closed) -> bool {
        let mut state = self.state();
        state.closed = Some(closed);
        state.must_ring()
    }

    /// Waits until there is room for more.
    pub(super) async fn has_room(&self) {
        while self.state().bytes >= self.bound {
            self.room.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.texts.is_empty() && self.closed.is_none()
    }

    fn must_ring(&mut self) -> bool {
        let must = !self.paused && !self.ringing && !self.is_idle();
        self.ringing |= must;
        must
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn batch(bytes: usize) -> Batch {
        Batch {
            text: "x".repeat(bytes),
        }
    }

    #[test]
    fn the_bell_rings_once_for_all_that_collects() {
        let inbox = Inbox::new(1000);
        assert!(!inbox.put(batch(1)), "paused");
        assert!(inbox.take().is_none());
        assert!(inbox.resume());
        assert!(!inbox.put(batch(1)));
        let (texts, closed) = inbox.take().unwrap();
        assert_eq!((texts, closed.is_none()), (vec!["xx".to_owned()], true));
        assert!(inbox.take().is_none());
        assert!(inbox.put(batch(1)));
    }

    #[test]
    fn nothing_is_taken_while_paused_not_even_the_end() {
        let inbox = Inbox::new(1000);
        inbox.resume();
        inbox.put(batch(1));
        inbox.pause();
        assert!(inbox.take().is_none());
        let closed = Closed {
            stopped: false,
            failure: None,
        };
        assert!(!inbox.end(closed));
        assert!(inbox.resume());
        let (texts, closed) = inbox.take().unwrap();
        assert_eq!((texts.len(), closed.is_some()), (1, true));
    }

    #[test]
    fn a_full_inbox_has_room_again_when_it_was_emptied() {
        let inbox = Inbox::new(100);
        inbox.resume();
        assert!(inbox.has_room().now_or_never().is_some());
        inbox.put(batch(100));
        let mut waiting = std::pin::pin!(inbox.has_room());
        assert!(waiting.as_mut().now_or_never().is_none());
        inbox.take();
        assert!(waiting.now_or_never().is_some());
    }

    #[test]
    fn a_text_stays_small() {
        let inbox = Inbox::new(1 << 20);
        inbox.resume();
        for _ in 0..3 {
            inbox.put(batch(TEXT_BYTES / 2));
        }
        inbox.put(batch(TEXT_BYTES * 2));
        let (texts, _) = inbox.take().unwrap();
        let lengths: Vec<_> = texts.iter().map(String::len).collect();
        assert_eq!(
            lengths,
            [TEXT_BYTES, TEXT_BYTES / 2, TEXT_BYTES * 2],
            "one that is larger by itself stands alone"
        );
    }
}
