//! Opening and closing a pool's connections.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use moorline_core::error::Outcome;

use crate::libsql::{local::LocalConnection, remote::RemoteConnection, target::Target};
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
    /// Whether nobody else may use it as its last operation left it.
    fn is_spoiled(&self) -> bool {
        match self {
            Self::Local(connection) => connection.is_spoiled(),
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

    /// Its borrower goes.
    pub(super) fn give_back(&self) {
        if let Self::Local(connection) = self {
            connection.give_back();
        }
    }

    fn running(&self) -> &AtomicU32 {
        match self {
            Self::Local(connection) => &connection.running,
            Self::Remote(connection) => &connection.running,
        }
    }

    /// Marks the begin of an operation on a local connection; call it while the pool is held still.
    pub fn begin_local(&mut self) -> Option<(Arc<LocalConnection>, Running)> {
        let Self::Local(connection) = self else {
            return None;
        };
        Some((Arc::clone(connection), self.begin()))
    }

    /// The same on a remote one.
    pub fn begin_remote(&mut self) -> Option<(Arc<RemoteConnection>, Running)> {
        let Self::Remote(connection) = self else {
            return None;
        };
        Some((Arc::clone(connection), self.begin()))
    }

    fn begin(&self) -> Running {
        self.running().fetch_add(1, Ordering::AcqRel);
        Running(self.clone())
    }
}

/// An operation that has begun. One that is dropped unfinished leaves its mark: nobody knows where the
/// connection stands, so it is not lent again.
pub struct Running(Connection);

impl Running {
    /// The operation has come to its own end.
    pub fn finish(self) {
        self.0.running().fetch_sub(1, Ordering::AcqRel);
    }
}

/// Opens connections to one target.
pub struct Dial(pub Target);

impl Connect for Dial {
    type Connection = Connection;

    async fn connect(&self) -> Outcome<Connection> {
        Ok(match &self.0 {
            Target::Local(target) => {
                Connection::Local(Arc::new(LocalConnection::open(target.clone()).await?))
            }
            Target::Remote(target) => {
                Connection::Remote(Arc::new(RemoteConnection::new(target.clone())))
            }
        })
    }

    /// A transaction left open, or a statement that still runs, would be the next borrower's surprise;
    /// closing interrupts and rolls back.
    fn is_usable(&self, connection: &Connection) -> bool {
        !connection.is_spoiled() && connection.running().load(Ordering::Acquire) == 0
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
