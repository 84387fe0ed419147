//! The pool's operations. Each runs on a borrowed connection under one deadline; when that passes, or the
//! caller gives up, the connection is discarded and its statement interrupted.

use std::time::Duration;

use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::Limit,
    pool::{Lease, Stats},
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    config::Config,
    connect::{Connection, Dial, Running},
    error::{SERVICE, closed},
    local,
    result::{IntMode, ResultText},
    statement::{Statement, TransactionMode},
    target::Target,
};
use crate::pool::{Listen, Pool};

/// How long `drain` lets borrowers finish.
const DRAIN_TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(30));

/// What can be asked of a connection.
pub enum Operation {
    /// One statement.
    Execute(Statement),
    /// Statements in a transaction of their own: all, or none.
    Batch(TransactionMode, Vec<Statement>),
    /// Statements in the transaction that is open.
    Continue(Vec<Statement>),
    /// As `Batch`, with foreign keys off around it.
    Migrate(Vec<Statement>),
    /// A script of several statements.
    Sequence(String),
    /// A script in the transaction that is open.
    ContinueSequence(String),
}

impl Operation {
    const fn name(&self) -> &'static str {
        match self {
            Self::Execute(_) => "execute",
            Self::Batch(..) | Self::Continue(_) => "batch",
            Self::Migrate(_) => "migrate",
            Self::Sequence(_) | Self::ContinueSequence(_) => "executeMultiple",
        }
    }
}

/// What comes back: the results of an operation's statements, in order.
pub type Results = Vec<ResultText>;

/// How one call is bounded.
pub struct CallLimits {
    /// In place of the pool's `queryTimeoutMs`.
    pub timeout: Option<Limit<Duration>>,
    /// Fires when the caller gives up.
    pub cancel: CancellationToken,
}

/// A pool of connections to one database.
pub struct LibsqlPool {
    pool: Pool<Dial>,
    query_timeout: Limit<Duration>,
    int_mode: IntMode,
    protocol: &'static str,
    shown_url: String,
    // Keeps a database in memory alive while the pool has no connection open.
    _anchor: Option<libsql::Connection>,
}

impl LibsqlPool {
    /// A pool that opens its connections as they are asked for.
    pub fn open(
        config: Config,
        runtime: Handle,
        listener: std::sync::Arc<dyn Listen>,
    ) -> Outcome<Self> {
        let anchor = match &config.target {
            Target::Local(target) if target.in_memory => Some(local::open(target)?),
            _ => None,
        };
        let protocol = config.target.protocol();
        let dial = Dial(config.target);
        Ok(Self {
            pool: Pool::with_listener(dial, config.pool, runtime, Some(listener)),
            query_timeout: config.query_timeout,
            int_mode: config.int_mode,
            protocol,
            shown_url: config.shown_url,
            _anchor: anchor,
        })
    }

    /// The word of the client API for how the database is reached.
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// The database as it may be shown.
    pub fn shown_url(&self) -> &str {
        &self.shown_url
    }

    /// A free connection, if one can be had at once.
    pub fn take(&self) -> Option<Lease> {
        self.pool.take().map(crate::pool::Borrowed::keep)
    }

    /// A connection, after waiting for one.
    pub async fn acquire(&self, cancel: &CancellationToken) -> Outcome<Lease> {
        let borrowed = self.pool.acquire(cancel).await;
        borrowed
            .map(crate::pool::Borrowed::keep)
            .map_err(|failure| failure.during(SERVICE, "acquire"))
    }

    /// Gives a lease back. False when it is not held, and then nothing changes.
    pub fn release(&self, lease: Lease) -> bool {
        self.pool.release(lease)
    }

    /// How many of what right now.
    pub fn stats(&self) -> Stats {
        self.pool.stats()
    }

    /// Ends the pool; borrowers may finish for as long as `patience` (default 30 s). True when none had to be
    /// cut off.
    pub async fn drain(&self, patience: Option<Limit<Duration>>) -> bool {
        self.pool.drain(patience.unwrap_or(DRAIN_TIMEOUT)).await
    }

    /// Runs `operation` on a held lease.
    pub async fn run(
        &self,
        lease: Lease,
        operation: Operation,
        limits: CallLimits,
    ) -> Outcome<Results> {
        let name = operation.name();
        let connection = self
            .pool
            .with(lease, |connection| connection.begin())
            .map_err(|_| closed("the connection was already released").during(SERVICE, name))?;
        let outcome = self.bounded(connection, operation, &limits, true).await;
        outcome.map_err(|stopped| self.settle(lease, stopped).during(SERVICE, name))
    }

    /// Borrows a connection for `operation` alone.
    pub async fn run_once(&self, operation: Operation, limits: CallLimits) -> Outcome<Results> {
        let name = operation.name();
        let borrowed = match self.pool.take() {
            Some(borrowed) => borrowed,
            None => self
                .pool
                .acquire(&limits.cancel)
                .await
                .map_err(|failure| failure.during(SERVICE, name))?,
        };
        let lease = borrowed.lease();
        let connection = borrowed
            .with(|connection| connection.begin())
            .ok_or_else(|| closed("the pool was closed").during(SERVICE, name))?;
        let outcome = self.bounded(connection, operation, &limits, false).await;
        outcome.map_err(|stopped| self.settle(lease, stopped).during(SERVICE, name))
    }

    async fn bounded(
        &self,
        running: Running,
        operation: Operation,
        limits: &CallLimits,
        keep: bool,
    ) -> Result<Results, Stopped> {
        let work = async {
            let outcome = perform(running.connection(), operation, self.int_mode, keep).await;
            running.finish();
            outcome
        };
        let patience = limits.timeout.unwrap_or(self.query_timeout);
        let timed = async {
            match patience {
                Limit::Off => Some(work.await),
                Limit::At(time) => tokio::time::timeout(time, work).await.ok(),
            }
        };
        tokio::select! {
            biased;
            outcome = timed => match outcome {
                Some(outcome) => outcome.map_err(Stopped::Failed),
                None => Err(Stopped::Discard(timed_out(patience))),
            },
            () = limits.cancel.cancelled() => {
                Err(Stopped::Discard(closed("the call was aborted")))
            }
        }
    }

    /// Discards the connection of a call that was cut off in the middle.
    fn settle(&self, lease: Lease, stopped: Stopped) -> Failure {
        match stopped {
            Stopped::Failed(failure) => failure,
            Stopped::Discard(failure) => {
                self.pool.discard(lease);
                failure
            }
        }
    }
}

/// Why an operation has no results.
enum Stopped {
    /// It failed by itself; the connection is as good as before.
    Failed(Failure),
    /// It was cut off; nobody knows where the connection stands.
    Discard(Failure),
}

fn timed_out(patience: Limit<Duration>) -> Failure {
    let message = format!("Query timeout after {}ms", patience.as_ms());
    Failure::new(Kind::Timeout, message)
}

async fn perform(
    connection: &Connection,
    operation: Operation,
    mode: IntMode,
    keep: bool,
) -> Outcome<Results> {
    match connection {
        Connection::Local(local) => {
            local
                .run(move |session| match operation {
                    Operation::Execute(statement) => {
                        session.execute(&statement, mode).map(|result| vec![result])
                    }
                    Operation::Batch(begin, statements) => session.batch(begin, &statements, mode),
                    Operation::Continue(statements) => session.run_all(&statements, mode),
                    Operation::Migrate(statements) => session.migrate(&statements, mode),
                    Operation::Sequence(script) => session.sequence(&script).map(|()| Vec::new()),
                    Operation::ContinueSequence(script) => {
                        session.continue_sequence(&script).map(|()| Vec::new())
                    }
                })
                .await
        }
        Connection::Remote(remote) => match operation {
            Operation::Execute(statement) => {
                let result = remote.execute(&statement, mode, keep).await;
                result.map(|result| vec![result])
            }
            Operation::Batch(begin, statements) => {
                remote.batch(begin, &statements, mode, keep).await
            }
            Operation::Continue(statements) => remote.run_all(&statements, mode).await,
            Operation::Migrate(statements) => remote.migrate(&statements, mode).await,
            Operation::Sequence(script) => {
                remote.sequence(&script, keep).await.map(|()| Vec::new())
            }
            Operation::ContinueSequence(script) => {
                remote.continue_sequence(&script).await.map(|()| Vec::new())
            }
        },
    }
}
