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

/// The idle threads of the process; the last was busy last.
static IDLE: Mutex<Vec<IdleThread>> = Mutex::new(Vec::new());
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// Runs `work` on an idle thread, or on a new one. It fails where the system grants none, and then nothing is run.
pub(super) fn run(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let work: Work = Box::new(work);
    let idle = lock(&IDLE).pop();
    let unsent = match idle {
        // A thread that is listed has room and waits, so none comes back.
        Some(thread) => thread.give.send(work).err().map(|unsent| unsent.0),
        None => Some(work),
    };
    unsent.map_or(Ok(()), |work| start(&STACK_BYTES, work))
}

/// Starts a thread with the first of these stack sizes that the system grants, and `work` as its first.
fn start(stacks: &[usize], work: Work) -> io::Result<()> {
    let mut outcome = Err(io::ErrorKind::OutOfMemory.into());
    for stack in stacks {
        // A refused thread consumes its closure, so the work is sent to the thread once it runs.
        let (give, given) = sync_channel(1);
        let to_itself = give.clone();
        let spawned = thread::Builder::new()
            .name("moorline-libsql".to_owned())
            .stack_size(*stack)
            .spawn(move || run_thread(&to_itself, &given));
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

fn run_thread(give: &SyncSender<Work>, given: &Receiver<Work>) {
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    let mut next = given.recv().ok();
    while let Some(work) = next {
        // A panic is a defect of ours; the thread itself goes on.
        let _ = catch_unwind(AssertUnwindSafe(work));
        lock(&IDLE).push(IdleThread {
            id,
            give: give.clone(),
        });
        next = given.recv_timeout(KEPT_FOR).ok().or_else(|| {
            // One that is listed no more is being given work.
            let was_listed = remove(id);
            (!was_listed).then(|| given.recv().ok()).flatten()
        });
    }
}

/// Takes the thread `id` from the list; false when it is not there.
fn remove(id: u64) -> bool {
    let mut idle = lock(&IDLE);
    let found = idle.iter().position(|thread| thread.id == id);
    found.map(|index| idle.remove(index)).is_some()
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Instant};

    use super::*;

    /// One test at a time, as they share the threads.
    static ALONE: Mutex<()> = Mutex::new(());

    fn id_of_thread() -> thread::ThreadId {
        let (say, said) = mpsc::channel();
        run(move || say.send(thread::current().id()).unwrap()).unwrap();
        said.recv().unwrap()
    }

    fn wait_until(holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(20));
            thread::yield_now();
        }
    }

    #[test]
    fn a_thread_gets_a_smaller_stack_where_the_system_refuses_a_large_one() {
        let _alone = lock(&ALONE);
        let (say, said) = mpsc::channel();
        start(&[1 << 60, 1 << 20], Box::new(move || say.send(1).unwrap())).unwrap();
        assert_eq!(said.recv(), Ok(1));
        assert!(start(&[1 << 60], Box::new(|| ())).is_err());
    }

    #[test]
    fn an_idle_thread_gets_the_next_work_and_ends_when_there_is_none() {
        let _alone = lock(&ALONE);
        wait_until(|| lock(&IDLE).is_empty());
        let first = id_of_thread();
        wait_until(|| lock(&IDLE).len() == 1);
        assert_eq!(id_of_thread(), first);
        wait_until(|| lock(&IDLE).is_empty());
        assert_ne!(id_of_thread(), first);
    }

    #[test]
    fn work_that_panics_takes_no_thread_with_it() {
        let _alone = lock(&ALONE);
        wait_until(|| lock(&IDLE).is_empty());
        run(|| panic!("a defect")).unwrap();
        wait_until(|| lock(&IDLE).len() == 1);
        id_of_thread();
    }

    #[test]
    fn work_that_is_given_at_the_moment_a_thread_gives_up_is_done() {
        let _alone = lock(&ALONE);
        // It is taken from the list first, and given work when its wait is over.
        let (give, given) = sync_channel(1);
        let (say, said) = mpsc::channel();
        let to_itself = give.clone();
        give.send(Box::new(|| ()) as Work).unwrap();
        let thread = thread::spawn(move || run_thread(&to_itself, &given));
        wait_until(|| !lock(&IDLE).is_empty());
        let taken = lock(&IDLE).pop().unwrap();
        thread::sleep(KEPT_FOR + Duration::from_millis(50));
        taken
            .give
            .send(Box::new(move || say.send(1).unwrap()))
            .unwrap();
        assert_eq!(said.recv(), Ok(1));
        drop((taken, give));
        thread.join().unwrap();
    }
}
