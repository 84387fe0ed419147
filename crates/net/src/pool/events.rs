//! Events of a pool and the listener for them.

use std::time::Duration;

use moorline_core::{error::Failure, pool::Lease};

/// An event of a pool, named as every object with a life cycle names them.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// `acquire`: a connection was handed out.
    Acquire {
        /// The borrower's lease.
        lease: Lease,
        /// The time from the call to the hand-out, including dialling.
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
        /// The duration of that.
        took: Duration,
    },
    /// `destroy`: a connection is gone.
    Destroy {
        /// Its last lease.
        lease: Lease,
    },
    /// `timeout`: a borrower's time in the queue ran out.
    Timeout {
        /// Its timeout.
        after: Duration,
    },
    /// `leak`: a lease has been held suspiciously long.
    Leak {
        /// The lease.
        lease: Lease,
        /// For how long.
        held: Duration,
    },
    /// `lost`: a connection has ended by itself, whether it was free or in use.
    Lost(Failure),
    /// `drain`: the end of the pool began.
    Drain,
    /// `error`: a failure of work in the background, which no caller gets.
    Error(Failure),
}

/// A listener for the events of a pool. Called on the thread where the event happens, never under the pool's
/// lock; it must return at once.
pub trait PoolListener: Send + Sync + 'static {
    /// Called once per event.
    fn on_event(&self, event: Event);
}
