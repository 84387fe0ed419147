//! What time it is for a policy.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The time of the process, or of a clock of the caller's that tests turn.
#[derive(Default)]
pub(crate) struct Clock(OnceLock<Told>);

struct Told {
    since: Instant,
    passed_us: AtomicU64,
}

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        self.0.get().map_or_else(Instant::now, |told| {
            told.since + Duration::from_micros(told.passed_us.load(Ordering::Relaxed))
        })
    }

    /// From now on `now` is what is told here, in milliseconds since the first time. It never goes back.
    pub(crate) fn set(&self, ms: f64) {
        let told = self.0.get_or_init(|| Told {
            since: Instant::now(),
            passed_us: AtomicU64::new(0),
        });
        told.passed_us
            .fetch_max((ms * 1000.0) as u64, Ordering::Relaxed);
    }
}
