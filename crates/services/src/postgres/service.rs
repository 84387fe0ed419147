//! The pool's operations: statements on a borrowed connection, each under one deadline.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    limit::Limit,
    pool::{Lease, Stats},
};
use moorline_net::pool::{Pool, PoolListener};
use tokio::{runtime::Handle, sync::oneshot, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    config::{Config, DRAIN_TIMEOUT},
    connect::{Connector, Evict, PoolCell},
    connection::{Connection, Ticket},
    driver::TransactionStatus,
    error::SERVICE,
    password::PasswordSource,
    result::{ResultText, ValueTypes},
    statement::{Statement, Value},
};

/// The option that bounds a statement.
const QUERY_TIMEOUT: &str = "queryTimeoutMs";

/// A statement that outlives the call that gave it.
#[derive(Clone, Debug, Default)]
pub struct OwnedStatement {
    /// The text.
    pub text: String,
    /// The values; `None` sends the text alone.
    pub values: Option<Vec<OwnedValue>>,
}

/// A value of it.
#[derive(Clone, Debug)]
pub enum OwnedValue {
    /// NULL.
    Null,
    /// In the text format.
    Text(String),
    /// In the binary format.
    Bytes(Vec<u8>),
}

/// The limits of a call.
#[derive(Clone, Debug)]
pub struct CallLimits {
    /// In place of the pool's `queryTimeoutMs`.
    pub timeout: Option<Limit<Duration>>,
    /// Fires when the caller gives up.
    pub cancel: CancellationToken,
}

/// A pool of connections to a server.
pub struct PostgresPool {
    pool: Arc<Pool<Connector>>,
    query_timeout: Limit<Duration>,
    name: String,
}

impl PostgresPool {
    /// A pool that opens its connections as they are asked for.
    pub fn open(config: &Config, runtime: Handle, listener: Arc<dyn PoolListener>) -> Self {
        Self::open_with(config, runtime, listener, None)
    }

    /// The same, where `passwords` gives the password of a configuration that leaves it to a function.
    pub fn open_with(
        config: &Config,
        runtime: Handle,
        listener: Arc<dyn PoolListener>,
        passwords: Option<&Arc<dyn PasswordSource>>,
    ) -> Self {
        let cell = PoolCell::default();
        let connector = Connector::new(config, passwords, runtime.clone(), Arc::clone(&cell));
        let pool = Pool::with_listener(connector, config.pool, runtime, Some(listener));
        let pool = Arc::new(pool);
        let shared: Weak<dyn Evict> = Arc::downgrade(&pool) as _;
        let _ = cell.set(shared);
        let name = config.name();
        pool.register_metrics(&name, SERVICE);
        Self {
            pool,
            query_timeout: config.query_timeout,
            name,
        }
    }

    /// Where it is connected to, as it may be shown.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A free connection at once, if there is one.
    pub fn take(&self) -> Option<Lease> {
        self.pool
            .take()
            .map(moorline_net::pool::PooledConnection::into_lease)
    }

    /// A connection, after waiting for a free one.
    pub fn acquire(
        &self,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Outcome<Lease>> + Send + use<> {
        let acquired = self.pool.acquire(cancel);
        async move {
            let acquired = acquired.await;
            acquired
                .map(moorline_net::pool::PooledConnection::into_lease)
                .map_err(|failure| failure.during(SERVICE, "connect"))
        }
    }

    /// Releases a lease; one that is not `usable` has its connection closed. False when it is not held.
    pub fn release(&self, lease: Lease, usable: bool) -> bool {
        if usable {
            self.pool.release(lease)
        } else {
            self.pool.discard(lease)
        }
    }

    /// The connection of a lease.
    pub fn connection(&self, lease: Lease) -> Outcome<Arc<Connection>> {
        self.pool.with(lease, |connection| Arc::clone(connection))
    }

    /// The state of the transaction on a lease.
    pub fn transaction_status(&self, lease: Lease) -> Option<TransactionStatus> {
        let connection = self.connection(lease).ok()?;
        Some(connection.transaction_status())
    }

    /// Runs a statement on the connection of `lease`, or on one that is borrowed for it.
    pub async fn run(
        &self,
        lease: Option<Lease>,
        statement: OwnedStatement,
        types: ValueTypes,
        limits: CallLimits,
    ) -> Outcome<Vec<ResultText>> {
        let outcome = match lease {
            Some(lease) => {
                let connection = self.connection(lease)?;
                self.run_on(&connection, &statement, types, &limits).await
            }
            None => {
                let borrowed = self.pool.acquire(&limits.cancel).await;
                let borrowed = borrowed.map_err(|failure| failure.during(SERVICE, "query"))?;
                let connection = borrowed.with(|connection| Arc::clone(connection));
                let closed = || Failure::new(Kind::Closed, "The pool was closed");
                let connection = connection.ok_or_else(closed)?;
                self.run_on(&connection, &statement, types, &limits).await
            }
        };
        outcome.map_err(|failure| failure.during(SERVICE, "query"))
    }

    async fn run_on(
        &self,
        connection: &Connection,
        statement: &OwnedStatement,
        types: ValueTypes,
        limits: &CallLimits,
    ) -> Outcome<Vec<ResultText>> {
        let (sender, mut receiver) = oneshot::channel();
        let values: Option<Vec<_>> = statement.values.as_ref().map(|values| {
            let borrow = |value| match value {
                &OwnedValue::Null => Value::Null,
                OwnedValue::Text(text) => Value::Text(text),
                OwnedValue::Bytes(bytes) => Value::Bytes(bytes),
            };
            values.iter().map(borrow).collect()
        });
        let borrowed = Statement {
            text: &statement.text,
            values: values.as_deref(),
        };
        let ticket = connection.run(&borrowed, types, |(outcome, _)| {
            let _ = sender.send(outcome);
        })?;
        let limit = limits.timeout.unwrap_or(self.query_timeout);
        let ended = tokio::select! {
            biased;
            outcome = &mut receiver => return outcome.unwrap_or_else(|_| Err(Failure::defect())),
            ended = Self::give_up(limit, &limits.cancel) => ended,
        };
        Self::cancel(connection, &ticket, receiver, ended).await
    }

    /// Waits for the end of the time, or of the caller's interest.
    async fn give_up(limit: Limit<Duration>, cancel: &CancellationToken) -> Failure {
        let cancelled = async {
            cancel.cancelled().await;
            Failure::aborted()
        };
        match limit {
            Limit::Off => cancelled.await,
            Limit::At(after) => timeout(after, cancelled).await.unwrap_or_else(|_| {
                let message = format!("The statement took longer than {}ms", after.as_millis());
                Failure::timed_out(Kind::Timeout, message, QUERY_TIMEOUT)
            }),
        }
    }

    /// Has the server cancel what is no longer wanted. The caller hears at once; nobody else gets the connection before the
    /// server has answered.
    async fn cancel(
        connection: &Connection,
        ticket: &Ticket,
        mut receiver: oneshot::Receiver<Outcome<Vec<ResultText>>>,
        ended: Failure,
    ) -> Outcome<Vec<ResultText>> {
        connection.cancel(ticket);
        // What was not sent is known to have had no effect.
        if let Ok(Err(failure)) = receiver.try_recv() {
            return Err(ended.with_delivery(failure.delivery));
        }
        Err(ended.with_delivery(Delivery::Unknown))
    }

    /// The current sizes.
    pub fn stats(&self) -> Stats {
        self.pool.stats()
    }

    /// Ends the pool; true when no borrower had to be cut off.
    pub async fn drain(&self, timeout: Option<Limit<Duration>>) -> bool {
        self.pool.drain(timeout.unwrap_or(DRAIN_TIMEOUT)).await
    }
}
