//! Guards: each stands for a right in the pool and gives it back when dropped.

use std::sync::Arc;

use moorline_core::{
    error::Outcome,
    pool::{Created, Lease, Refusal, Released, Ticket},
};
use tokio::sync::oneshot;

use super::{
    Connect,
    events::Event,
    inner::{AcquireOutcome, PoolInner, now},
};

/// A borrowed connection; it goes back when this is dropped.
pub struct PooledConnection<C: Connect> {
    inner: Arc<PoolInner<C>>,
    lease: Lease,
    detached: bool,
}

impl<C: Connect> PooledConnection<C> {
    pub(super) fn new(inner: Arc<PoolInner<C>>, lease: Lease) -> Self {
        Self {
            inner,
            lease,
            detached: false,
        }
    }

    /// The lease.
    pub const fn lease(&self) -> Lease {
        self.lease
    }

    /// Runs `work` on the connection, as [`super::Pool::with`]. `None` after the pool was closed by force.
    pub fn with<R>(&self, work: impl FnOnce(&mut C::Connection) -> R) -> Option<R> {
        self.inner.state().connection(self.lease).map(work)
    }

    /// Hands the lease over to the caller, which ends it with [`super::Pool::release`] or
    /// [`super::Pool::discard`].
    pub fn into_lease(mut self) -> Lease {
        self.detached = true;
        self.lease
    }

    /// Releases the lease and has its connection closed.
    pub fn discard(self) {
        let inner = Arc::clone(&self.inner);
        inner.release(self.into_lease(), false);
    }
}

impl<C: Connect> Drop for PooledConnection<C> {
    fn drop(&mut self) {
        if !self.detached {
            self.inner.release(self.lease, true);
        }
    }
}

/// A slot reserved for a connection yet to be opened.
pub(super) struct ReservedSlot<C: Connect> {
    inner: Arc<PoolInner<C>>,
    lease: Lease,
    used: bool,
}

impl<C: Connect> ReservedSlot<C> {
    pub(super) fn new(inner: Arc<PoolInner<C>>, lease: Lease) -> Self {
        Self {
            inner,
            lease,
            used: false,
        }
    }

    pub(super) const fn lease(&self) -> Lease {
        self.lease
    }

    /// The connection is open: it is the borrower's, unless the pool was closed by force meanwhile.
    pub(super) fn fill(mut self, connection: C::Connection) -> Outcome<PooledConnection<C>> {
        self.used = true;
        let mut state = self.inner.state();
        let Created::InUse(grant) = state.ledger.on_created(self.lease, now()) else {
            drop(state);
            self.inner.close(self.lease, Some(connection));
            return Err(Refusal::Closed.failure());
        };
        state.store(self.lease, connection);
        let borrowed = PooledConnection::new(Arc::clone(&self.inner), self.lease);
        self.inner.after_change(state, grant);
        Ok(borrowed)
    }
}

impl<C: Connect> Drop for ReservedSlot<C> {
    fn drop(&mut self) {
        if !self.used {
            let lease = self.lease;
            self.inner
                .on_vacated(|ledger, now| ledger.on_create_failed(lease, now));
        }
    }
}

/// A connection taken out of its slot to be checked or recycled. Abandoning that leaves it in an unknown state, so
/// dropping this closes it.
pub(super) struct DetachedConnection<C: Connect> {
    inner: Arc<PoolInner<C>>,
    lease: Lease,
    connection: Option<C::Connection>,
}

impl<C: Connect> DetachedConnection<C> {
    /// Takes the connection out; `None` when the lease was taken back.
    pub(super) fn begin(borrowed: PooledConnection<C>) -> Option<Self> {
        let inner = Arc::clone(&borrowed.inner);
        let mut state = inner.state();
        let connection = state
            .ledger
            .holds(borrowed.lease)
            .then(|| state.remove(borrowed.lease))??;
        drop(state);
        Some(Self {
            inner,
            lease: borrowed.into_lease(),
            connection: Some(connection),
        })
    }

    /// A connection that is to be recycled, under the lease which the ledger gave for it.
    pub(super) const fn new(
        inner: Arc<PoolInner<C>>,
        lease: Lease,
        connection: C::Connection,
    ) -> Self {
        Self {
            inner,
            lease,
            connection: Some(connection),
        }
    }

    pub(super) fn connection(&mut self) -> Option<&mut C::Connection> {
        self.connection.as_mut()
    }

    /// The check succeeded: the connection goes back into its slot. `None` when the lease was taken back meanwhile; then it is closed.
    pub(super) fn pass(mut self) -> Option<PooledConnection<C>> {
        let inner = Arc::clone(&self.inner);
        let mut state = inner.state();
        if !state.ledger.holds(self.lease) {
            drop(state);
            return None;
        }
        state.store(self.lease, self.connection.take()?);
        drop(state);
        Some(PooledConnection::new(inner, self.lease))
    }

    /// It was recycled: the connection goes back into its slot, for the next borrower.
    pub(super) fn recycled(mut self) {
        let inner = Arc::clone(&self.inner);
        let mut state = inner.state();
        let released = state.ledger.on_recycled(self.lease, now());
        if released == Released::UnknownLease {
            drop(state);
            return;
        }
        if let Some(connection) = self.connection.take() {
            state.store(self.lease, connection);
            inner.settle(state, self.lease, released);
        }
    }

    /// The check failed: the connection is closed in the background, after which its slot is reserved for a new one. `None` when
    /// the lease was taken back meanwhile.
    pub(super) fn fail(mut self) -> Option<oneshot::Receiver<ReservedSlot<C>>> {
        if !self.inner.state().ledger.recreate(self.lease) {
            return None;
        }
        let connection = self.connection.take()?;
        let reserved = ReservedSlot::new(Arc::clone(&self.inner), self.lease);
        let (sender, receiver) = oneshot::channel();
        self.inner.runtime.spawn(async move {
            let (inner, lease) = (Arc::clone(&reserved.inner), reserved.lease);
            inner.close_gracefully(connection).await;
            inner.emit(|| Event::Destroy { lease });
            // To a borrower that has left this is a drop, which frees the slot.
            let _ = sender.send(reserved);
        });
        Some(receiver)
    }
}

impl<C: Connect> Drop for DetachedConnection<C> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Not held any more means taken back by force; then its slot waits for this report as well.
            let _ = self.inner.state().ledger.discard(self.lease);
            self.inner.close(self.lease, Some(connection));
        }
    }
}

/// A connection being closed. Its slot is free when this is dropped, whether closing succeeded or not.
pub(super) struct ClosingGuard<C: Connect> {
    inner: Arc<PoolInner<C>>,
    lease: Lease,
}

impl<C: Connect> ClosingGuard<C> {
    pub(super) fn new(inner: Arc<PoolInner<C>>, lease: Lease) -> Self {
        Self { inner, lease }
    }

    pub(super) fn inner(&self) -> &PoolInner<C> {
        &self.inner
    }
}

impl<C: Connect> Drop for ClosingGuard<C> {
    fn drop(&mut self) {
        let lease = self.lease;
        self.inner.emit(|| Event::Destroy { lease });
        self.inner
            .on_vacated(|ledger, now| ledger.on_closed(lease, now));
    }
}

/// A place in the queue.
pub(super) struct QueuedWaiter<C: Connect> {
    inner: Arc<PoolInner<C>>,
    ticket: Ticket,
    receiver: oneshot::Receiver<AcquireOutcome<C>>,
}

impl<C: Connect> QueuedWaiter<C> {
    pub(super) fn new(
        inner: Arc<PoolInner<C>>,
        ticket: Ticket,
        receiver: oneshot::Receiver<AcquireOutcome<C>>,
    ) -> Self {
        Self {
            inner,
            ticket,
            receiver,
        }
    }

    pub(super) async fn outcome(mut self) -> AcquireOutcome<C> {
        let outcome = (&mut self.receiver).await;
        outcome.unwrap_or_else(|_| AcquireOutcome::Refused(Refusal::Closed.failure()))
    }
}

impl<C: Connect> Drop for QueuedWaiter<C> {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if state.ledger.cancel(self.ticket) {
            state.waiters.remove(&self.ticket);
        }
        // Otherwise the outcome was sent already: it is in the channel, or finds the channel closed, and is
        // dropped with it, after this lock is free again.
    }
}
