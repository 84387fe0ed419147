//! What a pool tells about its life.

use std::time::Duration;

use moorline_core::{error::Failure, pool::Lease};

/// Something that happened in a pool, in the words every object with a life uses.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// `acquire`: a connection was handed out.
    Acquire {
        /// The borrower's lease.
        lease: Lease,
        /// Time from the question to the hand-out, including dialling.
        waited: Duration,
    },
    /// `release`: a borrower gave its lease back.
    Release {
        /// The lease.
        lease: Lease,
    },
    /// `create`: a connection was opened.
    Create {
        /// The lease it was opened for.
        lease: Lease,
        /// How long that took.
        took: Duration,
    },
    /// `destroy`: a connection is gone.
    Destroy {
        /// Its last lease.
        lease: Lease,
    },
    /// `timeout`: a borrower's time in the queue ran out.
    Timeout {
        /// How long it was willing to wait.
        after: Duration,
    },
    /// `leak`: a lease has been held suspiciously long.
    Leak {
        /// The lease.
        lease: Lease,
        /// For how long.
        held: Duration,
    },
    /// `drain`: the end of the pool began.
    Drain,
    /// `error`: something failed that nobody waits for.
    Error(Failure),
}

/// Whoever wants to know. Called on the thread where it happens, never under the pool's lock; it must
/// return at once.
pub trait Listen: Send + Sync + 'static {
    /// One event.
    fn heard(&self, event: Event);
}
