//! The jobs of a connection, and the wait of the thread that serves it for the next one: spin for a moment, then leave.
//!
//! Parking and waking a thread costs more than a short statement. So a thread that has just been busy spins for its
//! next job, one thread of the process at a time. After two misses in a row it leaves at once a number of times, which
//! about doubles with each further miss.

use std::{
    collections::VecDeque,
    hint,
    sync::{
        LazyLock, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use moorline_core::sync::lock;

/// The duration of a spin.
const SPIN_TIME: Duration = Duration::from_micros(50);
/// The number of misses in a row from which on the number of skipped spins stays the same.
const MAX_MISSES: u32 = 6;
/// An empty queue keeps the memory for so many jobs.
const KEPT_CAPACITY: usize = 4;

/// Whether a thread of the process spins; a second one would take time from threads that work.
static SPINNING: AtomicBool = AtomicBool::new(false);
/// Whether there is more than one processor; with a single one, spinning delays the thread that makes the next job.
static IS_MULTICORE: LazyLock<bool> =
    LazyLock::new(|| thread::available_parallelism().is_ok_and(|processors| processors.get() > 1));

/// The jobs of one connection, in order, served by one thread at a time and by none while there is nothing to do.
pub(super) struct JobQueue<T> {
    state: Mutex<QueueState<T>>,
    /// Whether a spinning thread finds something when it takes the lock.
    has_news: AtomicBool,
    /// Whether its thread is awake and looks for its next job.
    spinning: AtomicBool,
}

struct QueueState<T> {
    jobs: VecDeque<T>,
    is_served: bool,
    is_closed: bool,
    /// The misses of spinning in a row, and the number of spins to skip.
    misses: u32,
    skip: u32,
}

/// What a thread that serves a queue does next.
pub(super) enum Next<T> {
    /// This job.
    Job(T),
    /// Nothing: it no longer serves the queue.
    Leave,
    /// It closes the connection, and no longer serves the queue: there will be no job.
    Close,
}

impl<T> JobQueue<T> {
    /// An empty queue, which is served: by the thread that opens the connection.
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(QueueState {
                jobs: VecDeque::new(),
                is_served: true,
                is_closed: false,
                misses: 0,
                skip: 0,
            }),
            has_news: AtomicBool::new(false),
            spinning: AtomicBool::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, QueueState<T>> {
        lock(&self.state)
    }

    /// Adds a job. True when the caller has to have the queue served. A closed queue returns the job.
    pub(super) fn push(&self, job: T) -> Result<bool, T> {
        let mut state = self.state();
        if state.is_closed {
            return Err(job);
        }
        state.jobs.push_back(job);
        Ok(self.notify(&mut state))
    }

    /// Ends the queue after the jobs it has. True when the caller has to have it served.
    pub(super) fn close(&self) -> bool {
        let mut state = self.state();
        !std::mem::replace(&mut state.is_closed, true) && self.notify(&mut state)
    }

    fn notify(&self, state: &mut QueueState<T>) -> bool {
        self.has_news.store(true, Ordering::Release);
        !std::mem::replace(&mut state.is_served, true)
    }

    /// Takes all jobs back, for a queue that no thread can serve. True when the connection is to be closed.
    pub(super) fn give_up(&self) -> (VecDeque<T>, bool) {
        let mut state = self.state();
        state.is_served = state.is_closed;
        (std::mem::take(&mut state.jobs), state.is_closed)
    }

    /// Whether its thread is awake and looks for its next job.
    pub(super) fn is_spinning(&self) -> bool {
        self.spinning.load(Ordering::Acquire)
    }

    /// Waits for the next job as long as that is sooner than to wake a thread for it; called by the thread that serves the queue.
    pub(super) fn next(&self) -> Next<T> {
        let mut state = self.state();
        if state.is_empty() {
            if state.skip > 0 {
                state.skip -= 1;
            } else if *IS_MULTICORE && !SPINNING.swap(true, Ordering::Acquire) {
                self.has_news.store(false, Ordering::Release);
                drop(state);
                self.spinning.store(true, Ordering::Release);
                let found = self.spin();
                self.spinning.store(false, Ordering::Release);
                SPINNING.store(false, Ordering::Release);
                state = self.state();
                state.record_spin(found);
            }
        }
        state.take()
    }

    fn spin(&self) -> bool {
        let began = Instant::now();
        while began.elapsed() < SPIN_TIME {
            for _ in 0..8 {
                hint::spin_loop();
            }
            if self.has_news.load(Ordering::Acquire) {
                return true;
            }
        }
        false
    }
}

impl<T> QueueState<T> {
    fn is_empty(&self) -> bool {
        self.jobs.is_empty() && !self.is_closed
    }

    fn record_spin(&mut self, found: bool) {
        if found {
            self.misses = 0;
        } else {
            self.misses = (self.misses + 1).min(MAX_MISSES);
            self.skip = (1 << self.misses) - 2;
        }
    }

    fn take(&mut self) -> Next<T> {
        if let Some(job) = self.jobs.pop_front() {
            return Next::Job(job);
        }
        if self.is_closed {
            return Next::Close;
        }
        self.is_served = false;
        if self.jobs.capacity() > KEPT_CAPACITY {
            self.jobs = VecDeque::new();
        }
        Next::Leave
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Serves a queue until it is empty or closed, and notes its jobs.
    fn serve(queue: &JobQueue<u64>, done: &Mutex<Vec<u64>>) -> bool {
        // Two threads at the same time would find it locked.
        let mut done = done.try_lock().unwrap();
        loop {
            match queue.next() {
                Next::Job(job) => done.push(job),
                Next::Leave => {
                    // From here on another thread may serve it.
                    return false;
                }
                Next::Close => return true,
            }
        }
    }

    #[test]
    fn jobs_are_served_in_order_while_a_thread_spins_or_none_is_there_and_the_end_is_seen() {
        let (queue, done) = (Arc::new(JobQueue::new()), Arc::new(Mutex::default()));
        assert!(!serve(&queue, &done));
        let mut threads = Vec::new();
        let mut have_served = |is_due| {
            if is_due {
                let (queue, done) = (Arc::clone(&queue), Arc::clone(&done));
                if let Some(last) = threads.pop() {
                    let last: thread::JoinHandle<bool> = last;
                    assert!(!last.join().unwrap());
                }
                threads.push(thread::spawn(move || serve(&queue, &done)));
            }
        };
        for job in 0..2000 {
            // Some find a thread that spins, some none.
            let until = Instant::now() + Duration::from_micros(job % 7 * 20);
            while Instant::now() < until {}
            have_served(queue.push(job).unwrap());
        }
        have_served(queue.close());
        assert!(!queue.close());
        assert_eq!(queue.push(2000), Err(2000));
        assert!(threads.pop().unwrap().join().unwrap());
        assert_eq!(*lock(&done), (0..2000).collect::<Vec<_>>());
        assert!(!queue.is_spinning());
    }

    #[test]
    fn a_queue_that_no_thread_serves_gives_its_jobs_back_and_can_be_served_later() {
        let queue = JobQueue::new();
        assert!(matches!(queue.next(), Next::Leave));
        assert_eq!(queue.push(1), Ok(true));
        assert_eq!(queue.push(2), Ok(false));
        assert_eq!(queue.give_up(), ([1, 2].into(), false));
        assert_eq!(queue.push(3), Ok(true));
        assert!(!queue.close());
        assert_eq!(queue.give_up(), ([3].into(), true));
    }
}
