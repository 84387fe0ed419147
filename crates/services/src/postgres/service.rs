//! The pool's operations: statements on a borrowed connection, each under one deadline.

use std::{pin::Pin, sync::Arc, time::Duration};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::Limit,
    pool::{Lease, Stats},
};
pub use moorline_net::pool::CallLimits;
use moorline_net::pool::{Pool, PoolListener, PooledConnection};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use super::call::{OwnedStatement, OwnedValue};
use super::call::{Running, StatementCall};
use super::{
    config::{Config, DRAIN_TIMEOUT, StatementMode},
    connect::{Connector, PoolCell},
    connection::Connection,
    error::SERVICE,
    password::PasswordSource,
    policy::CallPolicy,
    result::{ResultText, ValueTypes},
};

/// A pool of connections to a server.
pub struct PostgresPool {
    pool: Arc<Pool<Connector>>,
    query_timeout: Limit<Duration>,
    statement_mode: StatementMode,
    policy: Option<Arc<CallPolicy>>,
    name: String,
}

impl PostgresPool {
    /// A pool that opens its connections as they are asked for. `passwords` gives the password of a configuration that leaves it
    /// to a function.
    pub fn open(
        config: &Config,
        runtime: Handle,
        listener: Arc<dyn PoolListener>,
        passwords: Option<&Arc<dyn PasswordSource>>,
    ) -> Self {
        let cell = PoolCell::default();
        let connector = Connector::new(config, passwords, runtime.clone(), Arc::clone(&cell));
        let pool = Pool::with_listener(connector, config.pool, runtime, Some(listener));
        let pool = Arc::new(pool);
        let _ = cell.set(Arc::downgrade(&pool));
        let name = config.name();
        pool.register_metrics(&name, SERVICE);
        Self {
            pool,
            query_timeout: config.query_timeout,
            statement_mode: config.statement_mode,
            policy: CallPolicy::new(&config.policy).map(Arc::new),
            name,
        }
    }

    /// Where it is connected to, as it may be shown.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A free connection at once, if there is one.
    pub fn take(&self) -> Option<Lease> {
        self.pool.take().map(PooledConnection::into_lease)
    }

    /// A connection, after waiting for a free one.
    pub fn acquire(
        &self,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Outcome<Lease>> + Send + use<> {
        let acquired: Acquired = match self.policy.clone() {
            None => Box::pin(self.pool.acquire(cancel)),
            Some(policy) => {
                let (pool, cancel) = (Arc::clone(&self.pool), cancel.clone());
                Box::pin(async move {
                    let acquire = || -> Acquired { Box::pin(pool.acquire(&cancel)) };
                    policy.run("connect", &cancel, acquire).await
                })
            }
        };
        async move {
            acquired
                .await
                .map(PooledConnection::into_lease)
                .map_err(|failure| failure.during(SERVICE, "connect"))
        }
    }

    /// Releases a lease; one that is not `usable` has its connection closed. False when it is not held.
    pub fn release(&self, lease: Lease, usable: bool) -> bool {
        if usable {
            let forget = |connection: &mut Arc<Connection>| connection.statements().forget_names();
            let _ = self.pool.with(lease, forget);
            self.pool.release(lease)
        } else {
            self.pool.discard(lease)
        }
    }

    /// The connection of a lease.
    pub fn connection(&self, lease: Lease) -> Outcome<Arc<Connection>> {
        self.pool.with(lease, |connection| Arc::clone(connection))
    }

    /// Runs a statement on the connection of `lease`, or on one that is borrowed for it. Calls on one lease keep the order in
    /// which this was called, whichever of their futures is polled first.
    pub fn run(
        &self,
        lease: Option<Lease>,
        statement: OwnedStatement,
        types: ValueTypes,
        limits: CallLimits,
    ) -> impl Future<Output = Outcome<Vec<ResultText>>> + Send + use<> {
        let call = Arc::new(StatementCall {
            is_prepared: statement.name.is_some() && self.statement_mode == StatementMode::Named,
            statement,
            types,
            limit: limits.timeout.unwrap_or(self.query_timeout),
            cancel: limits.cancel,
        });
        let start = match (lease, self.policy.clone()) {
            (Some(lease), _) => Start::Sent(self.send_for(lease, &call), None),
            (None, None) => begin(&self.pool, &call),
            (None, Some(policy)) => {
                let (pool, call) = (Arc::clone(&self.pool), Arc::clone(&call));
                Start::Guarded(Box::pin(async move {
                    let run = || finish(begin(&pool, &call), &call);
                    policy.run("query", &call.cancel, run).await
                }))
            }
        };
        async move { finish(start, &call).await.map_err(during_query) }
    }

    /// Sends a statement of a borrower's, who keeps the connection.
    fn send_for(&self, lease: Lease, call: &StatementCall) -> Outcome<Running> {
        let connection = self.connection(lease)?;
        if let Some(name) = &call.statement.name {
            let text = &call.statement.text;
            connection.statements().claim_name(name, text)?;
        }
        call.send(connection)
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

/// A connection that is waited for.
type Acquired = Pin<Box<dyn Future<Output = Outcome<PooledConnection<Connector>>> + Send>>;

/// How far a call has come when it returns.
enum Start {
    /// Its statement was handed over; with the connection that was borrowed for it.
    Sent(Outcome<Running>, Option<PooledConnection<Connector>>),
    /// It waits for a connection.
    Waiting(Acquired),
    /// It runs under the policies.
    Guarded(Pin<Box<dyn Future<Output = Outcome<Vec<ResultText>>> + Send>>),
}

/// Hands a statement over to a free connection, or waits for one.
fn begin(pool: &Pool<Connector>, call: &StatementCall) -> Start {
    match pool.take() {
        Some(borrowed) => {
            let (running, borrowed) = send_on(borrowed, call);
            Start::Sent(running, Some(borrowed))
        }
        None => Start::Waiting(Box::pin(pool.acquire(&call.cancel))),
    }
}

/// Its outcome; then its connection is released.
async fn finish(start: Start, call: &StatementCall) -> Outcome<Vec<ResultText>> {
    let (running, _borrowed) = match start {
        Start::Sent(running, borrowed) => (running, borrowed),
        Start::Waiting(acquired) => {
            let (running, borrowed) = send_on(acquired.await?, call);
            (running, Some(borrowed))
        }
        Start::Guarded(outcome) => return outcome.await,
    };
    running?.end(call).await
}

fn send_on(
    borrowed: PooledConnection<Connector>,
    call: &StatementCall,
) -> (Outcome<Running>, PooledConnection<Connector>) {
    let connection = borrowed.with(|connection| Arc::clone(connection));
    let closed = || Failure::new(Kind::Closed, "The pool was closed").with_attempts(0);
    let sent = connection
        .ok_or_else(closed)
        .and_then(|connection| call.send(connection));
    (sent, borrowed)
}

fn during_query(failure: Failure) -> Failure {
    failure.during(SERVICE, "query")
}
