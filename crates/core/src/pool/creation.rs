//! Making the connections of a pool.

use std::time::{Duration, Instant};

use super::{
    ledger::{Grant, Ledger},
    slot::{Lease, Slot, State},
};

/// The pause in creating idle connections in advance after a creation failed.
const WARM_UP_PAUSE: Duration = Duration::from_secs(5);

/// The outcome of making a connection.
#[must_use = "a connection may have to be closed, or a waiter told"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is the borrower's. A waiter that was kept back may make another one now.
    InUse(Option<Grant>),
    /// The pool was closed by force meanwhile: close the connection, then report [`Ledger::on_closed`].
    Unwanted,
}

impl Ledger {
    /// The connection for a reserved slot is open, and the lease is now in use.
    pub fn on_created(&mut self, lease: Lease, now: Instant) -> Created {
        let replaces = match self.state_of(lease) {
            State::Creating { replaces } => replaces,
            State::Closing => {
                self.counters.created += 1;
                return Created::Unwanted;
            }
            _ => return Created::Unwanted,
        };
        let expires_at = self.draw_expiry(now);
        self.creating -= 1;
        self.counters.created += 1;
        self.counters.destroyed += u64::from(replaces);
        self.counters.acquired += u64::from(!replaces);
        if let Some(slot) = self.slot_mut(lease) {
            slot.expires_at = expires_at;
            slot.state = State::InUse {
                since: now,
                reported: false,
            };
        }
        Created::InUse(self.grant_creation(now))
    }

    /// The connection for a reserved slot could not be made, or is not wanted any more: nothing is open.
    /// The oldest waiter gets the slot and tries for itself.
    pub fn on_create_failed(&mut self, lease: Lease, now: Instant) -> Option<Grant> {
        match self.state_of(lease) {
            State::Creating { replaces } => {
                self.creating -= 1;
                self.counters.destroyed += u64::from(replaces);
            }
            State::Closing => {}
            _ => return None,
        }
        self.counters.create_failures += 1;
        self.next_warm_up = now.checked_add(WARM_UP_PAUSE);
        self.vacate(lease, now)
    }

    /// The borrower found its connection dead. It keeps its turn: it closes the connection, and when that
    /// is really gone makes a new one, reporting [`Self::on_created`] or [`Self::on_create_failed`]. False when
    /// the lease is not in use.
    #[must_use = "when false, the lease is not the caller's"]
    pub fn recreate(&mut self, lease: Lease) -> bool {
        if !matches!(self.state_of(lease), State::InUse { .. }) {
            return false;
        }
        if let Some(slot) = self.slot_mut(lease) {
            slot.state = State::Creating { replaces: true };
        }
        // It may be one more than may be made at once: its maker waits for its turn then.
        self.creating += 1;
        true
    }

    /// A slot for a connection yet to be made, while the limits allow it.
    pub(super) fn reserve(&mut self) -> Option<Lease> {
        if !self.can_create() {
            return None;
        }
        let index = if let Some(index) = self.vacant.pop() {
            index
        } else if self.slots.len() < self.config.max as usize {
            self.slots.push(Slot::vacant());
            self.slots.len() as u32 - 1
        } else {
            return None;
        };
        self.creating += 1;
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.state = State::Creating { replaces: false };
        slot.expires_at = None;
        Some(Lease {
            slot: index,
            generation: slot.generation,
        })
    }

    /// Whether a connection more may be made at this moment.
    pub(super) fn can_create(&self) -> bool {
        let limit = self.config.max_connecting.get();
        limit.is_none_or(|most| u64::from(self.creating) < most) && self.open() < self.config.max
    }

    /// The slot becomes vacant.
    pub(super) fn vacate(&mut self, lease: Lease, now: Instant) -> Option<Grant> {
        if let Some(slot) = self.slot_mut(lease) {
            slot.state = State::Vacant;
            self.vacant.push(lease.slot);
        }
        self.grant_creation(now)
    }

    /// The oldest waiter gets a slot, if there is one to make a connection for.
    fn grant_creation(&mut self, now: Instant) -> Option<Grant> {
        if !self.can_create() {
            return None;
        }
        let ticket = self.waiters.pop(now)?;
        let lease = self.reserve()?;
        Some(Grant::Create { ticket, lease })
    }
}
