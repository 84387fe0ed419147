//! The pool's operations: statements on a borrowed connection, each under one deadline.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    limit::{Limit, TimeLimit},
    pool::{Lease, Stats, acquire_timed_out},
};
pub use moorline_net::pool::CallLimits;
use moorline_net::pool::{Pool, PoolListener, PooledConnection};
use tokio::{runtime::Handle, sync::oneshot, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    config::{Config, DRAIN_TIMEOUT},
    connect::{Connector, PoolCell},
    connection::{Connection, Ticket},
    error::SERVICE,
    metrics::{ConnectionSeries, MeasuringListener},
    password::PasswordSource,
    result::{ResultText, ValueTypes},
    session_sharing::SessionSharing,
    statement::{Statement, Value},
};

/// The time by which the limit of a whole comes after those of its parts.
const GRACE: Duration = Duration::from_millis(10);
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

impl OwnedStatement {
    /// Its values, as they are sent.
    pub(super) fn borrow_values(&self) -> Option<Vec<Value<'_>>> {
        let values = self.values.as_ref()?;
        Some(values.iter().map(OwnedValue::borrow).collect())
    }

    /// The statement, with these of its values.
    pub(super) fn borrow<'a>(&'a self, values: Option<&'a [Value<'a>]>) -> Statement<'a> {
        Statement {
            text: &self.text,
            values,
        }
    }
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

impl OwnedValue {
    fn borrow(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

/// A pool of connections to a server.
pub struct PostgresPool {
    pool: Arc<Pool<Connector>>,
    config: Config,
    sharing: Arc<SessionSharing>,
    name: String,
    series: Arc<ConnectionSeries>,
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
        let acquired = Box::pin(self.pool.acquire_within(limit, &limits.cancel));
        async move {
            let prepared = async {
                let borrowed = acquired.await?;
                if let Some(settings) = settings {
                    let connection = borrowed.with(|connection| Arc::clone(connection));
                    let connection = connection.ok_or_else(closed)?;
                    tokio::select! {
                        biased;
                        () = limits.cancel.cancelled() => return Err(Failure::aborted()),
                        outcome = connection.run_to_end(&settings) => drop(outcome?),
                    }
                }
                Ok(borrowed.into_lease())
            };
            let outcome = within(limit, prepared).await;
            outcome.map_err(|failure| failure.during(SERVICE, "connect"))
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
        let (query_timeout, series) = (self.config.query_timeout, Arc::clone(&self.series));
        let is_pooling = self.config.manager.is_pooling;
        let start = match lease {
            Some(lease) => Start::Sent(
                self.connection(lease)
                    .and_then(|connection| Running::send(connection, &statement, types))
                    .inspect(|running| running.give_up_by(&limits.cancel)),
                None,
            ),
            None => {
                if let Some(borrowed) = self.pool.take() {
                    let (running, borrowed) = Self::send_on(borrowed, &statement, types);
                    Start::Sent(running, Some(borrowed))
                } else {
                    let limit = self.connection_limit(None);
                    let acquired = self.pool.acquire_within(limit, &limits.cancel);
                    Start::Waiting(Box::pin(within(limit, acquired)))
                }
            }
        };
        async move {
            let (running, borrowed) = match start {
                Start::Sent(running, borrowed) => (running, borrowed),
                Start::Waiting(acquired) => {
                    let borrowed = acquired.await.map_err(during_query)?;
                    let (running, borrowed) = Self::send_on(borrowed, &statement, types);
                    (running, Some(borrowed))
                }
            };
            // Given back also by a call that is dropped.
            let borrowed = borrowed.map(|borrowed| Borrowed::new(borrowed, is_pooling));
            let running = running.map_err(during_query)?;
            let (connection, began) = (Arc::clone(&running.connection), running.began);
            let limit = limits.timeout.unwrap_or(query_timeout);
            let outcome = running.end(limit, &limits.cancel).await;
            series.on_statement(connection.server(), began, &outcome);
            drop(borrowed);
            outcome.map_err(during_query)
        }
    }

    fn send_on(
        borrowed: PooledConnection<Connector>,
        statement: &OwnedStatement,
        types: ValueTypes,
    ) -> (Outcome<Running>, PooledConnection<Connector>) {
        let connection = borrowed.with(|connection| Arc::clone(connection));
        let sent = connection
            .ok_or_else(closed)
            .and_then(|connection| Running::send(connection, statement, types));
        (sent, borrowed)
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
enum Start<F> {
    /// Its statement was handed over; with the connection that was borrowed for it.
    Sent(Outcome<Running>, Option<PooledConnection<Connector>>),
    /// It waits for a connection.
    Waiting(F),
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

/// A statement that was handed over.
struct Running {
    connection: Arc<Connection>,
    began: Instant,
    ticket: Ticket,
    receiver: oneshot::Receiver<Outcome<Vec<ResultText>>>,
}

impl Running {
    fn send(
        connection: Arc<Connection>,
        statement: &OwnedStatement,
        types: ValueTypes,
    ) -> Outcome<Self> {
        let values = statement.borrow_values();
        let borrowed = statement.borrow(values.as_deref());
        let began = Instant::now();
        let (sender, receiver) = oneshot::channel();
        let ticket = connection.run(&borrowed, types, |(outcome, _)| {
            let _ = sender.send(outcome);
        })?;
        Ok(Self {
            connection,
            began,
            ticket,
            receiver,
        })
    }

    /// What its caller sends after it waits from when `cancel` fires.
    fn give_up_by(&self, cancel: &CancellationToken) {
        self.connection.give_up_by(&self.ticket, cancel);
    }

    /// Its outcome. When the time is over, or the caller gives up, the server is asked to cancel it; the caller hears at once,
    /// and nobody else gets the connection before the server has answered.
    async fn end(
        mut self,
        limit: Limit<Duration>,
        cancel: &CancellationToken,
    ) -> Outcome<Vec<ResultText>> {
        let given_up = tokio::select! {
            biased;
            outcome = &mut self.receiver => return outcome.unwrap_or_else(|_| Err(Failure::defect())),
            given_up = give_up(limit, cancel) => given_up,
        };
        self.connection.cancel(&self.ticket);
        // What was not sent is known to have had no effect.
        let delivery = match self.receiver.try_recv() {
            Ok(Err(failure)) => failure.delivery,
            _ => Delivery::Unknown,
        };
        Err(given_up.with_delivery(delivery))
    }
}

/// Waits for the end of the time, or of the caller's interest.
async fn give_up(limit: Limit<Duration>, cancel: &CancellationToken) -> Failure {
    let cancelled = async {
        cancel.cancelled().await;
        Failure::aborted()
    };
    let Limit::At(after) = limit else {
        return cancelled.await;
    };
    timeout(after, cancelled).await.unwrap_or_else(|_| {
        let message = format!("The statement took longer than {}ms", after.as_millis());
        Failure::timed_out(Kind::Timeout, message, QUERY_TIMEOUT)
    })
}
