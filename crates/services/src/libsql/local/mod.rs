//! A connection to a file or to memory, on a thread of its own.
//!
//! The engine's calls block inside `async fn`s, a busy writer for seconds, so none of them runs on the
//! runtime: jobs go through a channel to the connection's thread, and whoever stops waiting interrupts it.

mod authorizer;
pub(in crate::libsql) mod deadlines;
pub mod engine;
pub mod in_flight;
mod job_queue;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use libsql::{Connection, OpenFlags};
use moorline_core::{
    error::{Failure, Kind, Outcome},
    sync::lock,
};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use crate::libsql::{
    connect::Running,
    error::{closed, engine_failure},
    local::engine::Session,
    local::in_flight::InFlight,
    local::job_queue::JobQueue,
    operation::Operation,
    result::IntMode,
};

/// A job that takes less than this is over before its caller could be put to sleep and woken again.
const QUICK: Duration = Duration::from_micros(20);
/// How much stack a connection's thread asks for, and asks for next where the system refuses that. The engine recurses
/// for each wildcard of a pattern, each level of an expression and, without a limit of its own, each subquery, view and
/// step of a JSON path: some 2.5 MiB at its limits, and 100 to 700 bytes for a level where it has none. It is address
/// space; memory is taken for what is used.
const STACK_BYTES: [usize; 2] = [256 << 20, 8 << 20];
/// How often closing repeats its interrupt.
const INTERRUPT_EVERY: Duration = Duration::from_millis(50);

/// Where the database is and how its connections are set up.
#[derive(Clone, Debug)]
pub struct LocalTarget {
    /// The path, or a `file:` URI for shared memory.
    pub path: String,
    /// How many transactions are open on a database in memory, where WAL has no meaning; `None` for a file.
    pub memory_transactions: Option<Arc<AtomicUsize>>,
    /// How long a statement waits for another connection's lock.
    pub busy_timeout: Duration,
    /// The variable that named the file, where no option did.
    pub origin: Option<String>,
}

impl LocalTarget {
    /// Whether it lives in memory.
    pub fn in_memory(&self) -> bool {
        self.memory_transactions.is_some()
    }
}

/// What a connection's thread is told to do. One that is dropped undone ends its flight.
pub(in crate::libsql) struct Job {
    pub(in crate::libsql) operation: Option<Operation>,
    pub(in crate::libsql) mode: IntMode,
    pub(in crate::libsql) running: Option<Running>,
    pub(in crate::libsql) flight: Arc<InFlight>,
}

impl Job {
    fn run(mut self, session: &mut Session, status: &Status) {
        status.interrupted.store(false, Ordering::Release);
        if self.flight.is_over() {
            return;
        }
        let Some(operation) = self.operation.take() else {
            return;
        };
        // The engine panics on what it cannot represent; the connection itself goes on.
        let mode = self.mode;
        let work = AssertUnwindSafe(|| session.perform(operation, mode));
        let outcome = catch_unwind(work).unwrap_or_else(|_| {
            session.reset();
            Err(defect())
        });
        status
            .tainted
            .store(session.is_spoiled(), Ordering::Release);
        status.set_transaction(session.in_transaction());
        if let Some(running) = self.running.take() {
            running.finish();
        }
        self.flight.land(outcome);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.flight.land(Err(closed("the connection is closed")));
    }
}

/// The connection's end in the asynchronous world. Dropping it ends its thread.
pub struct LocalConnection {
    /// Operations that have begun and not come to their own end.
    pub(in crate::libsql) running: AtomicU32,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    status: Arc<Status>,
    // Its sender lives as long as the thread.
    ended: watch::Receiver<()>,
}

/// What both sides know of the connection.
#[derive(Default)]
pub(in crate::libsql) struct Status {
    interrupted: AtomicBool,
    // Nobody else may use the connection as it is.
    tainted: AtomicBool,
    in_transaction: AtomicBool,
    // Nobody holds the connection any more; it is closed as soon as that can be.
    abandoned: AtomicBool,
    memory_transactions: Option<Arc<AtomicUsize>>,
    // The thread is awake and looks for its next job.
    alert: AtomicBool,
    // Its last job took less than a wake-up does.
    quick: AtomicBool,
    // A share of the connection; its thread takes it back at the end, so that closing happens there.
    engine: Mutex<Option<Connection>>,
}

impl Status {
    /// Whether the running job is to end.
    pub(in crate::libsql) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Notes whether a transaction is open, here and among those of a database in memory.
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

    /// Whether another connection has a transaction open on this database in memory, where that locks it: until its
    /// owner goes on, waiting is in vain.
    pub(in crate::libsql) fn is_locked_out(&self) -> bool {
        let own = usize::from(self.in_transaction.load(Ordering::Acquire));
        let transactions = self.memory_transactions.as_ref();
        transactions.is_some_and(|open| open.load(Ordering::Acquire) > own)
    }

    fn is_alert(&self) -> bool {
        self.alert.load(Ordering::Acquire) && self.quick.load(Ordering::Relaxed)
    }

    fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        if let Some(engine) = &*lock(&self.engine) {
            // It only sets a flag in the engine.
            let _ = engine.interrupt();
        }
    }
}

impl LocalConnection {
    /// Opens the database on a new thread.
    pub async fn open(target: LocalTarget) -> Outcome<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (opened, opening) = oneshot::channel();
        let (end, ended) = watch::channel(());
        let status = Arc::new(Status {
            memory_transactions: target.memory_transactions.clone(),
            ..Status::default()
        });
        let thread_status = Arc::clone(&status);
        let work = move || {
            run(&target, &thread_status, opened, &queue);
            drop(end);
        };
        spawn(&STACK_BYTES, work).map_err(|error| {
            Failure::new(
                Kind::Connect,
                "the system refused a thread for the connection",
            )
            .with_cause(error.to_string(), None)
        })?;
        opening.await.unwrap_or_else(|_| Err(defect()))?;
        Ok(Self {
            running: AtomicU32::new(0),
            jobs: Mutex::new(Some(jobs)),
            status,
            ended,
        })
    }

    /// Hands `job` to the connection's thread. True when that is awake and its last job was quick.
    pub(in crate::libsql) fn submit(&self, job: Job) -> bool {
        let soon = self.status.is_alert();
        // One that cannot be sent is dropped, which ends its flight; not under the lock.
        let _undone = match &*lock(&self.jobs) {
            Some(jobs) => jobs.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        };
        soon
    }

    /// Stops the statement that runs.
    pub(in crate::libsql) fn interrupt(&self) {
        self.status.interrupt();
    }

    /// Whether nobody else may use the connection as the last job left it.
    pub fn is_spoiled(&self) -> bool {
        self.status.tainted.load(Ordering::Acquire)
    }

    /// Whether a transaction was open after the last job.
    pub fn in_transaction(&self) -> bool {
        self.status.in_transaction.load(Ordering::Acquire)
    }

    /// Its borrower goes; with a transaction open nobody gets it again.
    pub(in crate::libsql) fn give_back(&self) {
        if self.in_transaction() {
            self.abandon();
        }
    }

    /// Nobody will use it again: it is closed soon, which rolls back what is open.
    pub(in crate::libsql) fn abandon(&self) {
        self.status.abandoned.store(true, Ordering::Release);
        self.status.set_transaction(false);
    }

    /// Closes the connection; done when its thread has given the file back. What runs is interrupted.
    pub async fn close(&self) {
        self.abandon();
        drop(lock(&self.jobs).take());
        let mut ended = self.ended.clone();
        // A statement that began in the very moment of the first interrupt needs a second one.
        while timeout(INTERRUPT_EVERY, ended.changed()).await.is_err() {
            self.status.interrupt();
        }
    }
}

fn defect() -> Failure {
    Failure::new(
        Kind::Internal,
        "the connection's thread stopped by a defect",
    )
}

/// Runs `work` on a thread of its own, with the first of these stacks that the system gives.
fn spawn(stacks: &[usize], work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut outcome = Err(io::ErrorKind::OutOfMemory.into());
    for stack in stacks {
        // What a thread that is refused was given is gone, so it is given its work when it runs.
        let (give, given) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let run = move || given.recv().into_iter().for_each(|work| work());
        let spawned = thread::Builder::new()
            .name("moorline-libsql".to_owned())
            .stack_size(*stack)
            .spawn(run);
        match spawned {
            Ok(_) => {
                // It waits for it.
                let _ = give.send(Box::new(work));
                return Ok(());
            }
            Err(error) => outcome = Err(error),
        }
    }
    outcome
}

fn run(
    target: &LocalTarget,
    status: &Arc<Status>,
    opened: oneshot::Sender<Outcome<()>>,
    queue: &mpsc::Receiver<Job>,
) {
    let session = open(target).and_then(|connection| {
        *lock(&status.engine) = Some(connection.clone());
        Session::new(connection, target, Arc::clone(status))
    });
    let mut session = match session {
        Ok(session) => session,
        Err(failure) => {
            lock(&status.engine).take();
            // Whoever asked may have gone.
            let _ = opened.send(Err(failure));
            return;
        }
    };
    if opened.send(Ok(())).is_ok() {
        let mut vigil = JobQueue::default();
        while let Some(job) = vigil.next(queue, &status.alert) {
            let began = Instant::now();
            job.run(&mut session, status);
            status
                .quick
                .store(began.elapsed() < QUICK, Ordering::Relaxed);
        }
    }
    lock(&status.engine).take();
    drop(session);
    status.set_transaction(false);
}

/// Opens one connection, without a thread or any set-up.
pub(in crate::libsql) fn open(target: &LocalTarget) -> Outcome<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let database = crate::libsql::ready(
        libsql::Builder::new_local(&target.path)
            .flags(flags)
            .build(),
    )?;
    database
        .map_err(engine_failure)?
        .connect()
        .map_err(engine_failure)
        .map_err(|failure| explain(target, failure))
}

/// Says why a file cannot be opened, which the engine does not.
fn explain(target: &LocalTarget, failure: Failure) -> Failure {
    use std::{fs, io::ErrorKind, path::Path};

    let path = Path::new(&target.path);
    if failure.code != "SQLITE_CANTOPEN" || target.in_memory() {
        return failure;
    }
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let reason = match (directory.map(fs::metadata), fs::File::open(path)) {
        (Some(Err(error)), _) if error.kind() == ErrorKind::NotFound => {
            "its directory does not exist"
        }
        (Some(Ok(parent)), _) if !parent.is_dir() => "what should be its directory is a file",
        (_, Err(error)) if error.kind() == ErrorKind::PermissionDenied => "permission denied",
        (_, Ok(_)) if path.is_dir() => "it is a directory",
        _ => "the system refused it",
    };
    let shown = path.display();
    let origin = target.origin.as_ref();
    let origin = origin.map_or_else(String::new, |origin| format!(" (by {origin})"));
    Failure::new(
        Kind::Connect,
        format!("SQLITE_CANTOPEN: unable to open {shown}{origin}: {reason}"),
    )
    .with_code("SQLITE_CANTOPEN")
    .with_retryable(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_had_with_less_stack_where_the_system_refuses_much() {
        let (say, said) = mpsc::channel();
        spawn(&[1 << 60, 1 << 20], move || say.send(1).unwrap()).unwrap();
        assert_eq!(said.recv(), Ok(1));
        assert!(spawn(&[1 << 60], || ()).is_err());
    }
}
