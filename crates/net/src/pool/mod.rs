//! The pool of connections that every service uses.
//!
//! [`moorline_core::pool::Ledger`] decides; this module keeps one connection per slot and one channel per
//! waiter, and carries the decisions out: it dials, checks and closes through the service's [`Connect`].
//! A borrower holds a [`PooledConnection`], or just the [`Lease`] when it lives on the other side of the bridge.
//!
//! Every step can be abandoned. To stop waiting, dialling or checking is to drop a guard, and the guard gives
//! back exactly what it stands for: a place in the queue, a reserved slot, a lease. The same guards travel
//! through the channels, so that one sent to a waiter that has just left is dropped, and gives back, too.

mod acquire;
mod config;
mod events;
mod guards;
mod housekeeping;
mod inner;
mod metrics;
mod shutdown;

use std::{
    future::Future,
    sync::{Arc, Weak},
};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    pool::{Counters, Lease, Stats, UsageSeries},
};
use tokio::runtime::Handle;

pub use config::{CallLimits, PoolConfig, TimeoutNames};
pub use events::{Event, PoolListener};
pub use guards::PooledConnection;
use inner::PoolInner;
pub use metrics::refresh;
pub(crate) use metrics::{PoolMetrics, ReportMetrics, report_metrics_of};

/// The operations of a service on one connection: open, check, close.
///
/// The futures may be dropped at any point: dropping `connect` must leave nothing open.
pub trait Connect: Send + Sync + 'static {
    /// The pooled type. Dropping it must close it, if need be abruptly.
    type Connection: Send + 'static;

    /// Opens and authenticates a connection.
    fn connect(&self) -> impl Future<Output = Outcome<Self::Connection>> + Send;

    /// Whether a connection looks alive and clean, as far as can be told without waiting. Called when it is
    /// taken and when it comes back; false has it closed.
    fn is_usable(&self, connection: &Self::Connection) -> bool;

    /// Whether its borrower left something on a usable connection that the next one must not find. Called when it comes
    /// back, without waiting.
    fn needs_recycling(&self, _connection: &Self::Connection) -> bool {
        false
    }

    /// Removes what a borrower left. When it fails, the connection is closed.
    fn recycle(
        &self,
        _connection: &mut Self::Connection,
    ) -> impl Future<Output = Outcome<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Asks the server whether a connection still works.
    fn validate(
        &self,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Outcome<()>> + Send;

    /// Closes a connection by the protocol of the service; done when the connection is really gone.
    fn close(&self, connection: Self::Connection) -> impl Future<Output = ()> + Send;
}

/// A pool of connections. Clones are the same pool; when the last one and the last borrower are gone, its
/// free connections are closed.
pub struct Pool<C: Connect> {
    inner: Arc<PoolInner<C>>,
}

impl<C: Connect> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<C: Connect> Pool<C> {
    /// A pool whose tasks run on `runtime`. It opens nothing before the first acquire, unless its minimum
    /// says otherwise.
    pub fn new(connect: C, config: PoolConfig, runtime: Handle) -> Self {
        Self::with_listener(connect, config, runtime, None)
    }

    /// The same, with a listener for its events.
    pub fn with_listener(
        connect: C,
        config: PoolConfig,
        runtime: Handle,
        listener: Option<Arc<dyn PoolListener>>,
    ) -> Self {
        let inner = Arc::new(PoolInner::new(connect, config, runtime, listener));
        housekeeping::start(&inner);
        Self { inner }
    }

    /// Registers the pool in the metrics of the process under `name`, as one of type `kind`.
    pub fn register_metrics(&self, name: &str, kind: &str) {
        self.register_usage(name, kind, None);
    }

    /// The same, in series of its service, too.
    pub fn register_usage(&self, name: &str, kind: &str, usage: impl Into<Option<UsageSeries>>) {
        let pool: Weak<dyn ReportMetrics> = Arc::downgrade(&self.inner) as _;
        let max = self.inner.config.ledger.max;
        let usage = usage.into();
        self.inner.metrics.register((name, kind), max, usage, pool);
    }

    /// Runs `work` on the connection of a lease. The pool waits meanwhile: take what you need (a handle, a
    /// channel) and work with that.
    pub fn with<R>(&self, lease: Lease, work: impl FnOnce(&mut C::Connection) -> R) -> Outcome<R> {
        let mut state = self.inner.state();
        state.connection(lease).map(work).ok_or_else(|| {
            Failure::new(Kind::Closed, "The connection was already released").with_attempts(0)
        })
    }

    /// Releases a lease. False when it is not held, and then nothing changes.
    pub fn release(&self, lease: Lease) -> bool {
        self.inner.release(lease, true)
    }

    /// Releases a lease and has its connection closed. False when it is not held.
    pub fn discard(&self, lease: Lease) -> bool {
        self.inner.release(lease, false)
    }

    /// Closes the free connections that do not look alive any more.
    pub fn evict_unusable(&self) {
        self.inner.evict_unusable();
    }

    /// A connection has ended by itself: its pool tells of it, and closes it where it is free.
    pub fn on_lost(&self, failure: Failure) {
        self.inner.emit(|| Event::Lost(failure));
        self.inner.evict_unusable();
    }

    /// Closes the free connections, and those in use when they come back: the transport below all of them is gone.
    pub fn evict_all(&self) {
        self.inner.evict_all();
    }

    /// The current sizes.
    pub fn stats(&self) -> Stats {
        self.inner.state().ledger.stats()
    }

    /// The totals so far.
    pub fn counters(&self) -> Counters {
        self.inner.state().ledger.counters()
    }

    /// The configuration.
    pub fn config(&self) -> &PoolConfig {
        &self.inner.config
    }
}
