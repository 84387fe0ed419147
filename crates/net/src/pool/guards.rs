//! What stands for a right in the pool, and gives it back when dropped.

use std::sync::Arc;

use moorline_core::{
    error::Outcome,
    pool::{Lease, Refusal, Ticket},
};
use tokio::sync::oneshot;

use super::{
    Connect,
    events::Event,
    shared::{Shared, Turn, now},
};

/// A borrowed connection; it goes back when this is dropped.
pub struct Borrowed<C: Connect> {
    shared: Arc<Shared<C>>,
    lease: Lease,
    kept: bool,
}

impl<C: Connect> Borrowed<C> {
    pub(super) fn new(shared: Arc<Shared<C>>, lease: Lease) -> Self {
        Self {
            shared,
            lease,
            kept: false,
        }
    }

    /// Which lease this is.
    pub const fn lease(&self) -> Lease {
        self.lease
    }

    /// Runs `work` on the connection, as [`super::Pool::with`]. `None` after the pool was closed by force.
    pub fn with<R>(&self, work: impl FnOnce(&mut C::Connection) -> R) -> Option<R> {
        self.shared.books().connection(self.lease).map(work)
    }

    /// From here on the caller answers for the lease, with [`super::Pool::release`] or
    /// [`super::Pool::discard`].
    pub fn keep(mut self) -> Lease {
        self.kept = true;
        self.lease
    }

    /// Gives the lease back and has its connection closed.
    pub fn discard(self) {
        let shared = Arc::clone(&self.shared);
        shared.release(self.keep(), false);
    }
}

impl<C: Connect> Drop for Borrowed<C> {
    fn drop(&mut self) {
        if !self.kept {
            self.shared.release(self.lease, true);
        }
    }
}

/// A slot reserved for a connection yet to be opened.
pub(super) struct ReservedSlot<C: Connect> {
    shared: Arc<Shared<C>>,
    lease: Lease,
    used: bool,
}

impl<C: Connect> ReservedSlot<C> {
    pub(super) fn new(shared: Arc<Shared<C>>, lease: Lease) -> Self {
        Self {
            shared,
            lease,
            used: false,
        }
    }

    pub(super) const fn lease(&self) -> Lease {
        self.lease
    }

    /// The connection is open: it is the borrower's, unless the pool was closed by force meanwhile.
    pub(super) fn open(mut self, connection: C::Connection) -> Outcome<Borrowed<C>> {
        self.used = true;
        let mut books = self.shared.books();
        if books.ledger.created(self.lease, now()) {
            books.store(self.lease, connection);
            drop(books);
            return Ok(Borrowed::new(Arc::clone(&self.shared), self.lease));
        }
        drop(books);
        self.shared.close(self.lease, Some(connection));
        Err(Refusal::Closed.failure())
    }
}

impl<C: Connect> Drop for ReservedSlot<C> {
    fn drop(&mut self) {
        if !self.used {
            let lease = self.lease;
            self.shared
                .vacated(|ledger, now| ledger.create_failed(lease, now));
        }
    }
}

/// A connection taken out of its slot to be checked. Nobody knows in which state an abandoned check leaves
/// it, so dropping this closes it.
pub(super) struct ValidationGuard<C: Connect> {
    shared: Arc<Shared<C>>,
    lease: Lease,
    connection: Option<C::Connection>,
}

impl<C: Connect> ValidationGuard<C> {
    /// Takes the connection out; `None` when the lease was taken back.
    pub(super) fn begin(borrowed: Borrowed<C>) -> Option<Self> {
        let shared = Arc::clone(&borrowed.shared);
        let mut books = shared.books();
        let connection = books
            .ledger
            .holds(borrowed.lease)
            .then(|| books.remove(borrowed.lease))??;
        drop(books);
        Some(Self {
            shared,
            lease: borrowed.keep(),
            connection: Some(connection),
        })
    }

    pub(super) fn connection(&mut self) -> Option<&mut C::Connection> {
        self.connection.as_mut()
    }

    /// It works: back into its slot. `None` when the lease was taken back meanwhile; then it is closed.
    pub(super) fn passed(mut self) -> Option<Borrowed<C>> {
        let shared = Arc::clone(&self.shared);
        let mut books = shared.books();
        if !books.ledger.holds(self.lease) {
            drop(books);
            return None;
        }
        books.store(self.lease, self.connection.take()?);
        drop(books);
        Some(Borrowed::new(shared, self.lease))
    }

    /// It is dead: closed in the background, after which its slot is reserved for a new one. `None` when
    /// the lease was taken back meanwhile.
    pub(super) fn failed(mut self) -> Option<oneshot::Receiver<ReservedSlot<C>>> {
        if !self.shared.books().ledger.recreate(self.lease) {
            return None;
        }
        let connection = self.connection.take()?;
        let reserved = ReservedSlot::new(Arc::clone(&self.shared), self.lease);
        let (sender, receiver) = oneshot::channel();
        self.shared.runtime.spawn(async move {
            let (shared, lease) = (Arc::clone(&reserved.shared), reserved.lease);
            shared.close_gracefully(connection).await;
            shared.tell(|| Event::Destroy { lease });
            // To a borrower that has left this is a drop, which frees the slot.
            let _ = sender.send(reserved);
        });
        Some(receiver)
    }
}

impl<C: Connect> Drop for ValidationGuard<C> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Not held any more means taken back by force; then its slot waits for this report as well.
            let _ = self.shared.books().ledger.discard(self.lease);
            self.shared.close(self.lease, Some(connection));
        }
    }
}

/// A connection on its way out. Its slot is free when this is dropped, however the goodbye went.
pub(super) struct Closing<C: Connect> {
    shared: Arc<Shared<C>>,
    lease: Lease,
}

impl<C: Connect> Closing<C> {
    pub(super) fn new(shared: Arc<Shared<C>>, lease: Lease) -> Self {
        Self { shared, lease }
    }

    pub(super) fn shared(&self) -> &Shared<C> {
        &self.shared
    }
}

impl<C: Connect> Drop for Closing<C> {
    fn drop(&mut self) {
        let lease = self.lease;
        self.shared.tell(|| Event::Destroy { lease });
        self.shared.vacated(|ledger, now| ledger.closed(lease, now));
    }
}

/// A place in the queue.
pub(super) struct Place<C: Connect> {
    shared: Arc<Shared<C>>,
    ticket: Ticket,
    receiver: oneshot::Receiver<Turn<C>>,
}

impl<C: Connect> Place<C> {
    pub(super) fn new(
        shared: Arc<Shared<C>>,
        ticket: Ticket,
        receiver: oneshot::Receiver<Turn<C>>,
    ) -> Self {
        Self {
            shared,
            ticket,
            receiver,
        }
    }

    pub(super) async fn turn(mut self) -> Turn<C> {
        let turn = (&mut self.receiver).await;
        turn.unwrap_or_else(|_| Turn::Refused(Refusal::Closed.failure()))
    }
}

impl<C: Connect> Drop for Place<C> {
    fn drop(&mut self) {
        let mut books = self.shared.books();
        if books.ledger.cancel(self.ticket) {
            books.waiting.remove(&self.ticket);
        }
        // Otherwise the turn has come already: it lies in the channel, or finds the channel closed, and is
        // dropped with it, after this lock is free again.
    }
}
