//! The pool every service borrows its connections from.
//!
//! [`moorline_core::pool::Ledger`] decides; this module keeps one connection per slot and one channel per
//! waiter, and carries the decisions out: it dials, checks and closes through the service's [`Connect`].
//! A borrower holds a [`Borrowed`], or just the [`Lease`] when it lives on the other side of the bridge.
//!
//! Every step can be abandoned. Whoever stops waiting, dialling or checking drops a guard, and the guard
//! gives back exactly what it stood for: a place in the queue, a reserved slot, a lease. The same guards
//! travel through the channels, so what is sent to somebody who has just left finds its way back by itself.

mod acquire;
mod events;
mod guards;
mod housekeeping;
mod published;
mod settings;
mod shared;
mod shutdown;

use std::{
    future::Future,
    sync::{Arc, Weak},
};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    pool::{Counters, Lease, Stats},
};
use tokio::runtime::Handle;

pub use events::{Event, Listen};
pub use guards::Borrowed;
pub use published::refresh;
pub(crate) use published::{Publish, Published};
pub use settings::{PoolSettings, TimeoutNames};
use shared::Shared;

/// How a service opens, checks and closes one connection.
///
/// The futures may be dropped at any point: dropping `connect` must leave nothing open.
pub trait Connect: Send + Sync + 'static {
    /// What is pooled. Dropping it must close it, if need be the hard way.
    type Connection: Send + 'static;

    /// Opens and authenticates a connection.
    fn connect(&self) -> impl Future<Output = Outcome<Self::Connection>> + Send;

    /// Whether a connection looks alive and clean, judged without waiting. Asked when it is taken and when
    /// it comes back; false has it closed.
    fn is_usable(&self, connection: &Self::Connection) -> bool;

    /// Asks the server whether a connection still works.
    fn validate(
        &self,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Outcome<()>> + Send;

    /// Says goodbye and closes; done when the connection is really gone.
    fn close(&self, connection: Self::Connection) -> impl Future<Output = ()> + Send;
}

/// A pool of connections. Clones are the same pool; when the last one and the last borrower are gone, its
/// free connections are closed.
pub struct Pool<C: Connect> {
    shared: Arc<Shared<C>>,
}

impl<C: Connect> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<C: Connect> Pool<C> {
    /// A pool whose tasks run on `runtime`. It opens nothing until somebody asks, unless its minimum says
    /// otherwise.
    pub fn new(connect: C, settings: PoolSettings, runtime: Handle) -> Self {
        Self::with_listener(connect, settings, runtime, None)
    }

    /// The same, telling `listener` what happens.
    pub fn with_listener(
        connect: C,
        settings: PoolSettings,
        runtime: Handle,
        listener: Option<Arc<dyn Listen>>,
    ) -> Self {
        let shared = Arc::new(Shared::new(connect, settings, runtime, listener));
        housekeeping::start(&shared);
        Self { shared }
    }

    /// Shows the pool in the metrics of the process under `name`, as one of type `kind`.
    pub fn publish(&self, name: &str, kind: &str) {
        let pool: Weak<dyn Publish> = Arc::downgrade(&self.shared) as _;
        let max = self.shared.settings.limits.max;
        self.shared.published.begin(name, kind, max, pool);
    }

    /// Runs `work` on the connection of a lease. The pool waits meanwhile: take what you need (a handle, a
    /// channel) and work with that.
    pub fn with<R>(&self, lease: Lease, work: impl FnOnce(&mut C::Connection) -> R) -> Outcome<R> {
        let mut books = self.shared.books();
        books.connection(lease).map(work).ok_or_else(|| {
            Failure::new(Kind::Closed, "The connection was already released").with_attempts(0)
        })
    }

    /// Gives a lease back. False when it is not held, and then nothing changes.
    pub fn release(&self, lease: Lease) -> bool {
        self.shared.release(lease, true)
    }

    /// Gives a lease back and has its connection closed. False when it is not held.
    pub fn discard(&self, lease: Lease) -> bool {
        self.shared.release(lease, false)
    }

    /// Closes the free connections that do not look alive any more.
    pub fn evict_unusable(&self) {
        self.shared.evict_unusable();
    }

    /// How many of what right now.
    pub fn stats(&self) -> Stats {
        self.shared.books().ledger.stats()
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.shared.books().ledger.counters()
    }

    /// Its settings.
    pub fn settings(&self) -> &PoolSettings {
        &self.shared.settings
    }
}
