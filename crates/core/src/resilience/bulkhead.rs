//! The bulkhead: a limit of concurrent calls, with a bounded queue.

use std::{collections::VecDeque, task::Waker};

/// The limits of a bulkhead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkheadConfig {
    /// The number of calls that may run at once; at least 1.
    pub max_concurrent: u32,
    /// The number of calls that may wait for a place.
    pub max_queue: u32,
}

/// A place, or a place in line. Each entry gives one, and each must be handed back with [`Bulkhead::leave`].
#[derive(Debug, PartialEq, Eq, Clone, Copy, Hash)]
pub struct Ticket(u64);

/// The answer to [`Bulkhead::enter`].
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Entry {
    /// Go on.
    Go(Ticket),
    /// Wait until [`Bulkhead::is_in`] says yes.
    Queued(Ticket),
    /// Both are full.
    Full,
}

/// The bulkhead. Waiting is first in, first out.
#[derive(Debug)]
pub struct Bulkhead {
    config: BulkheadConfig,
    running: u32,
    last: u64,
    queue: VecDeque<Waiter>,
    /// Taken out of the line by a free place, not yet told.
    promoted: Vec<Ticket>,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    waker: Option<Waker>,
}

impl Bulkhead {
    /// An empty one.
    pub const fn new(config: BulkheadConfig) -> Self {
        Self {
            config,
            running: 0,
            last: 0,
            queue: VecDeque::new(),
            promoted: Vec::new(),
        }
    }

    /// Its options.
    pub const fn config(&self) -> &BulkheadConfig {
        &self.config
    }

    /// Asks for a place.
    pub fn enter(&mut self) -> Entry {
        self.last += 1;
        let ticket = Ticket(self.last);
        if self.running < self.config.max_concurrent {
            self.running += 1;
            return Entry::Go(ticket);
        }
        if self.queue.len() >= self.config.max_queue as usize {
            return Entry::Full;
        }
        self.queue.push_back(Waiter {
            ticket,
            waker: None,
        });
        Entry::Queued(ticket)
    }

    /// Whether a queued ticket has its place now; says yes once.
    pub fn is_in(&mut self, ticket: Ticket) -> bool {
        let found = self.promoted.iter().position(|held| *held == ticket);
        found.map(|at| self.promoted.swap_remove(at)).is_some()
    }

    /// Sets the waker for a queued ticket that gets its place; wakes at once if it has it already.
    pub fn wake_on_turn(&mut self, ticket: Ticket, waker: &Waker) {
        match self.queue.iter_mut().find(|waiter| waiter.ticket == ticket) {
            Some(waiter) => waiter.waker = Some(waker.clone()),
            None => waker.wake_by_ref(),
        }
    }

    /// Hands a place back, or leaves the line. The first in line takes a free place over; the waker returned is
    /// to be called once no lock is held.
    pub fn leave(&mut self, ticket: Ticket) -> Option<Waker> {
        if let Some(at) = self.queue.iter().position(|w| w.ticket == ticket) {
            self.queue.remove(at);
            return None;
        }
        // It may have been promoted and not have noticed.
        self.is_in(ticket);
        let Some(first) = self.queue.pop_front() else {
            self.running = self.running.saturating_sub(1);
            return None;
        };
        self.promoted.push(first.ticket);
        first.waker
    }

    /// The number of calls with a place.
    pub const fn running(&self) -> u32 {
        self.running
    }

    /// The number of calls in the queue.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }
}
