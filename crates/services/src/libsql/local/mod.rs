//! A connection to a file or an in-memory database, with a thread while it has jobs.
//!
//! The engine's calls block inside `async fn`s, a busy writer for seconds, so none of them runs on the
//! runtime: jobs go through a queue to a thread that serves the connection, and a caller that stops waiting interrupts it.

mod authorizer;
pub mod call_lease;
mod checkpointer;
pub(in crate::libsql) mod deadlines;
pub mod executor;
pub mod in_flight;
mod inline;
mod inline_rules;
mod job_queue;
mod open;
mod prepare;
mod rows;
mod run_inline;
mod statement_cache;
mod threads;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, TryLockError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

pub use self::checkpointer::Checkpointer;
pub(in crate::libsql) use self::open::open;
use moorline_core::{
    error::{Failure, Kind, Outcome},
    sync::lock,
};
use moorline_sqlite::InterruptHandle;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use crate::libsql::{
    connect::OperationGuard,
    error::closed_failure,
    local::executor::StatementExecutor,
    local::in_flight::InFlight,
    local::job_queue::{JobQueue, Next},
    operation::{Operation, Results},
    result::{IntMode, ResultText},
    statement::Statement,
};

/// A job that takes less than this is over before its caller could park and be woken.
const QUICK: Duration = Duration::from_micros(20);
/// The interval at which closing repeats its interrupt.
const INTERRUPT_EVERY: Duration = Duration::from_millis(50);

/// The database, and the set-up of its connections.
#[derive(Clone, Debug)]
pub struct LocalTarget {
    /// The path, or a `file:` URI for shared memory.
    pub path: String,
    /// The number of open transactions of a database in memory, which has no WAL; `None` for a file.
    pub memory_transactions: Option<Arc<AtomicUsize>>,
    /// What moves the log of a file.
    pub checkpointer: Arc<Checkpointer>,
    /// The longest wait for another connection's lock.
    pub busy_timeout: Duration,
    /// How long a statement may run on the thread of its caller; zero for none.
    pub inline: Duration,
    /// The variable that named the file, where no option did.
    pub origin: Option<String>,
}

impl LocalTarget {
    /// Whether it lives in memory.
    pub fn in_memory(&self) -> bool {
        self.memory_transactions.is_some()
    }
}

/// A job of a connection. Dropping it before it ran fails its operation.
pub(in crate::libsql) struct Job {
    pub(in crate::libsql) operation: Option<Operation>,
    pub(in crate::libsql) mode: IntMode,
    pub(in crate::libsql) guard: Option<OperationGuard>,
    pub(in crate::libsql) in_flight: Arc<InFlight>,
}

impl Job {
    fn run(mut self, executor: &Mutex<Option<StatementExecutor>>, status: &Status) {
        status.interrupted.store(false, Ordering::Release);
        if self.in_flight.is_over() {
            return;
        }
        let Some(operation) = self.operation.take() else {
            return;
        };
        let outcome = perform(executor, status, operation, self.mode);
        if let Some(guard) = self.guard.take() {
            guard.finish();
        }
        self.in_flight.complete(outcome);
    }

    /// Fails it without any effect on its connection.
    fn refuse(mut self, failure: Failure) {
        if let Some(guard) = self.guard.take() {
            guard.finish();
        }
        self.in_flight.complete(Err(failure));
    }
}

/// Performs `operation` on the executor, which is free again when this returns.
fn perform(
    executor: &Mutex<Option<StatementExecutor>>,
    status: &Status,
    operation: Operation,
    mode: IntMode,
) -> Outcome<Results> {
    let mut executor = lock(executor);
    let Some(executor) = &mut *executor else {
        return Err(thread_defect());
    };
    // A panic is a defect of ours; the connection itself goes on.
    let work = AssertUnwindSafe(|| executor.perform(operation, mode));
    let outcome = catch_unwind(work).unwrap_or_else(|_| {
        executor.reset();
        Err(thread_defect())
    });
    status
        .tainted
        .store(executor.is_tainted(), Ordering::Release);
    status.set_transaction(executor.in_transaction());
    outcome
}

impl Drop for Job {
    fn drop(&mut self) {
        self.in_flight
            .complete(Err(closed_failure("the connection is closed")));
    }
}

/// The asynchronous side of the connection. Dropping it closes the connection.
pub struct LocalConnection {
    /// The number of running operations.
    pub(in crate::libsql) active_operations: AtomicU32,
    shared: Arc<Shared>,
    closed: watch::Receiver<()>,
}

/// The part of the connection that a thread has in hand while it serves it.
struct Shared {
    queue: JobQueue<Job>,
    status: Arc<Status>,
    /// A thread has it while a job runs, and a caller while a statement runs inline; `None` before it is open and after it is
    /// closed.
    executor: Mutex<Option<StatementExecutor>>,
    // It lives until the connection is closed.
    end: Mutex<Option<watch::Sender<()>>>,
}

/// The state shared by both sides of the connection.
#[derive(Default)]
pub(in crate::libsql) struct Status {
    interrupted: AtomicBool,
    // The connection must not be lent again as it is.
    tainted: AtomicBool,
    in_transaction: AtomicBool,
    // The connection has no holder any more; it is closed as soon as possible.
    abandoned: AtomicBool,
    memory_transactions: Option<Arc<AtomicUsize>>,
    // Its last job took less than a wake-up does.
    quick: AtomicBool,
    interrupt: Mutex<Option<InterruptHandle>>,
}

impl Status {
    /// Whether the running job is to end.
    pub(in crate::libsql) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Sets whether a transaction is open, and updates the count of a database in memory.
    fn set_transaction(&self, open: bool) {
        let open = open && !self.abandoned.load(Ordering::Acquire);
        if self.in_transaction.swap(open, Ordering::AcqRel) == open {
            return;
        }
        if let Some(transactions) = &self.memory_transactions {
            if open {
                transactions.fetch_add(1, Ordering::AcqRel);
            } else {
                transactions.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    /// Whether another connection has a transaction open on this database in memory, which locks it until that ends.
    pub(in crate::libsql) fn is_locked_out(&self) -> bool {
        let own = usize::from(self.in_transaction.load(Ordering::Acquire));
        let transactions = self.memory_transactions.as_ref();
        transactions.is_some_and(|open| open.load(Ordering::Acquire) > own)
    }

    fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        if let Some(handle) = &*lock(&self.interrupt) {
            handle.interrupt();
        }
    }
}

impl LocalConnection {
    /// Opens the database on a thread.
    pub async fn open(target: LocalTarget) -> Outcome<Self> {
        let (opened, opening) = oneshot::channel();
        let (end, closed) = watch::channel(());
        let shared = Arc::new(Shared {
            queue: JobQueue::new(),
            status: Arc::new(Status {
                memory_transactions: target.memory_transactions.clone(),
                ..Status::default()
            }),
            executor: Mutex::new(None),
            end: Mutex::new(Some(end)),
        });
        // Dropping it closes what a thread may open after the caller has gone.
        let connection = Self {
            active_operations: AtomicU32::new(0),
            shared: Arc::clone(&shared),
            closed,
        };
        let serve = move || {
            let outcome = shared.open(&target);
            // The caller may have gone.
            let _ = opened.send(outcome);
            shared.serve();
        };
        threads::run(serve).map_err(|error| thread_refused(&error))?;
        opening.await.unwrap_or_else(|_| Err(thread_defect()))?;
        Ok(connection)
    }

    /// Runs `statement` on this thread, if it is known to be over in no time there, and nothing else runs or waits on the
    /// connection. `None` when it has to go to the connection's thread; it has had no effect then.
    pub(in crate::libsql) fn run_inline(
        &self,
        statement: &Statement,
        mode: IntMode,
    ) -> Option<ResultText> {
        if self.active_operations.load(Ordering::Acquire) > 0 {
            return None;
        }
        let mut executor = match self.shared.executor.try_lock() {
            Ok(executor) => executor,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        executor.as_mut()?.run_inline(statement, mode)
    }

    /// Sends `job` to the thread that serves the connection. Returns whether that is spinning and its last job was quick.
    pub(in crate::libsql) fn submit(&self, job: Job) -> bool {
        let shared = &self.shared;
        let is_quick = shared.queue.is_spinning() && shared.status.quick.load(Ordering::Relaxed);
        // Dropping a job fails its operation.
        if let Ok(true) = shared.queue.push(job) {
            shared.have_served();
        }
        is_quick
    }

    /// Interrupts the running statement.
    pub(in crate::libsql) fn interrupt(&self) {
        self.shared.status.interrupt();
    }

    /// Whether the last job left the connection in a state in which it must not be lent again.
    pub fn is_tainted(&self) -> bool {
        self.shared.status.tainted.load(Ordering::Acquire)
    }

    /// Whether a transaction was open after the last job.
    pub fn in_transaction(&self) -> bool {
        self.shared.status.in_transaction.load(Ordering::Acquire)
    }

    /// Ends its use by a borrower; with a transaction open it is not lent again.
    pub(in crate::libsql) fn on_release(&self) {
        if self.in_transaction() {
            self.abandon();
        }
    }

    /// Marks it as not to be used again: it is closed soon, which rolls back what is open.
    pub(in crate::libsql) fn abandon(&self) {
        self.shared.status.abandoned.store(true, Ordering::Release);
        self.shared.status.set_transaction(false);
    }

    /// Closes the connection; done when it is closed. A running statement is interrupted.
    pub async fn close(&self) {
        self.abandon();
        self.shared.close();
        let mut closed = self.closed.clone();
        // A statement that began at the moment of the first interrupt needs another.
        while timeout(INTERRUPT_EVERY, closed.changed()).await.is_err() {
            self.shared.status.interrupt();
        }
    }
}

impl Drop for LocalConnection {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    fn open(&self, target: &LocalTarget) -> Outcome<()> {
        let connection = open(target)?;
        *lock(&self.status.interrupt) = Some(connection.interrupt_handle());
        let executor = StatementExecutor::new(connection, target, Arc::clone(&self.status))?;
        *lock(&self.executor) = Some(executor);
        Ok(())
    }

    /// Has a thread serve the queue. Where there is none, its jobs fail.
    fn have_served(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        if let Err(error) = threads::run(move || shared.serve()) {
            let (jobs, is_closed) = self.queue.give_up();
            for job in jobs {
                job.refuse(thread_refused(&error));
            }
            if is_closed {
                self.finish();
            }
        }
    }

    /// Runs the jobs, until there are none for the moment.
    fn serve(&self) {
        loop {
            match self.queue.next() {
                Next::Job(job) => {
                    let began = Instant::now();
                    // A panic of who takes the outcome is not the connection's.
                    let work = AssertUnwindSafe(|| job.run(&self.executor, &self.status));
                    let _ = catch_unwind(work);
                    let is_quick = began.elapsed() < QUICK;
                    self.status.quick.store(is_quick, Ordering::Relaxed);
                }
                Next::Leave => return,
                Next::Close => return self.finish(),
            }
        }
    }

    /// Closes the connection when it has no job any more.
    fn close(self: &Arc<Self>) {
        if self.queue.close() {
            self.have_served();
        }
    }

    /// Closes the connection here, which may take its time.
    fn finish(&self) {
        let executor = lock(&self.executor).take();
        // The last connection of a file removes the log, for which nobody else may have the file open.
        let pause = executor
            .as_ref()
            .and_then(StatementExecutor::pause_checkpoints);
        drop(executor);
        drop(pause);
        self.status.set_transaction(false);
        drop(lock(&self.end).take());
    }
}

fn thread_refused(error: &io::Error) -> Failure {
    Failure::new(
        Kind::Connect,
        "the system could not create a thread for the connection",
    )
    .with_cause(error.to_string(), None)
}

fn thread_defect() -> Failure {
    Failure::new(
        Kind::Internal,
        "the thread of the connection was stopped by a defect in moorline",
    )
}
