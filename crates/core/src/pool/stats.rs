//! Statistics of a pool.

use std::time::Duration;

use super::{ledger::Ledger, slot::State};
use crate::metrics::DATABASE_SECONDS;

/// A snapshot of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections that exist or are being made or closed; never above the maximum.
    pub total: u32,
    /// Leased, including those still being made for their borrower, and those being recycled after one.
    pub in_use: u32,
    /// Open and free.
    pub available: u32,
    /// On their way out, no longer usable and not yet gone.
    pub closing: u32,
    /// Borrowers in the queue.
    pub waiting: u32,
}

/// The totals since the pool was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Leases handed out with a connection.
    pub acquired: u64,
    /// Connections made.
    pub created: u64,
    /// Attempts to make a connection that failed or were given up.
    pub create_failures: u64,
    /// Connections closed for good.
    pub destroyed: u64,
    /// Borrowers whose time ran out in the queue.
    pub timeouts: u64,
    /// Leases reported as held too long.
    pub leaks: u64,
    /// Borrowers that did not have to wait in the queue.
    pub immediate: u64,
    /// The waits of those that had to, until it was their turn.
    pub waits: Waits,
    /// The longest wait in the queue so far, whether it ended with a lease or a timeout.
    pub longest_wait: Duration,
}

/// The number of waits by their duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// For each bound of [`DATABASE_SECONDS`] those below it, and last those above them all.
    pub counts: [u64; DATABASE_SECONDS.len() + 1],
    /// Their sum.
    pub sum: Duration,
}

impl Waits {
    pub(super) fn count(&mut self, wait: Duration) {
        let seconds = wait.as_secs_f64();
        let bucket = DATABASE_SECONDS.partition_point(|bound| *bound < seconds);
        self.counts[bucket] += 1;
        self.sum += wait;
    }
}

impl Ledger {
    /// The current numbers of connections and waiters.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            total: self.open(),
            waiting: self.waiters.len() as u32,
            ..Stats::default()
        };
        for slot in &self.slots {
            match slot.state {
                State::Vacant => {}
                State::Creating { .. } | State::InUse { .. } | State::Recycling => {
                    stats.in_use += 1;
                }
                State::Idle { .. } => stats.available += 1,
                State::Closing => stats.closing += 1,
            }
        }
        stats
    }

    /// The totals so far.
    pub fn counters(&self) -> Counters {
        Counters {
            longest_wait: self.waiters.longest_wait(),
            waits: *self.waiters.waits(),
            ..self.counters
        }
    }
}
