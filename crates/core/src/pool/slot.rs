//! Slots of a pool, and the leases on them.

use std::time::Instant;

/// The right to use one slot, from one hand-out to its release.
///
/// Every hand-out has its own generation, so a lease that was already given back is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The index of the slot.
    pub slot: u32,
    /// The number of the hand-out of that slot.
    pub generation: u32,
}

impl Lease {
    /// Both parts as one number. A ledger has at most 10 000 slots, so it stays below 2^46 and is exact as
    /// a JavaScript number.
    pub const fn number(self) -> u64 {
        (self.slot as u64) << 32 | self.generation as u64
    }

    /// The lease behind [`Self::number`]. A number that never was one gives a lease no ledger knows.
    pub const fn from_number(number: u64) -> Self {
        Self {
            slot: (number >> 32) as u32,
            generation: number as u32,
        }
    }
}

/// The state of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No connection, and none being made.
    Vacant,
    /// Reserved: its lease holder is making the connection.
    Creating {
        /// Whether a dead connection of the same borrower goes first.
        replaces: bool,
    },
    /// Handed out.
    InUse {
        /// The time of the hand-out.
        since: Instant,
        /// Whether it was already reported as a leak.
        reported: bool,
    },
    /// Given back; what its borrower left is being removed.
    Recycling,
    /// Open and free.
    Idle {
        /// When it was returned.
        since: Instant,
    },
    /// Being closed; still counts toward the cap.
    Closing,
}

/// One slot of a ledger.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) generation: u32,
    pub(super) state: State,
    /// The end of its connection's lifetime.
    pub(super) expires_at: Option<Instant>,
}

impl Slot {
    pub(super) const fn vacant() -> Self {
        Self {
            generation: 0,
            state: State::Vacant,
            expires_at: None,
        }
    }

    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_survives_the_trip_through_a_javascript_number() {
        let lease = Lease {
            slot: 9_999,
            generation: u32::MAX,
        };
        let crossed = lease.number() as f64;
        assert_eq!(Lease::from_number(crossed as u64), lease);
        assert!(lease.number() < 1 << 46);
    }
}
