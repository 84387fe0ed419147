//! How a connection's thread waits for its next job: awake for a moment, when jobs follow each other closely.
//!
//! Putting a thread to sleep and waking it costs more than a short statement. So a thread that has just been
//! busy looks for its next job for a while, one thread of the process at a time; after two
//! in vain it sleeps at once the next times, twice as often after each.

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

/// How long to look.
const LENGTH: Duration = Duration::from_micros(50);
/// At most so many jobs are fetched asleep between two vigils, as a power of two.
const MAX_DOUBT: u32 = 6;

/// Whether some thread keeps vigil: more than one would take the time of those that work.
static SPINNING: AtomicBool = AtomicBool::new(false);
/// On a single processor, looking for work keeps it from being made.
static POSSIBLE: LazyLock<bool> =
    LazyLock::new(|| thread::available_parallelism().is_ok_and(|processors| processors.get() > 1));

/// One thread's experience.
#[derive(Default)]
pub(in crate::libsql) struct JobQueue {
    skip: u32,
    doubt: u32,
}

impl JobQueue {
    /// The next job; `None` when there will be none. `alert` is set while the thread is awake for it.
    pub(in crate::libsql) fn next<T>(
        &mut self,
        queue: &mpsc::Receiver<T>,
        alert: &AtomicBool,
    ) -> Option<T> {
        if let Ok(job) = queue.try_recv() {
            return Some(job);
        }
        if self.skip > 0 {
            self.skip -= 1;
        } else if *POSSIBLE && !SPINNING.swap(true, Ordering::Acquire) {
            alert.store(true, Ordering::Release);
            let found = look(queue);
            alert.store(false, Ordering::Release);
            SPINNING.store(false, Ordering::Release);
            if found.is_some() {
                self.doubt = 0;
                return found;
            }
            self.doubt = (self.doubt + 1).min(MAX_DOUBT);
            self.skip = (1 << self.doubt) - 2;
        }
        queue.recv().ok()
    }
}

fn look<T>(queue: &mpsc::Receiver<T>) -> Option<T> {
    let began = Instant::now();
    while began.elapsed() < LENGTH {
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
    fn jobs_come_in_order_awake_or_asleep_and_the_end_is_seen() {
        let (sender, queue) = mpsc::channel();
        let alert = AtomicBool::new(false);
        let worker = thread::spawn(move || {
            let mut vigil = JobQueue::default();
            let mut jobs = Vec::new();
            while let Some(job) = vigil.next(&queue, &alert) {
                jobs.push(job);
            }
            (jobs, alert.load(Ordering::Relaxed))
        });
        for job in 0..2000 {
            // Some find the thread awake, some asleep.
            let until = Instant::now() + Duration::from_micros(job % 7 * 20);
            while Instant::now() < until {}
            sender.send(job).unwrap();
        }
        drop(sender);
        let (jobs, alert) = worker.join().unwrap();
        assert_eq!(jobs, (0..2000).collect::<Vec<_>>());
        assert!(!alert);
    }
}
