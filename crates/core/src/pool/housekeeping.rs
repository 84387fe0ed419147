//! Housekeeping of a pool over time, and its shutdown.

use std::time::{Duration, Instant};

use super::{
    ledger::{Ledger, Phase},
    slot::{Lease, State},
    waiters::{Ticket, earlier},
};

/// A lease that has been held suspiciously long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The lease.
    pub lease: Lease,
    /// For how long.
    pub held: Duration,
}

/// The work to do when a pool ends.
#[must_use = "its waiters must be told and its connections closed"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    /// Waiters that get nothing any more, oldest first.
    pub refused: Vec<Ticket>,
    /// Connections to close; report [`Ledger::on_closed`] for each.
    pub to_close: Vec<Lease>,
}

impl Ledger {
    /// Waiters whose time ran out, oldest first. They are no longer in the queue.
    pub fn expire(&mut self, now: Instant) -> Vec<Ticket> {
        let late = self.waiters.expire(now);
        self.counters.timeouts += late.len() as u64;
        late
    }

    /// Free connections to close, for their age or as unused; close each, then report [`Self::on_closed`]. The minimum
    /// survives the idle timeout, not the lifetime.
    #[must_use = "each of these connections must be closed and reported"]
    pub fn sweep(&mut self, now: Instant) -> Vec<Lease> {
        let mut surplus = self.surplus();
        let mut close = Vec::new();
        let (slots, idle_timeout) = (&mut self.slots, self.config.idle_timeout.get());
        // From the bottom of the stack: the longest unused go first.
        self.idle.retain(|&index| {
            let slot = &mut slots[index as usize];
            let State::Idle { since } = slot.state else {
                return true;
            };
            let unused = now.saturating_duration_since(since);
            let superfluous = surplus > 0 && idle_timeout.is_some_and(|timeout| unused >= timeout);
            if !superfluous && !slot.is_expired(now) {
                return true;
            }
            surplus = surplus.saturating_sub(1);
            slot.state = State::Closing;
            close.push(Lease {
                slot: index,
                generation: slot.generation,
            });
            false
        });
        close
    }

    /// Free connections known to be dead, by their slots; close each, then report [`Self::on_closed`].
    #[must_use = "each of these connections must be closed and reported"]
    pub fn evict(&mut self, is_dead: impl Fn(u32) -> bool) -> Vec<Lease> {
        let (dead, idle) = self.idle.iter().partition(|index| is_dead(**index));
        self.idle = idle;
        let dead: Vec<u32> = dead;
        dead.into_iter()
            .map(|index| self.start_closing(index))
            .collect()
    }

    /// The transport below all connections is gone: none of them is handed out again. Those to close are returned, for each of
    /// which report [`Self::on_closed`]; those in use are closed when they come back.
    #[must_use = "each of these connections must be closed and reported"]
    pub fn evict_all(&mut self, now: Instant) -> Vec<Lease> {
        for slot in &mut self.slots {
            slot.expires_at = Some(now);
        }
        let idle = std::mem::take(&mut self.idle);
        idle.iter()
            .map(|&index| self.start_closing(index))
            .collect()
    }

    /// Leases held for longer than the leak threshold, each reported once.
    pub fn report_leaks(&mut self, now: Instant) -> Vec<Leak> {
        let Some(threshold) = self.config.leak_after.get() else {
            return Vec::new();
        };
        let mut leaks = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let State::InUse { since, reported } = &mut slot.state else {
                continue;
            };
            let held = now.saturating_duration_since(*since);
            if *reported || held < threshold {
                continue;
            }
            *reported = true;
            let lease = Lease {
                slot: index as u32,
                generation: slot.generation,
            };
            leaks.push(Leak { lease, held });
        }
        self.counters.leaks += leaks.len() as u64;
        leaks
    }

    /// A slot to make a connection for in advance, while there are fewer than the minimum; ask again until
    /// `None`. Make the connection, report it, then release the lease.
    pub fn warm(&mut self, now: Instant) -> Option<Lease> {
        if self.warming_due(now)? <= now {
            return self.reserve();
        }
        None
    }

    /// Begins the end: newcomers and waiters are refused, free connections close, borrowers may finish.
    /// Calling it again changes nothing.
    pub fn drain(&mut self) -> Shutdown {
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
        }
        let idle = std::mem::take(&mut self.idle);
        Shutdown {
            refused: self.waiters.clear(),
            to_close: idle
                .iter()
                .map(|&index| self.start_closing(index))
                .collect(),
        }
    }

    /// Ends at once: the leases in use are taken back as well. A connection still being made is closed by
    /// its maker, when [`Self::on_created`] answers false.
    pub fn force_close(&mut self) -> Shutdown {
        let mut shutdown = self.drain();
        self.phase = Phase::Closed;
        for index in 0..self.slots.len() as u32 {
            match self.slots[index as usize].state {
                State::InUse { .. } | State::Recycling => {
                    let lease = self.start_closing(index);
                    shutdown.to_close.push(lease);
                }
                State::Creating { replaces } => {
                    self.counters.destroyed += u64::from(replaces);
                    self.start_closing(index);
                }
                State::Vacant | State::Idle { .. } | State::Closing => {}
            }
        }
        self.creating = 0;
        shutdown
    }

    /// Whether the pool has ended and its last connection is gone.
    pub fn is_drained(&self) -> bool {
        self.phase != Phase::Open && self.open() == 0
    }

    /// When to call [`Self::expire`], [`Self::sweep`], [`Self::report_leaks`] and [`Self::warm`] next; `None` while
    /// there is nothing to wait for.
    ///
    /// Ask again after each of these calls and after [`super::Acquire::Create`], [`super::Acquire::Wait`] and
    /// [`super::Created::InUse`]. Taking and returning idle connections never moves it forward, so the fast
    /// path need not look at it.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        let mut due = earlier(self.waiters.earliest_deadline(), self.warming_due(now));
        if self.open() == 0 {
            return due;
        }
        due = earlier(
            due,
            self.min_time_until_due()
                .and_then(|wait| now.checked_add(wait)),
        );
        let idle_timeout = self
            .config
            .idle_timeout
            .get()
            .filter(|_| self.surplus() > 0);
        let leak_after = self.config.leak_after.get();
        for slot in &self.slots {
            let at = match slot.state {
                State::Idle { since } => {
                    let unused = idle_timeout.and_then(|timeout| since.checked_add(timeout));
                    earlier(unused, slot.expires_at)
                }
                State::InUse { since, reported } if !reported => {
                    leak_after.and_then(|threshold| since.checked_add(threshold))
                }
                _ => None,
            };
            due = earlier(due, at);
        }
        due
    }

    /// The shortest time after which a connection handed out, returned or made from now on can be due.
    fn min_time_until_due(&self) -> Option<Duration> {
        let lifetime = self.config.max_lifetime.get();
        let soonest_end =
            lifetime.map(|lifetime| lifetime.mul_f64(1.0 - super::ledger::LIFETIME_SPREAD));
        [
            self.config.idle_timeout.get(),
            self.config.leak_after.get(),
            soonest_end,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When connections are missing to the minimum: the time from which on to make them.
    fn warming_due(&self, now: Instant) -> Option<Instant> {
        let missing = self.phase == Phase::Open && self.open() < self.config.min;
        (missing && self.can_create())
            .then(|| self.next_warm_up.map_or(now, |again| again.max(now)))
    }

    /// The number of connections above the minimum, without those that are closing.
    fn surplus(&self) -> u32 {
        let closing = |slot: &&super::slot::Slot| slot.state == State::Closing;
        let closing = self.slots.iter().filter(closing).count() as u32;
        (self.open() - closing).saturating_sub(self.config.min)
    }

    fn start_closing(&mut self, index: u32) -> Lease {
        let slot = &mut self.slots[index as usize];
        slot.state = State::Closing;
        Lease {
            slot: index,
            generation: slot.generation,
        }
    }
}
