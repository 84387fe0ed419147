//! The connector of the pool: opening and closing its connections.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU32, Ordering},
};

use moorline_core::error::Outcome;

use crate::libsql::{
    error::closed_failure,
    local::{LocalConnection, LocalTarget},
    remote::{RemoteConnection, transport::Transport},
};
use moorline_net::pool::Connect;

/// One pooled connection. Clones are the same connection, so that an operation can hold it while the pool
/// goes on.
#[derive(Clone)]
pub enum Connection {
    /// To a file or to memory.
    Local(Arc<LocalConnection>),
    /// To a server.
    Remote(Arc<RemoteConnection>),
}

impl Connection {
    /// Whether its last operation left it in a state in which it must not be lent again.
    fn is_tainted(&self) -> bool {
        match self {
            Self::Local(connection) => connection.is_tainted(),
            Self::Remote(connection) => connection.in_transaction(),
        }
    }

    /// Whether a transaction that was begun on it may still be open: only a server's is not known.
    pub(super) fn may_be_in_transaction(&self) -> bool {
        match self {
            Self::Local(connection) => connection.in_transaction(),
            Self::Remote(_) => true,
        }
    }

    /// Ends its use by a borrower.
    pub(super) fn on_release(&self) {
        if let Self::Local(connection) = self {
            connection.on_release();
        }
    }

    fn active_operations(&self) -> &AtomicU32 {
        match self {
            Self::Local(connection) => &connection.active_operations,
            Self::Remote(connection) => &connection.active_operations,
        }
    }

    /// Marks the begin of an operation on a local connection; call it while the pool is held still.
    pub fn begin_local(&mut self) -> Option<(Arc<LocalConnection>, OperationGuard)> {
        let Self::Local(connection) = self else {
            return None;
        };
        Some((Arc::clone(connection), self.begin()))
    }

    /// The same on a remote one.
    pub fn begin_remote(&mut self) -> Option<(Arc<RemoteConnection>, OperationGuard)> {
        let Self::Remote(connection) = self else {
            return None;
        };
        Some((Arc::clone(connection), self.begin()))
    }

    fn begin(&self) -> OperationGuard {
        self.active_operations().fetch_add(1, Ordering::AcqRel);
        OperationGuard(self.clone())
    }
}

/// The mark of an operation that has begun. Dropped unfinished, it stays: the state of the connection is then
/// unknown, so it is not lent again.
pub struct OperationGuard(Connection);

impl OperationGuard {
    /// Removes the mark: the operation has come to its own end.
    pub fn finish(self) {
        self.0.active_operations().fetch_sub(1, Ordering::AcqRel);
    }
}

/// Opens connections to one target.
pub enum LibsqlConnector {
    /// A file or memory.
    Local(LocalTarget),
    /// A server. The transport is its pool's, which lets go of it at its end.
    Remote(Weak<Transport>),
}

impl Connect for LibsqlConnector {
    type Connection = Connection;

    async fn connect(&self) -> Outcome<Connection> {
        Ok(match self {
            Self::Local(target) => {
                Connection::Local(Arc::new(LocalConnection::open(target.clone()).await?))
            }
            Self::Remote(transport) => {
                let transport = transport.upgrade();
                let transport = transport.ok_or_else(|| closed_failure("the pool was closed"))?;
                Connection::Remote(Arc::new(RemoteConnection::new(transport)))
            }
        })
    }

    /// A transaction left open, or a statement that still runs, would be the next borrower's surprise;
    /// closing interrupts and rolls back.
    fn is_usable(&self, connection: &Connection) -> bool {
        !connection.is_tainted() && connection.active_operations().load(Ordering::Acquire) == 0
    }

    /// Nothing to ask: a file is there or not, and a stream is judged by its age when it is used.
    async fn validate(&self, _: &mut Connection) -> Outcome<()> {
        Ok(())
    }

    async fn close(&self, connection: Connection) {
        match connection {
            Connection::Local(connection) => connection.close().await,
            Connection::Remote(connection) => connection.close().await,
        }
    }
}
