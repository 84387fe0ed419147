//! What the clones of a pool, its guards and its tasks share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use moorline_core::{
    error::Failure,
    limit::TimeLimit,
    pool::{Grant, Lease, Ledger, Released, Ticket, acquire_timed_out, close_timed_out},
    sync::lock,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Connect,
    events::{Event, Listen},
    guards::{Borrowed, Closing, ReservedSlot},
    published::{Publish, Published},
    settings::PoolSettings,
};

/// What a waiter finally gets.
pub(super) enum Turn<C: Connect> {
    /// A connection, to be checked first when the flag is set.
    Ready(Borrowed<C>, bool),
    /// A slot to open a connection for.
    Create(ReservedSlot<C>),
    /// Nothing.
    Refused(Failure),
}

/// The other end of somebody who waits.
pub(super) struct Waiting<C: Connect> {
    pub(super) sender: oneshot::Sender<Turn<C>>,
    pub(super) wait: TimeLimit,
}

/// Everything under the pool's one lock.
pub(super) struct PoolState<C: Connect> {
    pub(super) ledger: Ledger,
    /// By slot. Empty while the connection is being made, checked or closed.
    connections: Vec<Option<C::Connection>>,
    pub(super) waiting: HashMap<Ticket, Waiting<C>>,
    /// Until when the housekeeper sleeps; `None` when only a wakeup wakes it.
    pub(super) alarm: Option<Instant>,
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
    fn waiter(&mut self, grant: Grant) -> Option<Waiting<C>> {
        let (Grant::Ready { ticket, .. } | Grant::Create { ticket, .. }) = grant;
        self.waiting.remove(&ticket)
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

pub(super) struct Shared<C: Connect> {
    pub(super) connect: Arc<C>,
    pub(super) settings: PoolSettings,
    pub(super) runtime: Handle,
    listener: Option<Arc<dyn Listen>>,
    books: Mutex<PoolState<C>>,
    /// Wakes the housekeeper before its alarm.
    pub(super) wakeup: Arc<Notify>,
    /// Fires when the pool is closed by force: dialling and checking stop.
    pub(super) cut: CancellationToken,
    /// Fires when the pool has ended and its last connection is gone.
    pub(super) gone: CancellationToken,
    pub(super) published: Published,
}

impl<C: Connect> Shared<C> {
    pub(super) fn new(
        connect: C,
        settings: PoolSettings,
        runtime: Handle,
        listener: Option<Arc<dyn Listen>>,
    ) -> Self {
        Self {
            connect: Arc::new(connect),
            settings,
            runtime,
            listener,
            books: Mutex::new(PoolState {
                ledger: Ledger::new(settings.limits),
                connections: Vec::new(),
                waiting: HashMap::new(),
                alarm: None,
            }),
            wakeup: Arc::new(Notify::new()),
            cut: CancellationToken::new(),
            gone: CancellationToken::new(),
            published: Published::default(),
        }
    }

    pub(super) fn books(&self) -> MutexGuard<'_, PoolState<C>> {
        // Nothing of the user's runs under this lock except `is_usable` and `Pool::with`, which leave the
        // books as they are, so a panic in one of them does not spoil them.
        lock(&self.books)
    }

    pub(super) fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(listener) = &self.listener {
            listener.heard(event());
        }
    }

    /// A borrower is done with its lease. False when it is not held.
    pub(super) fn release(self: &Arc<Self>, lease: Lease, reusable: bool) -> bool {
        let mut books = self.books();
        let usable = reusable
            && books
                .connection(lease)
                .is_some_and(|connection| self.connect.is_usable(connection));
        match books.ledger.release(lease, now(), usable) {
            Released::UnknownLease => return false,
            Released::Idle => drop(books),
            Released::Granted(grant) => {
                let waiting = books.waiter(grant);
                drop(books);
                self.serve(waiting, grant);
            }
            Released::Close => {
                let connection = books.remove(lease);
                drop(books);
                self.close(lease, connection);
            }
        }
        self.tell(|| Event::Release { lease });
        true
    }

    /// Closes the free connections that do not look alive any more.
    pub(super) fn evict_unusable(self: &Arc<Self>) {
        let mut guard = self.books();
        let books = &mut *guard;
        let connections = &books.connections;
        let dead = books.ledger.evict(|slot| {
            let connection = connections.get(slot as usize).and_then(Option::as_ref);
            connection.is_some_and(|connection| !self.connect.is_usable(connection))
        });
        let dead: Vec<_> = dead
            .into_iter()
            .map(|lease| (lease, books.remove(lease)))
            .collect();
        drop(guard);
        for (lease, connection) in dead {
            self.close(lease, connection);
        }
    }

    /// Closes a connection in the background and reports its slot free when it is really gone. Without a
    /// connection somebody else has it in hand and closes it.
    pub(super) fn close(self: &Arc<Self>, lease: Lease, connection: Option<C::Connection>) {
        let Some(connection) = connection else { return };
        let closing = Closing::new(Arc::clone(self), lease);
        self.runtime.spawn(async move {
            closing.shared().close_gracefully(connection).await;
            drop(closing);
        });
    }

    /// Closes a connection, the hard way when the soft way takes too long.
    pub(super) async fn close_gracefully(&self, connection: C::Connection) {
        let limit = self.settings.close_timeout;
        if timeout(limit, self.connect.close(connection))
            .await
            .is_err()
        {
            self.tell(|| Event::Error(close_timed_out(limit, self.settings.names.close)));
        }
    }

    /// A slot became free without a connection in it.
    pub(super) fn vacated(
        self: &Arc<Self>,
        report: impl FnOnce(&mut Ledger, std::time::Instant) -> Option<Grant>,
    ) {
        let mut books = self.books();
        let grant = report(&mut books.ledger, now());
        let found = grant.map(|grant| (books.waiter(grant), grant));
        let drained = books.ledger.is_drained();
        // The minimum may have to be restored sooner than the housekeeper would look.
        let due = books.ledger.next_due(now()).map(Instant::from_std);
        let sooner = due.is_some_and(|due| books.alarm.is_none_or(|alarm| due < alarm));
        drop(books);
        if drained {
            self.gone.cancel();
        }
        if drained || sooner {
            self.wakeup.notify_one();
        }
        if let Some((waiting, grant)) = found {
            self.serve(waiting, grant);
        }
    }

    /// Passes a grant on. A waiter that has just left drops it, and the guard inside gives it back.
    fn serve(self: &Arc<Self>, waiting: Option<Waiting<C>>, grant: Grant) {
        let turn = match grant {
            Grant::Ready {
                lease, validate, ..
            } => Turn::Ready(Borrowed::new(Arc::clone(self), lease), validate),
            Grant::Create { lease, .. } => Turn::Create(ReservedSlot::new(Arc::clone(self), lease)),
        };
        if let Some(waiting) = waiting {
            let _ = waiting.sender.send(turn);
        }
    }

    /// Tells those whose time ran out.
    pub(super) fn time_out(&self, late: Vec<Waiting<C>>) {
        for Waiting { sender, wait } in late {
            let after = wait.time.get().unwrap_or_default();
            let _ = sender.send(Turn::Refused(acquire_timed_out(wait)));
            self.tell(|| Event::Timeout { after });
        }
    }
}

impl<C: Connect> Publish for Shared<C> {
    fn publish(&self) {
        self.published.update(|| {
            let books = self.books();
            let stats = (!books.ledger.is_drained()).then(|| books.ledger.stats());
            (stats, books.ledger.counters())
        });
    }
}

impl<C: Connect> Drop for Shared<C> {
    fn drop(&mut self) {
        // The housekeeper sleeps on its own reference to the bell; this lets it see that the pool is gone.
        self.wakeup.notify_one();
        let limit = self.settings.close_timeout;
        let mut books = lock(&self.books);
        let left: Vec<_> = books.connections.drain(..).flatten().collect();
        let mut counters = books.ledger.counters();
        counters.destroyed += left.len() as u64;
        self.published.update(|| (None, counters));
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
