//! The queue for a slot: first come, first served.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::stats::Waits;

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// The ticket as a number, exact in JavaScript for longer than any process lives.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The ticket behind [`Self::number`].
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    ticket: Ticket,
    since: Instant,
    deadline: Option<Instant>,
}

/// Tickets only grow and are only appended, so the queue is sorted by them.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    queue: VecDeque<Waiter>,
    issued: u64,
    /// Not later than the earliest deadline in the queue; exact again after each [`Self::expire`].
    earliest: Option<Instant>,
    longest_wait: Duration,
    waits: Waits,
}

impl Waiters {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn longest_wait(&self) -> Duration {
        self.longest_wait
    }

    pub(super) const fn waits(&self) -> &Waits {
        &self.waits
    }

    /// When [`Self::expire`] may have something to do.
    pub(super) fn earliest_deadline(&self) -> Option<Instant> {
        self.earliest.filter(|_| !self.queue.is_empty())
    }

    pub(super) fn push(&mut self, now: Instant, deadline: Option<Instant>) -> Ticket {
        let ticket = Ticket(self.issued);
        self.issued += 1;
        self.earliest = earlier(self.earliest_deadline(), deadline);
        self.queue.push_back(Waiter {
            ticket,
            since: now,
            deadline,
        });
        ticket
    }

    /// The oldest waiter leaves the queue, served.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Ticket> {
        let waiter = self.queue.pop_front()?;
        let wait = self.note_wait(waiter, now);
        self.waits.count(wait);
        Some(waiter.ticket)
    }

    /// A waiter leaves by its own will; false when it already left.
    pub(super) fn remove(&mut self, ticket: Ticket) -> bool {
        let found = self
            .queue
            .binary_search_by_key(&ticket, |waiter| waiter.ticket);
        found.is_ok_and(|index| self.queue.remove(index).is_some())
    }

    /// Removes all waiters whose deadline has passed, oldest first.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Ticket> {
        if self.earliest_deadline().is_none_or(|at| at > now) {
            return Vec::new();
        }
        let (late, kept): (VecDeque<_>, VecDeque<_>) = self
            .queue
            .drain(..)
            .partition(|waiter| waiter.deadline.is_some_and(|at| at <= now));
        self.queue = kept;
        self.earliest = self.queue.iter().filter_map(|waiter| waiter.deadline).min();
        for waiter in &late {
            self.note_wait(*waiter, now);
        }
        late.into_iter().map(|waiter| waiter.ticket).collect()
    }

    /// Removes all waiters, oldest first.
    pub(super) fn clear(&mut self) -> Vec<Ticket> {
        self.queue.drain(..).map(|waiter| waiter.ticket).collect()
    }

    fn note_wait(&mut self, waiter: Waiter, now: Instant) -> Duration {
        let wait = now.saturating_duration_since(waiter.since);
        self.longest_wait = self.longest_wait.max(wait);
        wait
    }
}

/// The earlier of two times, where `None` is never.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
