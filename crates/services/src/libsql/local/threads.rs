//! The threads of local connections: a connection has one while it has jobs.
//!
//! A thread that has nothing to do is kept for a moment, and the next work of any connection goes to the one that was
//! busy last. There are as many as connections that work at the same time.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use moorline_core::sync::lock;

/// The stack sizes to try for a thread, in order. The engine recurses for each wildcard of a pattern and
/// each level of an expression, which takes some 2.5 MiB at its limits; for subqueries, views and steps of a JSON path
/// it has no limit and takes 100 to 700 bytes a level. The size is address space; only pages in use take memory.
const STACK_BYTES: [usize; 2] = [256 << 20, 8 << 20];
/// How long a thread is kept without work.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// What a thread does before it is idle again.
type Work = Box<dyn FnOnce() + Send>;

/// A thread that waits for work. It has room for one, so that giving it never waits.
struct IdleThread {
    id: u64,
    give: SyncSender<Work>,
}

/// The idle threads; the last was busy last.
struct Threads {
    idle: Mutex<Vec<IdleThread>>,
    /// How long one is kept without work.
    kept_for: Duration,
}

/// Those of the process.
static THREADS: Threads = Threads::new(KEPT_FOR);
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// Runs `work` on an idle thread, or on a new one. It fails where the system grants none, and then nothing is run.
pub(super) fn run(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    THREADS.run(Box::new(work))
}

impl Threads {
    const fn new(kept_for: Duration) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            kept_for,
        }
    }

    fn run(&'static self, work: Work) -> io::Result<()> {
        let idle = lock(&self.idle).pop();
        let unsent = match idle {
            // A thread that is listed has room and waits, so none comes back.
            Some(thread) => thread.give.send(work).err().map(|unsent| unsent.0),
            None => Some(work),
        };
        unsent.map_or(Ok(()), |work| self.start(&STACK_BYTES, work))
    }

    /// Starts a thread with the first of these stack sizes that the system grants, and `work` as its first.
    fn start(&'static self, stacks: &[usize], work: Work) -> io::Result<()> {
        let mut outcome = Err(io::ErrorKind::OutOfMemory.into());
        for stack in stacks {
            // A refused thread consumes its closure, so the work is sent to the thread once it runs.
            let (give, given) = sync_channel(1);
            let to_itself = give.clone();
            let spawned = thread::Builder::new()
                .name("moorline-libsql".to_owned())
                .stack_size(*stack)
                .spawn(move || self.run_thread(&to_itself, &given));
            match spawned {
                Ok(_) => {
                    // The thread waits for it.
                    let _ = give.send(work);
                    return Ok(());
                }
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    fn run_thread(&self, give: &SyncSender<Work>, given: &Receiver<Work>) {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let mut next = given.recv().ok();
        while let Some(work) = next {
            // A panic is a defect of ours; the thread itself goes on.
            let _ = catch_unwind(AssertUnwindSafe(work));
            lock(&self.idle).push(IdleThread {
                id,
                give: give.clone(),
            });
            next = given.recv_timeout(self.kept_for).ok().or_else(|| {
                // One that is listed no more is being given work.
                let was_listed = self.remove(id);
                (!was_listed).then(|| given.recv().ok()).flatten()
            });
        }
    }

    /// Takes the thread `id` from the list; false when it is not there.
    fn remove(&self, id: u64) -> bool {
        let mut idle = lock(&self.idle);
        let found = idle.iter().position(|thread| thread.id == id);
        found.map(|index| idle.remove(index)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Instant};

    use super::*;

    const LONG: Duration = Duration::from_mins(1);
    const SHORT: Duration = Duration::from_millis(5);

    /// Threads that no other test uses.
    fn threads(kept_for: Duration) -> &'static Threads {
        Box::leak(Box::new(Threads::new(kept_for)))
    }

    fn id_of_thread(threads: &'static Threads) -> thread::ThreadId {
        let (say, said) = mpsc::channel();
        let work = move || say.send(thread::current().id()).unwrap();
        threads.run(Box::new(work)).unwrap();
        said.recv().unwrap()
    }

    /// Waits until so many threads are idle.
    fn wait_for_idle(threads: &Threads, count: usize) {
        let began = Instant::now();
        while lock(&threads.idle).len() != count {
            assert!(began.elapsed() < Duration::from_secs(20));
            thread::yield_now();
        }
    }

    #[test]
    fn a_thread_gets_a_smaller_stack_where_the_system_refuses_a_large_one() {
        let threads = threads(SHORT);
        let (say, said) = mpsc::channel();
        let work = Box::new(move || say.send(1).unwrap());
        threads.start(&[1 << 60, 1 << 20], work).unwrap();
        assert_eq!(said.recv(), Ok(1));
        assert!(threads.start(&[1 << 60], Box::new(|| ())).is_err());
    }

    #[test]
    fn an_idle_thread_gets_the_next_work_also_after_a_panic() {
        let threads = threads(LONG);
        let first = id_of_thread(threads);
        wait_for_idle(threads, 1);
        threads.run(Box::new(|| panic!("a defect"))).unwrap();
        wait_for_idle(threads, 1);
        assert_eq!(id_of_thread(threads), first);
    }

    #[test]
    fn a_thread_without_work_ends() {
        let threads = threads(SHORT);
        let first = id_of_thread(threads);
        wait_for_idle(threads, 0);
        // It is listed before it is waited for.
        while id_of_thread(threads) == first {}
    }

    #[test]
    fn work_that_is_given_while_a_thread_gives_up_is_done() {
        let threads = threads(Duration::from_micros(100));
        for round in 0..3000 {
            let until = Instant::now() + Duration::from_micros(round % 50 * 5);
            while Instant::now() < until {}
            id_of_thread(threads);
        }
    }
}
