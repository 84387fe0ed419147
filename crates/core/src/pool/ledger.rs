//! The ledger: the slots of a pool and their holders.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{
    config::LedgerConfig,
    refusal::Refusal,
    slot::{Lease, Slot, State},
    stats::Counters,
    waiters::{Ticket, Waiters},
};
use crate::limit::Limit;

/// The lifetime of each connection is spread by this share in both directions.
pub(super) const LIFETIME_SPREAD: f64 = 0.25;

/// The result of [`Ledger::acquire`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquire {
    /// Use the connection in the slot; check it first when `validate` is set.
    Ready {
        /// The right to use it.
        lease: Lease,
        /// Whether it was idle for so long that it may be dead.
        validate: bool,
    },
    /// Make a connection for this slot, then report [`Ledger::on_created`] or [`Ledger::on_create_failed`].
    Create(Lease),
    /// Wait for the [`Grant`] with this ticket.
    Wait {
        /// The place in the queue.
        ticket: Ticket,
        /// The time at which [`Ledger::expire`] takes it off the queue.
        deadline: Option<Instant>,
    },
    /// The queue is full, or the pool is closing.
    Refused(Refusal),
}

/// The answer to a waiter. The call that returns it has already taken the waiter off the queue, so
/// dropping a grant loses a slot.
#[must_use = "the waiter it names is no longer in the queue and waits for this"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// The connection in the slot is theirs; they check it first when `validate` is set.
    Ready {
        /// The waiter.
        ticket: Ticket,
        /// Their right to use it.
        lease: Lease,
        /// As in [`Acquire::Ready`].
        validate: bool,
    },
    /// They make a connection for this slot.
    Create {
        /// The waiter.
        ticket: Ticket,
        /// Their right to the slot.
        lease: Lease,
    },
}

/// The condition of a connection that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It can serve another borrower.
    Clean,
    /// It can, once what its borrower left was removed.
    Dirty,
    /// It cannot be used again.
    Broken,
}

/// The outcome of returning a lease.
#[must_use = "a connection may have to be closed, or a waiter told"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// Free for the next borrower.
    Idle,
    /// Granted to the oldest waiter already.
    Granted(Grant),
    /// Recycle the connection, then report [`Ledger::on_recycled`] with this lease, which nobody holds, or
    /// [discard](Ledger::discard) it.
    Recycle(Lease),
    /// Close the connection, then report [`Ledger::on_closed`].
    Close,
    /// This ledger does not know the lease, or it was given back before: nothing changed.
    UnknownLease,
}

/// The phase of a pool: open, or how far closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    Draining,
    Closed,
}

/// The bookkeeping of one pool. Every method that depends on time takes it as `now`.
///
/// Between two calls this holds: while the queue is not empty, no slot is idle and none can be reserved. That is
/// why a newcomer never overtakes a waiter.
#[derive(Debug)]
pub struct Ledger {
    pub(super) config: LedgerConfig,
    pub(super) slots: Vec<Slot>,
    /// Slots that can be reserved again, besides those not yet in `slots`.
    pub(super) vacant: Vec<u32>,
    /// A stack: the most recently used connection is the likeliest to be alive, and the others can reach their idle
    /// timeout.
    pub(super) idle: Vec<u32>,
    pub(super) waiters: Waiters,
    pub(super) counters: Counters,
    pub(super) phase: Phase,
    pub(super) next_warm_up: Option<Instant>,
    /// Connections being made.
    pub(super) creating: u32,
    random: Rng,
}

impl Ledger {
    /// An empty pool.
    pub fn new(config: LedgerConfig) -> Self {
        Self::with_random(config, Rng::new())
    }

    /// An empty pool whose lifetimes are spread by `random`.
    pub fn with_random(config: LedgerConfig, random: Rng) -> Self {
        Self {
            config,
            slots: Vec::new(),
            vacant: Vec::new(),
            idle: Vec::new(),
            waiters: Waiters::default(),
            counters: Counters::default(),
            phase: Phase::Open,
            next_warm_up: None,
            creating: 0,
            random,
        }
    }

    /// Its configuration.
    pub const fn config(&self) -> &LedgerConfig {
        &self.config
    }

    /// The fast path: an idle connection that needs no check, if there is one.
    pub fn take(&mut self, now: Instant) -> Option<Lease> {
        let slot = *self.idle.last()?;
        if self.needs_validation(slot, now) {
            return None;
        }
        self.idle.pop();
        self.counters.immediate += 1;
        Some(self.hand_out(slot, now))
    }

    /// Asks for a connection, waiting no longer than the acquire timeout.
    pub fn acquire(&mut self, now: Instant) -> Acquire {
        self.acquire_within(now, self.config.acquire_timeout)
    }

    /// Asks for a connection, waiting in the queue no longer than `timeout`.
    pub fn acquire_within(&mut self, now: Instant, timeout: Limit<Duration>) -> Acquire {
        if let Some(refusal) = self.refusal() {
            return Acquire::Refused(refusal);
        }
        if let Some(slot) = self.idle.pop() {
            let validate = self.needs_validation(slot, now);
            self.counters.immediate += 1;
            let lease = self.hand_out(slot, now);
            return Acquire::Ready { lease, validate };
        }
        if let Some(lease) = self.reserve() {
            self.counters.immediate += 1;
            return Acquire::Create(lease);
        }
        let queue_full = |most| self.waiters.len() as u64 >= most;
        if self.config.max_waiters.get().is_some_and(queue_full) {
            return Acquire::Refused(Refusal::Overloaded);
        }
        let deadline = timeout.get().and_then(|timeout| now.checked_add(timeout));
        let ticket = self.waiters.push(now, deadline);
        Acquire::Wait { ticket, deadline }
    }

    /// A waiter gave up. False when it is not in the queue any more: then a grant or a timeout for it is
    /// on its way, and a granted lease must be given back.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        self.waiters.remove(ticket)
    }

    /// A borrower is done, and leaves its connection in this condition.
    pub fn release(&mut self, lease: Lease, now: Instant, condition: Condition) -> Released {
        if !matches!(self.state_of(lease), State::InUse { .. }) {
            return Released::UnknownLease;
        }
        let is_open = self.phase == Phase::Open;
        let Some(slot) = self.slot_mut(lease) else {
            return Released::UnknownLease;
        };
        match condition {
            Condition::Clean => self.make_available(lease, now),
            Condition::Dirty if is_open && !slot.is_expired(now) => {
                slot.generation = slot.generation.wrapping_add(1);
                slot.state = State::Recycling;
                let generation = slot.generation;
                Released::Recycle(Lease {
                    generation,
                    ..lease
                })
            }
            Condition::Dirty | Condition::Broken => {
                slot.state = State::Closing;
                Released::Close
            }
        }
    }

    /// What the borrower left on a connection was removed. [`Released::UnknownLease`] when the pool was closed by force
    /// meanwhile: close the connection, then report [`Self::on_closed`].
    pub fn on_recycled(&mut self, lease: Lease, now: Instant) -> Released {
        match self.state_of(lease) {
            State::Recycling => self.make_available(lease, now),
            _ => Released::UnknownLease,
        }
    }

    /// The connection of the slot is the next borrower's, if it may be kept.
    fn make_available(&mut self, lease: Lease, now: Instant) -> Released {
        let Some(slot) = self.slots.get_mut(lease.slot as usize) else {
            return Released::UnknownLease;
        };
        if self.phase != Phase::Open || slot.is_expired(now) {
            slot.state = State::Closing;
            return Released::Close;
        }
        slot.state = State::Idle { since: now };
        if let Some(ticket) = self.waiters.pop(now) {
            let validate = self.needs_validation(lease.slot, now);
            let lease = self.hand_out(lease.slot, now);
            return Released::Granted(Grant::Ready {
                ticket,
                lease,
                validate,
            });
        }
        if self.idle.len() >= self.config.max_idle.max(self.config.min) as usize {
            slot.state = State::Closing;
            return Released::Close;
        }
        self.idle.push(lease.slot);
        Released::Idle
    }

    /// A lease whose connection must not be used again. True when it was in use, or being recycled: close the connection, then
    /// report [`Self::on_closed`].
    #[must_use = "when true, the connection must be closed and reported"]
    pub fn discard(&mut self, lease: Lease) -> bool {
        let held = matches!(self.state_of(lease), State::InUse { .. } | State::Recycling);
        if let Some(slot) = self.slot_mut(lease).filter(|_| held) {
            slot.state = State::Closing;
        }
        held
    }

    /// The connection of a slot that had to be closed is really gone. The oldest waiter gets the slot and
    /// makes a new one.
    pub fn on_closed(&mut self, lease: Lease, now: Instant) -> Option<Grant> {
        if self.state_of(lease) != State::Closing {
            return None;
        }
        self.counters.destroyed += 1;
        self.vacate(lease, now)
    }

    /// Whether this lease is the one its slot is in use by.
    pub fn holds(&self, lease: Lease) -> bool {
        matches!(self.state_of(lease), State::InUse { .. })
    }

    /// Connections that count toward the cap.
    pub(super) fn open(&self) -> u32 {
        (self.slots.len() - self.vacant.len()) as u32
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self.phase {
            Phase::Open => None,
            Phase::Draining if self.open() > 0 => Some(Refusal::Draining),
            Phase::Draining | Phase::Closed => Some(Refusal::Closed),
        }
    }

    fn hand_out(&mut self, index: u32, now: Instant) -> Lease {
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.state = State::InUse {
            since: now,
            reported: false,
        };
        self.counters.acquired += 1;
        Lease {
            slot: index,
            generation: slot.generation,
        }
    }

    fn needs_validation(&self, index: u32, now: Instant) -> bool {
        let (State::Idle { since }, Limit::At(after)) =
            (self.slots[index as usize].state, self.config.validate_after)
        else {
            return false;
        };
        now.saturating_duration_since(since) >= after
    }

    pub(super) fn draw_expiry(&mut self, now: Instant) -> Option<Instant> {
        let lifetime = self.config.max_lifetime.get()?;
        let factor = 1.0 + LIFETIME_SPREAD * (2.0 * self.random.f64() - 1.0);
        now.checked_add(lifetime.mul_f64(factor))
    }

    /// The state of the slot as far as this lease is concerned.
    pub(super) fn state_of(&self, lease: Lease) -> State {
        self.slots
            .get(lease.slot as usize)
            .filter(|slot| slot.generation == lease.generation)
            .map_or(State::Vacant, |slot| slot.state)
    }

    pub(super) fn slot_mut(&mut self, lease: Lease) -> Option<&mut Slot> {
        self.slots
            .get_mut(lease.slot as usize)
            .filter(|slot| slot.generation == lease.generation)
    }
}
