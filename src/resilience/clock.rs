//! The clock of a policy: the process's, or one that its user sets.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The time of the process, or of a clock of the caller's that tests turn.
#[derive(Default)]
pub(crate) struct Clock(OnceLock<UserTime>);

struct UserTime {
    since: Instant,
    passed_us: AtomicU64,
}

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        self.at(Instant::now())
    }

    /// The time at `now`, a time of the process.
    pub(crate) fn at(&self, now: Instant) -> Instant {
        self.0.get().map_or(now, |time| {
            time.since + Duration::from_micros(time.passed_us.load(Ordering::Relaxed))
        })
    }

    /// Sets `now` to `ms` milliseconds after the first call of this; it never goes back.
    pub(crate) fn set(&self, ms: f64) {
        let time = self.0.get_or_init(|| UserTime {
            since: Instant::now(),
            passed_us: AtomicU64::new(0),
        });
        time.passed_us
            .fetch_max((ms * 1000.0) as u64, Ordering::Relaxed);
    }
}
