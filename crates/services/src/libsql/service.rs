//! The pool's operations, each on a borrowed connection under one deadline.
//!
//! When the deadline passes, or the caller gives up, the connection is discarded and its statement interrupted.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::{Limit, TimeLimit},
    pool::{Lease, Stats},
    sync::lock,
};
use tokio::{runtime::Handle, sync::oneshot};
use tokio_util::sync::CancellationToken;

use crate::libsql::{
    config::{Config, DRAIN_TIMEOUT},
    connect::{Connection, LibsqlConnector, OperationGuard},
    error::{CODE_CLIENT_CLOSED, SERVICE, abort_failure, closed_failure, timeout_failure},
    local,
    local::deadlines::Deadlines,
    local::in_flight::{AbortOnDrop, InFlight, LeaseUse, Reply},
    operation::{Operation, Results},
    remote::{transport::Transport, turn::Turn},
    result::IntMode,
    target::Target,
};
pub use moorline_net::pool::CallLimits;
use moorline_net::pool::{Pool, PoolListener, PooledConnection};

/// A call whose outcome goes to a callback instead of a future.
pub struct Call {
    /// The operation.
    pub operation: Operation,
    /// In place of the pool's `queryTimeoutMs`.
    pub timeout: Option<Limit<Duration>>,
    /// The callback for the outcome.
    pub reply: Reply,
}

/// A pool of connections to one database.
pub struct LibsqlPool {
    pub(super) pool: Pool<LibsqlConnector>,
    pub(super) int_mode: IntMode,
    pub(super) deadlines: Arc<Deadlines>,
    query_timeout: Limit<Duration>,
    pub(super) is_local: bool,
    protocol: &'static str,
    shown_url: String,
    // To a server, until the pool has ended: connections to it are closed with the last pool.
    transport: Mutex<Option<Arc<Transport>>>,
    // Keeps a database in memory alive while the pool has no connection open.
    _keep_alive: Option<Mutex<moorline_sqlite::Connection>>,
}

impl LibsqlPool {
    /// A pool that opens its connections as they are asked for. What runs when `closed` fires is aborted.
    pub fn open(
        config: Config,
        runtime: Handle,
        listener: Arc<dyn PoolListener>,
        closed: CancellationToken,
    ) -> Outcome<Self> {
        let keep_alive = match &config.target {
            Target::Local(target) if target.in_memory() => Some(Mutex::new(local::open(target)?)),
            _ => None,
        };
        let protocol = config.target.protocol();
        let is_local = matches!(config.target, Target::Local(_));
        let deadlines = Deadlines::new(runtime.clone(), closed);
        let (connector, transport) = match config.target {
            Target::Local(target) => (LibsqlConnector::Local(target), None),
            Target::Remote(target) => {
                let transport = Arc::new(Transport::new(*target, &runtime));
                let connector = LibsqlConnector::Remote(Arc::downgrade(&transport));
                (connector, Some(transport))
            }
        };
        let pool = Pool::with_listener(connector, config.pool, runtime, Some(listener));
        pool.register_metrics(&config.shown_url, SERVICE);
        Ok(Self {
            pool,
            int_mode: config.int_mode,
            deadlines,
            query_timeout: config.query_timeout,
            is_local,
            protocol,
            shown_url: config.shown_url,
            transport: Mutex::new(transport),
            _keep_alive: keep_alive,
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

    /// The JavaScript type of integers.
    pub fn int_mode(&self) -> IntMode {
        self.int_mode
    }

    /// Whether a lease that is held for too long is reported.
    pub fn reports_leaks(&self) -> bool {
        self.pool.config().ledger.leak_after != Limit::Off
    }

    /// A free connection, if one can be had at once.
    pub fn take(&self) -> Option<Lease> {
        self.pool.take().map(PooledConnection::into_lease)
    }

    /// A connection, after waiting for one.
    pub fn acquire(
        &self,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Outcome<Lease>> + Send + use<> {
        let borrowed = self.pool.acquire(cancel);
        async move {
            let borrowed = borrowed.await.map(PooledConnection::into_lease);
            borrowed.map_err(|failure| with_client_code(failure).during(SERVICE, "acquire"))
        }
    }

    /// Releases a lease. False when it is not held, and then nothing changes.
    pub fn release(&self, lease: Lease) -> bool {
        // Before another borrower can find the database locked by it.
        let _ = self.pool.with(lease, |connection| connection.on_release());
        self.pool.release(lease)
    }

    /// Whether the transaction that was begun on a lease has ended: with the lease, or by a statement of its own. A
    /// server's is not asked.
    pub fn has_ended(&self, lease: Lease) -> bool {
        let open = self
            .pool
            .with(lease, |connection| connection.may_be_in_transaction());
        !open.unwrap_or(false)
    }

    /// The current sizes.
    pub fn stats(&self) -> Stats {
        self.pool.stats()
    }

    /// Ends the pool; borrowers may finish for as long as `timeout` (default 30 s). True when no
    /// connection had to be closed by force.
    pub async fn drain(&self, timeout: Option<Limit<Duration>>) -> bool {
        let in_time = self.pool.drain(timeout.unwrap_or(DRAIN_TIMEOUT)).await;
        lock(&self.transport).take();
        in_time
    }

    /// Runs `operation`: on the lease that is `held`, or on a connection borrowed for it, after waiting for one. Calls on one
    /// lease keep the order in which this was called, whichever of their futures is polled first.
    pub fn run(
        self: &Arc<Self>,
        held: Option<Lease>,
        operation: Operation,
        limits: CallLimits,
    ) -> impl Future<Output = Outcome<Results>> + Send + use<> {
        let pool = Arc::clone(self);
        let call = match held {
            Some(lease) => {
                let lease_use = LeaseUse {
                    lease,
                    release_after: false,
                };
                Ok(pool.begin(lease_use, operation, limits.timeout))
            }
            None => Err(operation),
        };
        async move {
            let mut borrowed = None;
            let begun = match call {
                Ok(begun) => begun?,
                Err(operation) => {
                    let connection = pool.borrow(&limits.cancel, operation.name()).await?;
                    let lease_use = LeaseUse {
                        lease: connection.lease(),
                        release_after: true,
                    };
                    if pool.is_local {
                        // From here on the operation in flight releases it.
                        connection.into_lease();
                    } else {
                        borrowed = Some(connection);
                    }
                    pool.begin(lease_use, operation, limits.timeout)?
                }
            };
            let outcome = match begun {
                BegunCall::Local(pending) => pending.outcome(&limits.cancel).await,
                BegunCall::Remote(call) => call.outcome(&pool, &limits.cancel).await,
            };
            drop(borrowed);
            outcome
        }
    }

    /// Begins an operation: hands it to its thread, or takes its turn on its stream.
    fn begin(
        self: &Arc<Self>,
        lease_use: LeaseUse,
        operation: Operation,
        timeout: Option<Limit<Duration>>,
    ) -> Outcome<BegunCall> {
        if self.is_local {
            let submitted = self.submit(lease_use, operation, timeout);
            return submitted.map(BegunCall::Local);
        }
        let name = operation.name();
        let begun = self.pool.with(lease_use.lease, Connection::begin_remote);
        let (remote, guard) = begun.ok().flatten().ok_or_else(|| released_failure(name))?;
        Ok(BegunCall::Remote(RemoteCall {
            operation,
            lease_use,
            timeout: self.timeout(timeout),
            turn: remote.take_turn(),
            guard,
        }))
    }

    async fn borrow(
        &self,
        cancel: &CancellationToken,
        name: &'static str,
    ) -> Outcome<PooledConnection<LibsqlConnector>> {
        match self.pool.take() {
            Some(borrowed) => Ok(borrowed),
            None => self
                .pool
                .acquire(cancel)
                .await
                .map_err(|failure| with_client_code(failure).during(SERVICE, name)),
        }
    }

    fn submit(
        self: &Arc<Self>,
        lease_use: LeaseUse,
        operation: Operation,
        timeout: Option<Limit<Duration>>,
    ) -> Outcome<PendingCall> {
        let name = operation.name();
        let (sender, reply) = oneshot::channel();
        let call = Call {
            operation,
            timeout,
            // The caller may have gone.
            reply: Box::new(|outcome| drop(sender.send(outcome))),
        };
        let (in_flight, _) =
            InFlight::submit(self, lease_use, call).map_err(|_| released_failure(name))?;
        Ok(PendingCall {
            name,
            reply,
            _abort: AbortOnDrop(in_flight),
        })
    }

    /// The time limit of one operation.
    pub(super) fn timeout(&self, own: Option<Limit<Duration>>) -> TimeLimit {
        let pools = TimeLimit {
            time: self.query_timeout,
            option: "queryTimeoutMs",
        };
        own.map_or(pools, |time| TimeLimit {
            time,
            option: "timeoutMs",
        })
    }
}

/// An operation that has its place in the order of its connection.
enum BegunCall {
    Local(PendingCall),
    Remote(RemoteCall),
}

/// An operation for the stream to a server.
struct RemoteCall {
    operation: Operation,
    lease_use: LeaseUse,
    timeout: TimeLimit,
    turn: Turn,
    guard: OperationGuard,
}

impl RemoteCall {
    /// Sends it when it is its turn, and waits for the outcome, or for `cancel`.
    async fn outcome(self, pool: &LibsqlPool, cancel: &CancellationToken) -> Outcome<Results> {
        let (name, lease_use) = (self.operation.name(), self.lease_use);
        let work = async {
            let keep_stream = !lease_use.release_after;
            let performed = self
                .turn
                .perform(self.operation, pool.int_mode, keep_stream);
            let outcome = performed.await;
            self.guard.finish();
            outcome
        };
        let timed = async {
            match self.timeout.time {
                Limit::Off => Some(work.await),
                Limit::At(time) => tokio::time::timeout(time, work).await.ok(),
            }
        };
        let failure = tokio::select! {
            biased;
            outcome = timed => match outcome {
                Some(outcome) => return outcome.map_err(|failure| failure.during(SERVICE, name)),
                None => timeout_failure(self.timeout),
            },
            () = cancel.cancelled() => abort_failure(),
        };
        // It was aborted in the middle, so the state of the stream is unknown.
        pool.pool.discard(lease_use.lease);
        Err(failure.during(SERVICE, name))
    }
}

/// An operation handed to the thread of a local connection. Dropping this aborts it.
struct PendingCall {
    name: &'static str,
    reply: oneshot::Receiver<Outcome<Results>>,
    _abort: AbortOnDrop,
}

impl PendingCall {
    /// Waits for the outcome, or for `cancel`.
    async fn outcome(self, cancel: &CancellationToken) -> Outcome<Results> {
        tokio::select! {
            biased;
            outcome = self.reply => outcome.unwrap_or_else(|_| Err(released_failure(self.name))),
            () = cancel.cancelled() => Err(abort_failure().during(SERVICE, self.name)),
        }
    }
}

/// A pool that refuses because it was ended does so with the code of the usual client.
fn with_client_code(failure: Failure) -> Failure {
    if failure.kind == Kind::Closed {
        return failure.with_code(CODE_CLIENT_CLOSED);
    }
    failure
}

fn released_failure(name: &'static str) -> Failure {
    closed_failure("the connection was already released").during(SERVICE, name)
}
