//! A connection to a file or an in-memory database, on its own thread.
//!
//! The engine's calls block inside `async fn`s, a busy writer for seconds, so none of them runs on the
//! runtime: jobs go through a channel to the connection's thread, and a caller that stops waiting interrupts it.

mod authorizer;
pub mod call_lease;
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

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, TryLockError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

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
    local::job_queue::JobQueue,
    operation::{Operation, Results},
    result::{IntMode, ResultText},
    statement::Statement,
};

/// A job that takes less than this is over before its caller could park and be woken.
const QUICK: Duration = Duration::from_micros(20);
/// The stack sizes to try for a connection's thread, in order. The engine recurses for each wildcard of a pattern and
/// each level of an expression, which takes some 2.5 MiB at its limits; for subqueries, views and steps of a JSON path
/// it has no limit and takes 100 to 700 bytes a level. The size is address space; only pages in use take memory.
const STACK_BYTES: [usize; 2] = [256 << 20, 8 << 20];
/// The interval at which closing repeats its interrupt.
const INTERRUPT_EVERY: Duration = Duration::from_millis(50);

/// The database, and the set-up of its connections.
#[derive(Clone, Debug)]
pub struct LocalTarget {
    /// The path, or a `file:` URI for shared memory.
    pub path: String,
    /// The number of open transactions of a database in memory, which has no WAL; `None` for a file.
    pub memory_transactions: Option<Arc<AtomicUsize>>,
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

/// A job for a connection's thread. Dropping it before it ran fails its operation.
pub(in crate::libsql) struct Job {
    pub(in crate::libsql) operation: Option<Operation>,
    pub(in crate::libsql) mode: IntMode,
    pub(in crate::libsql) guard: Option<OperationGuard>,
    pub(in crate::libsql) in_flight: Arc<InFlight>,
}

impl Job {
    fn run(mut self, executor: &SharedExecutor, status: &Status) {
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
}

/// Performs `operation` on the executor, which is free again when this returns.
fn perform(
    executor: &SharedExecutor,
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

/// The executor of a connection. Its thread has it while a job runs, and a caller while a statement runs inline; `None` before
/// it is open and after it is closed.
type SharedExecutor = Arc<Mutex<Option<StatementExecutor>>>;

/// The asynchronous side of the connection. Dropping it ends its thread.
pub struct LocalConnection {
    /// The number of running operations.
    pub(in crate::libsql) active_operations: AtomicU32,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    status: Arc<Status>,
    executor: SharedExecutor,
    // Its sender lives as long as the thread.
    thread_ended: watch::Receiver<()>,
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
    // The thread is awake and looks for its next job.
    spinning: AtomicBool,
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

    fn is_spinning(&self) -> bool {
        self.spinning.load(Ordering::Acquire) && self.quick.load(Ordering::Relaxed)
    }

    fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        if let Some(handle) = &*lock(&self.interrupt) {
            handle.interrupt();
        }
    }
}

impl LocalConnection {
    /// Opens the database on a new thread.
    pub async fn open(target: LocalTarget) -> Outcome<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (opened, opening) = oneshot::channel();
        let (end, thread_ended) = watch::channel(());
        let status = Arc::new(Status {
            memory_transactions: target.memory_transactions.clone(),
            ..Status::default()
        });
        let executor = SharedExecutor::default();
        let (thread_status, thread_executor) = (Arc::clone(&status), Arc::clone(&executor));
        let work = move || {
            run_thread(&target, &thread_status, &thread_executor, opened, &queue);
            drop(end);
        };
        spawn(&STACK_BYTES, work).map_err(|error| {
            Failure::new(
                Kind::Connect,
                "the system could not create a thread for the connection",
            )
            .with_cause(error.to_string(), None)
        })?;
        opening.await.unwrap_or_else(|_| Err(thread_defect()))?;
        Ok(Self {
            active_operations: AtomicU32::new(0),
            jobs: Mutex::new(Some(jobs)),
            status,
            executor,
            thread_ended,
        })
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
        let mut executor = match self.executor.try_lock() {
            Ok(executor) => executor,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        executor.as_mut()?.run_inline(statement, mode)
    }

    /// Sends `job` to the connection's thread. Returns whether the thread is spinning and its last job was quick.
    pub(in crate::libsql) fn submit(&self, job: Job) -> bool {
        let is_quick = self.status.is_spinning();
        // Dropping an unsent job fails its operation, and must not happen under the lock.
        let _undone = match &*lock(&self.jobs) {
            Some(jobs) => jobs.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        };
        is_quick
    }

    /// Interrupts the running statement.
    pub(in crate::libsql) fn interrupt(&self) {
        self.status.interrupt();
    }

    /// Whether the last job left the connection in a state in which it must not be lent again.
    pub fn is_tainted(&self) -> bool {
        self.status.tainted.load(Ordering::Acquire)
    }

    /// Whether a transaction was open after the last job.
    pub fn in_transaction(&self) -> bool {
        self.status.in_transaction.load(Ordering::Acquire)
    }

    /// Ends its use by a borrower; with a transaction open it is not lent again.
    pub(in crate::libsql) fn on_release(&self) {
        if self.in_transaction() {
            self.abandon();
        }
    }

    /// Marks it as not to be used again: it is closed soon, which rolls back what is open.
    pub(in crate::libsql) fn abandon(&self) {
        self.status.abandoned.store(true, Ordering::Release);
        self.status.set_transaction(false);
    }

    /// Closes the connection; done when its thread has ended. A running statement is interrupted.
    pub async fn close(&self) {
        self.abandon();
        drop(lock(&self.jobs).take());
        let mut thread_ended = self.thread_ended.clone();
        // A statement that began at the moment of the first interrupt needs another.
        while timeout(INTERRUPT_EVERY, thread_ended.changed())
            .await
            .is_err()
        {
            self.status.interrupt();
        }
    }
}

fn thread_defect() -> Failure {
    Failure::new(
        Kind::Internal,
        "the thread of the connection was stopped by a defect in moorline",
    )
}

/// Runs `work` on a new thread with the first of these stack sizes that the system grants.
fn spawn(stacks: &[usize], work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut outcome = Err(io::ErrorKind::OutOfMemory.into());
    for stack in stacks {
        // A refused thread consumes its closure, so the work is sent to the thread once it runs.
        let (give, given) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let run = move || given.recv().into_iter().for_each(|work| work());
        let spawned = thread::Builder::new()
            .name("moorline-libsql".to_owned())
            .stack_size(*stack)
            .spawn(run);
        match spawned {
            Ok(_) => {
                // The thread waits for it.
                let _ = give.send(Box::new(work));
                return Ok(());
            }
            Err(error) => outcome = Err(error),
        }
    }
    outcome
}

fn run_thread(
    target: &LocalTarget,
    status: &Arc<Status>,
    executor: &SharedExecutor,
    opened: oneshot::Sender<Outcome<()>>,
    queue: &mpsc::Receiver<Job>,
) {
    let made = open(target).and_then(|connection| {
        *lock(&status.interrupt) = Some(connection.interrupt_handle());
        StatementExecutor::new(connection, target, Arc::clone(status))
    });
    let outcome = made.map(|made| *lock(executor) = Some(made));
    let is_open = outcome.is_ok();
    // The caller may have gone.
    if opened.send(outcome).is_ok() && is_open {
        let mut job_queue = JobQueue::default();
        while let Some(job) = job_queue.next(queue, &status.spinning) {
            let began = Instant::now();
            job.run(executor, status);
            status
                .quick
                .store(began.elapsed() < QUICK, Ordering::Relaxed);
        }
    }
    // Closed on this thread, which may take its time.
    let closed = lock(executor).take();
    drop(closed);
    status.set_transaction(false);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gets_a_smaller_stack_where_the_system_refuses_a_large_one() {
        let (say, said) = mpsc::channel();
        spawn(&[1 << 60, 1 << 20], move || say.send(1).unwrap()).unwrap();
        assert_eq!(said.recv(), Ok(1));
        assert!(spawn(&[1 << 60], || ()).is_err());
    }
}
