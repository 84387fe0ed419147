//! The pool's operations: statements on a borrowed connection, each under one deadline.

use std::{pin::Pin, sync::Arc, time::Duration};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::{Limit, TimeLimit},
    pool::{Lease, Stats, acquire_timed_out},
};
pub use moorline_net::pool::CallLimits;
use moorline_net::pool::{Pool, PoolListener, PooledConnection};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::sync::CancellationToken;

pub use super::call::{OwnedStatement, OwnedValue};
use super::{
    call::{Running, StatementCall},
    config::{Config, DRAIN_TIMEOUT},
    connect::{Connector, PoolCell},
    connection::Connection,
    error::SERVICE,
    metrics::{ConnectionSeries, MeasuringListener},
    password::PasswordSource,
    policy::CallPolicy,
    result::{ResultText, ValueTypes},
    session_sharing::SessionSharing,
};

/// The time by which the limit of a whole comes after those of its parts.
const GRACE: Duration = Duration::from_millis(10);

/// A pool of connections to a server.
pub struct PostgresPool {
    pool: Arc<Pool<Connector>>,
    config: Config,
    sharing: Arc<SessionSharing>,
    policy: Option<Arc<CallPolicy>>,
    name: String,
    series: Arc<ConnectionSeries>,
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
        let name = config.name();
        let (series, usage) = ConnectionSeries::new(&name, config);
        let series = Arc::new(series);
        let cell = PoolCell::default();
        let connector = Connector::new(config, passwords, runtime.clone(), &cell);
        let sharing = Arc::clone(connector.sharing());
        let listener = Arc::new(MeasuringListener::new(Arc::clone(&series), listener));
        let pool = Pool::with_listener(connector, config.pool, runtime, Some(listener));
        let pool = Arc::new(pool);
        let _ = cell.set(Arc::downgrade(&pool));
        if config.manager.is_monitoring {
            pool.register_usage(&name, SERVICE, usage);
        }
        Self {
            pool,
            config: config.clone(),
            sharing,
            policy: CallPolicy::new(&config.policy).map(Arc::new),
            name,
            series,
        }
    }

    /// The metrics of its connections.
    pub fn series(&self) -> &ConnectionSeries {
        &self.series
    }

    /// Where it is connected to, as it may be shown.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The options in force.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// A free connection at once, if there is one.
    pub fn take(&self) -> Option<Lease> {
        self.pool.take().map(PooledConnection::into_lease)
    }

    /// Whether a pooler shares its sessions with others: what is set for a session does not stay there.
    pub fn shares_sessions(&self) -> bool {
        self.sharing.is_shared()
    }

    /// A connection, after waiting for a free one, on which `settings` have run. The limit is that of all of it.
    pub fn acquire(
        &self,
        settings: Option<String>,
        limits: CallLimits,
    ) -> impl Future<Output = Outcome<Lease>> + Send + use<> {
        let limit = self.connection_limit(limits.timeout);
        let (pool, cancel) = (Arc::clone(&self.pool), limits.cancel);
        let prepared: Pending<Lease> = match self.policy.clone() {
            None => prepare(&pool, settings, limit, cancel),
            Some(policy) => Box::pin(async move {
                let acquire = || prepare(&pool, settings.clone(), limit, cancel.clone());
                policy.run("connect", &cancel, acquire).await
            }),
        };
        async move {
            prepared
                .await
                .map_err(|failure| failure.during(SERVICE, "connect"))
        }
    }

    /// The limit for waiting for a connection and for connecting, together.
    fn connection_limit(&self, given: Option<Limit<Duration>>) -> TimeLimit {
        given.map_or_else(
            || self.config.pool.acquire_timeout(),
            |time| TimeLimit {
                time,
                option: "timeoutMs",
            },
        )
    }

    /// Releases a lease; one that is not `usable` has its connection closed. False when it is not held.
    pub fn release(&self, lease: Lease, usable: bool) -> bool {
        if usable && self.config.manager.is_pooling {
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
            statement,
            types,
            limit: limits.timeout.unwrap_or(self.config.query_timeout),
            cancel: limits.cancel,
            connection_limit: self.connection_limit(None),
            is_pooling: self.config.manager.is_pooling,
            series: Arc::clone(&self.series),
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
        let running = call.send(connection)?;
        running.give_up_by(&call.cancel);
        Ok(running)
    }

    /// The current sizes.
    pub fn stats(&self) -> Stats {
        self.pool.stats()
    }

    /// Ends the pool, of which nothing is lent from the call on; true when no borrower had to be cut off.
    pub fn drain(
        &self,
        timeout: Option<Limit<Duration>>,
    ) -> impl Future<Output = bool> + Send + use<> {
        self.pool.drain(timeout.unwrap_or(DRAIN_TIMEOUT))
    }
}

/// An outcome that is waited for.
type Pending<T> = Pin<Box<dyn Future<Output = Outcome<T>> + Send>>;

/// Borrows a connection, on which `settings` have run.
fn prepare(
    pool: &Pool<Connector>,
    settings: Option<String>,
    limit: TimeLimit,
    cancel: CancellationToken,
) -> Pending<Lease> {
    let acquired = pool.acquire_within(limit, &cancel);
    Box::pin(within(limit, async move {
        let borrowed = acquired.await?;
        if let Some(settings) = settings {
            let connection = borrowed.with(|connection| Arc::clone(connection));
            let connection = connection.ok_or_else(closed)?;
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(Failure::aborted()),
                outcome = connection.run_to_end(&settings) => drop(outcome?),
            }
        }
        Ok(borrowed.into_lease())
    }))
}

/// The outcome of a borrower's wait, which has a limit as a whole.
async fn within<T>(limit: TimeLimit, borrowed: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let Limit::At(time) = limit.time else {
        return borrowed.await;
    };
    // Later than the limits of its parts, which say what took so long.
    timeout(time + GRACE, borrowed)
        .await
        .unwrap_or_else(|_| Err(acquire_timed_out(limit)))
}

fn closed() -> Failure {
    Failure::new(Kind::Closed, "The pool was closed").with_attempts(0)
}

/// How far a call has come when it returns.
enum Start {
    /// Its statement was handed over; with the connection that was borrowed for it.
    Sent(Outcome<Running>, Option<PooledConnection<Connector>>),
    /// It waits for a connection.
    Waiting(Pending<PooledConnection<Connector>>),
    /// It runs under the policies.
    Guarded(Pending<Vec<ResultText>>),
}

/// Hands a statement over to a free connection, or waits for one.
fn begin(pool: &Pool<Connector>, call: &StatementCall) -> Start {
    if let Some(borrowed) = pool.take() {
        let (running, borrowed) = send_on(borrowed, call);
        return Start::Sent(running, Some(borrowed));
    }
    let limit = call.connection_limit;
    let acquired = pool.acquire_within(limit, &call.cancel);
    Start::Waiting(Box::pin(within(limit, acquired)))
}

/// Its outcome; then its connection is released.
async fn finish(start: Start, call: &StatementCall) -> Outcome<Vec<ResultText>> {
    let (running, borrowed) = match start {
        Start::Sent(running, borrowed) => (running, borrowed),
        Start::Waiting(acquired) => {
            let (running, borrowed) = send_on(acquired.await?, call);
            (running, Some(borrowed))
        }
        Start::Guarded(outcome) => return outcome.await,
    };
    // Given back also by a call that is dropped.
    let _borrowed = borrowed.map(|borrowed| Borrowed::new(borrowed, call.is_pooling));
    running?.end(call).await
}

fn send_on(
    borrowed: PooledConnection<Connector>,
    call: &StatementCall,
) -> (Outcome<Running>, PooledConnection<Connector>) {
    let connection = borrowed.with(|connection| Arc::clone(connection));
    let sent = connection
        .ok_or_else(closed)
        .and_then(|connection| call.send(connection));
    (sent, borrowed)
}

/// A connection that is borrowed for one call, after which it is used again or not.
struct Borrowed {
    connection: Option<PooledConnection<Connector>>,
    is_reused: bool,
}

impl Borrowed {
    const fn new(connection: PooledConnection<Connector>, is_reused: bool) -> Self {
        Self {
            connection: Some(connection),
            is_reused,
        }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if self.is_reused {
            return;
        }
        if let Some(connection) = self.connection.take() {
            connection.discard();
        }
    }
}

fn during_query(failure: Failure) -> Failure {
    failure.during(SERVICE, "query")
}
