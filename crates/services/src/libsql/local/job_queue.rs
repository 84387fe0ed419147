//! The wait of a connection's thread for its next job: spin for a moment, then park.
//!
//! Parking and waking a thread costs more than a short statement. So a thread that has just been busy spins for its
//! next job, one thread of the process at a time. After two misses in a row it parks at once a number of times, which
//! about doubles with each further miss.

use std::{
    hint,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// The duration of a spin.
const SPIN_TIME: Duration = Duration::from_micros(50);
/// The number of misses in a row from which on the number of skipped spins stays the same.
const MAX_MISSES: u32 = 6;

/// Whether a thread of the process spins; a second one would take time from threads that work.
static SPINNING: AtomicBool = AtomicBool::new(false);
/// Whether there is more than one processor; with a single one, spinning delays the thread that makes the next job.
static IS_MULTICORE: LazyLock<bool> =
    LazyLock::new(|| thread::available_parallelism().is_ok_and(|processors| processors.get() > 1));

/// The waiting strategy of one thread: its misses in a row, and the number of spins to skip.
#[derive(Default)]
pub(in crate::libsql) struct JobQueue {
    skip: u32,
    misses: u32,
}

impl JobQueue {
    /// Waits for the next job; `None` when there will be none. `spinning` is set while the thread spins.
    pub(in crate::libsql) fn next<T>(
        &mut self,
        queue: &mpsc::Receiver<T>,
        spinning: &AtomicBool,
    ) -> Option<T> {
        if let Ok(job) = queue.try_recv() {
            return Some(job);
        }
        if self.skip > 0 {
            self.skip -= 1;
        } else if *IS_MULTICORE && !SPINNING.swap(true, Ordering::Acquire) {
            spinning.store(true, Ordering::Release);
            let found = spin(queue);
            spinning.store(false, Ordering::Release);
            SPINNING.store(false, Ordering::Release);
            if found.is_some() {
                self.misses = 0;
                return found;
            }
            self.misses = (self.misses + 1).min(MAX_MISSES);
            self.skip = (1 << self.misses) - 2;
        }
        queue.recv().ok()
    }
}

fn spin<T>(queue: &mpsc::Receiver<T>) -> Option<T> {
    let began = Instant::now();
    while began.elapsed() < SPIN_TIME {
        for _ in 0..8 {
            hint::spin_loop();
        }
        if let Ok(job) = queue.try_recv() {
            return Some(job);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_arrive_in_order_while_spinning_or_parked_and_the_end_is_seen() {
        let (sender, queue) = mpsc::channel();
        let spinning = AtomicBool::new(false);
        let worker = thread::spawn(move || {
            let mut job_queue = JobQueue::default();
            let mut jobs = Vec::new();
            while let Some(job) = job_queue.next(&queue, &spinning) {
                jobs.push(job);
            }
            (jobs, spinning.load(Ordering::Relaxed))
        });
        for job in 0..2000 {
            // Some find the thread awake, some asleep.
            let until = Instant::now() + Duration::from_micros(job % 7 * 20);
            while Instant::now() < until {}
            sender.send(job).unwrap();
        }
        drop(sender);
        let (jobs, spinning) = worker.join().unwrap();
        assert_eq!(jobs, (0..2000).collect::<Vec<_>>());
        assert!(!spinning);
    }
}
