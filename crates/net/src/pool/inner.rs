//! The state shared by the clones of a pool, its guards and its tasks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use moorline_core::{
    error::Failure,
    limit::{Limit, TimeLimit},
    pool::{Condition, Grant, Lease, Ledger, Released, Ticket, acquire_timed_out, close_timed_out},
    sync::lock,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore, oneshot},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Connect,
    config::PoolConfig,
    events::{Event, PoolListener},
    guards::{ClosingGuard, DetachedConnection, PooledConnection, ReservedSlot},
    metrics::{PoolMetrics, ReportMetrics},
};

/// The outcome of an acquire, before dialling and checking.
pub(super) enum AcquireOutcome<C: Connect> {
    /// A connection, to be checked first when the flag is set.
    Ready(PooledConnection<C>, bool),
    /// A slot to open a connection for.
    Create(ReservedSlot<C>),
    /// A failure.
    Refused(Failure),
}

/// A queued acquire, by the channel to it and its own limit.
pub(super) struct Waiter<C: Connect> {
    pub(super) sender: oneshot::Sender<AcquireOutcome<C>>,
    pub(super) wait: TimeLimit,
}

/// Everything under the pool's one lock.
pub(super) struct PoolState<C: Connect> {
    pub(super) ledger: Ledger,
    /// By slot. Empty while the connection is being made, checked or closed.
    connections: Vec<Option<C::Connection>>,
    pub(super) waiters: HashMap<Ticket, Waiter<C>>,
    /// Until when the housekeeping loop sleeps; `None` when only a notification wakes it.
    pub(super) next_wakeup: Option<Instant>,
}

impl<C: Connect> PoolState<C> {
    /// The connection of a lease that is held.
    pub(super) fn connection(&mut self, lease: Lease) -> Option<&mut C::Connection> {
        if !self.ledger.holds(lease) {
            return None;
        }
        self.connections.get_mut(lease.slot as usize)?.as_mut()
    }

    /// The waiter a grant is for; it leaves the queue.
    fn waiter(&mut self, grant: Grant) -> Option<Waiter<C>> {
        let (Grant::Ready { ticket, .. } | Grant::Create { ticket, .. }) = grant;
        self.waiters.remove(&ticket)
    }

    pub(super) fn store(&mut self, lease: Lease, connection: C::Connection) {
        let slot = lease.slot as usize;
        if self.connections.len() <= slot {
            self.connections.resize_with(slot + 1, || None);
        }
        self.connections[slot] = Some(connection);
    }

    pub(super) fn remove(&mut self, lease: Lease) -> Option<C::Connection> {
        self.connections.get_mut(lease.slot as usize)?.take()
    }
}

pub(super) struct PoolInner<C: Connect> {
    pub(super) connect: Arc<C>,
    pub(super) config: PoolConfig,
    pub(super) runtime: Handle,
    listener: Option<Arc<dyn PoolListener>>,
    state: Mutex<PoolState<C>>,
    /// Wakes the housekeeping loop before its time.
    pub(super) wakeup: Arc<Notify>,
    /// The permits to dial: a borrower that replaces a dead connection has its slot already.
    pub(super) dials: Semaphore,
    /// Fires when the pool is closed by force: dialling and checking stop.
    pub(super) abort: CancellationToken,
    /// Fires when the pool has ended and its last connection is gone.
    pub(super) termination: CancellationToken,
    pub(super) metrics: PoolMetrics,
}

impl<C: Connect> PoolInner<C> {
    pub(super) fn new(
        connect: C,
        config: PoolConfig,
        runtime: Handle,
        listener: Option<Arc<dyn PoolListener>>,
    ) -> Self {
        Self {
            connect: Arc::new(connect),
            config,
            runtime,
            listener,
            state: Mutex::new(PoolState {
                ledger: Ledger::new(config.ledger),
                connections: Vec::new(),
                waiters: HashMap::new(),
                next_wakeup: None,
            }),
            wakeup: Arc::new(Notify::new()),
            dials: Semaphore::new(
                config
                    .ledger
                    .max_connecting
                    .get()
                    .map_or(Semaphore::MAX_PERMITS, |most| most as usize),
            ),
            abort: CancellationToken::new(),
            termination: CancellationToken::new(),
            metrics: PoolMetrics::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, PoolState<C>> {
        // No code of a service runs under this lock except `is_usable`, `needs_recycling` and `Pool::with`, which do not
        // change the state, so that a panic in one of them leaves it consistent.
        lock(&self.state)
    }

    pub(super) fn emit(&self, event: impl FnOnce() -> Event) {
        if let Some(listener) = &self.listener {
            listener.on_event(event());
        }
    }

    /// A borrower is done with its lease. False when it is not held.
    pub(super) fn release(self: &Arc<Self>, lease: Lease, reusable: bool) -> bool {
        let mut state = self.state();
        let connect = &self.connect;
        let condition = match state.connection(lease) {
            Some(connection) if reusable && connect.is_usable(connection) => {
                if connect.needs_recycling(connection) {
                    Condition::Dirty
                } else {
                    Condition::Clean
                }
            }
            _ => Condition::Broken,
        };
        let released = state.ledger.release(lease, now(), condition);
        let was_held = released != Released::UnknownLease;
        self.settle(state, lease, released);
        if was_held {
            self.emit(|| Event::Release { lease });
        }
        was_held
    }

    /// Does what became of a connection that came back.
    pub(super) fn settle(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, PoolState<C>>,
        lease: Lease,
        released: Released,
    ) {
        match released {
            Released::UnknownLease | Released::Idle => {}
            Released::Granted(grant) => {
                let waiter = state.waiter(grant);
                drop(state);
                self.serve(waiter, grant);
            }
            Released::Recycle(lease) => {
                let connection = state.remove(lease);
                drop(state);
                if let Some(connection) = connection {
                    self.recycle(DetachedConnection::new(Arc::clone(self), lease, connection));
                }
            }
            Released::Close => {
                let connection = state.remove(lease);
                drop(state);
                self.close(lease, connection);
            }
        }
    }

    /// Recycles a connection in the background, for the next borrower; closes it when that fails.
    fn recycle(self: &Arc<Self>, mut detached: DetachedConnection<C>) {
        let inner = Arc::clone(self);
        self.runtime.spawn(async move {
            let Some(connection) = detached.connection() else {
                return;
            };
            let limit = inner.config.recycle_timeout;
            let outcome = tokio::select! {
                biased;
                () = inner.abort.cancelled() => return,
                outcome = timeout(limit, inner.connect.recycle(connection)) => outcome,
            };
            if matches!(outcome, Ok(Ok(()))) {
                detached.recycled();
            }
        });
    }

    /// Closes the free connections at once, and those in use when they come back.
    pub(super) fn evict_all(self: &Arc<Self>) {
        let mut state = self.state();
        let evicted = state.ledger.evict_all(now());
        self.close_all(state, evicted);
    }

    /// Closes the free connections that do not look alive any more.
    pub(super) fn evict_unusable(self: &Arc<Self>) {
        let mut guard = self.state();
        let state = &mut *guard;
        let connections = &state.connections;
        let dead = state.ledger.evict(|slot| {
            let connection = connections.get(slot as usize).and_then(Option::as_ref);
            connection.is_some_and(|connection| !self.connect.is_usable(connection))
        });
        self.close_all(guard, dead);
    }

    /// Closes these connections, which the ledger has given up.
    fn close_all(self: &Arc<Self>, mut state: MutexGuard<'_, PoolState<C>>, leases: Vec<Lease>) {
        let closing: Vec<_> = leases
            .into_iter()
            .map(|lease| (lease, state.remove(lease)))
            .collect();
        drop(state);
        for (lease, connection) in closing {
            self.close(lease, connection);
        }
    }

    /// Closes a connection in the background and reports its slot free when it is really gone. Without a
    /// connection, its guard closes it.
    pub(super) fn close(self: &Arc<Self>, lease: Lease, connection: Option<C::Connection>) {
        let Some(connection) = connection else { return };
        let closing = ClosingGuard::new(Arc::clone(self), lease);
        self.runtime.spawn(async move {
            closing.inner().close_gracefully(connection).await;
            drop(closing);
        });
    }

    /// Closes a connection by the protocol of the service, or by dropping it when that takes too long.
    pub(super) async fn close_gracefully(&self, connection: C::Connection) {
        let limit = self.config.close_timeout;
        if timeout(limit, self.connect.close(connection))
            .await
            .is_err()
        {
            self.emit(|| Event::Error(close_timed_out(limit, self.config.names.close)));
        }
    }

    /// A slot became free without a connection in it.
    pub(super) fn on_vacated(
        self: &Arc<Self>,
        report: impl FnOnce(&mut Ledger, std::time::Instant) -> Option<Grant>,
    ) {
        let mut state = self.state();
        let grant = report(&mut state.ledger, now());
        self.after_change(state, grant);
    }

    /// Serves the waiter that a change of the ledger has led to, and wakes who waits for what it leads to next.
    pub(super) fn after_change(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, PoolState<C>>,
        grant: Option<Grant>,
    ) {
        let found = grant.map(|grant| (state.waiter(grant), grant));
        let drained = state.ledger.is_drained();
        // The minimum may have to be restored sooner than the housekeeping loop would.
        let due = state.ledger.next_due(now()).map(Instant::from_std);
        let sooner = due.is_some_and(|due| {
            state
                .next_wakeup
                .is_none_or(|next_wakeup| due < next_wakeup)
        });
        drop(state);
        if drained {
            self.termination.cancel();
        }
        if drained || sooner {
            self.wakeup.notify_one();
        }
        if let Some((waiter, grant)) = found {
            self.serve(waiter, grant);
        }
    }

    /// Passes a grant on. A waiter that has just left drops it, and the guard inside gives it back.
    fn serve(self: &Arc<Self>, waiter: Option<Waiter<C>>, grant: Grant) {
        let outcome = match grant {
            Grant::Ready {
                lease, validate, ..
            } => AcquireOutcome::Ready(PooledConnection::new(Arc::clone(self), lease), validate),
            Grant::Create { lease, .. } => {
                AcquireOutcome::Create(ReservedSlot::new(Arc::clone(self), lease))
            }
        };
        if let Some(waiter) = waiter {
            let _ = waiter.sender.send(outcome);
        }
    }

    /// Fails the waiters whose time ran out.
    pub(super) fn time_out(&self, expired: Vec<Waiter<C>>) {
        for Waiter { sender, wait } in expired {
            let after = wait.time.get().unwrap_or_default();
            let _ = sender.send(AcquireOutcome::Refused(acquire_timed_out(wait)));
            self.emit(|| Event::Timeout { after });
        }
    }
}

impl<C: Connect> ReportMetrics for PoolInner<C> {
    fn publish(&self) {
        self.metrics.update(|| {
            let state = self.state();
            let ledger = &state.ledger;
            (
                (!ledger.is_drained()).then(|| ledger.stats()),
                ledger.counters(),
            )
        });
    }
}

impl<C: Connect> Drop for PoolInner<C> {
    fn drop(&mut self) {
        // The housekeeping loop waits on its own reference to the notifier; this lets it see that the pool is gone.
        self.wakeup.notify_one();
        let limit = self.config.close_timeout;
        let mut state = lock(&self.state);
        let left: Vec<_> = state.connections.drain(..).flatten().collect();
        let mut counters = state.ledger.counters();
        counters.destroyed += left.len() as u64;
        self.metrics.update(|| (None, counters));
        for connection in left {
            let connect = Arc::clone(&self.connect);
            self.runtime.spawn(async move {
                let _ = timeout(limit, connect.close(connection)).await;
            });
        }
    }
}

/// The time, by the runtime's clock so that tests can stop it.
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Returns the value of `work`, if it completes in time.
pub(super) async fn completes_in<T>(
    limit: Limit<Duration>,
    work: impl Future<Output = T>,
) -> Option<T> {
    match limit {
        Limit::At(limit) => timeout(limit, work).await.ok(),
        Limit::Off => Some(work.await),
    }
}
