//! Two counters over a sliding window, in a fixed ring of buckets.
//!
//! Neither an allocation nor a timer is needed.

use std::time::{Duration, Instant};

/// Buckets that together cover the stretch; one more is being filled.
const BUCKETS: u32 = 10;

/// Counts all events and the marked ones among them over at least `length`, and at most a tenth longer.
#[derive(Clone, Debug)]
pub(super) struct Window {
    width: Duration,
    buckets: [Bucket; BUCKETS as usize + 1],
    /// The bucket being filled, and when it began.
    head: usize,
    began: Option<Instant>,
    sum: Bucket,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    all: u64,
    marked: u64,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            width: (length / BUCKETS).max(Duration::from_nanos(1)),
            buckets: Default::default(),
            head: 0,
            began: None,
            sum: Bucket::default(),
        }
    }

    /// Adds to both counters.
    pub(super) fn add(&mut self, now: Instant, all: u64, marked: u64) {
        self.advance(now);
        for bucket in [&mut self.buckets[self.head], &mut self.sum] {
            bucket.all += all;
            bucket.marked += marked;
        }
    }

    /// Both counters as of `now`: all events, and the marked ones.
    pub(super) fn sums(&mut self, now: Instant) -> (u64, u64) {
        self.advance(now);
        (self.sum.all, self.sum.marked)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.buckets = Default::default();
        self.sum = Bucket::default();
    }

    fn advance(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        if passed < self.width {
            return;
        }
        let steps = passed.as_nanos() / self.width.as_nanos();
        if steps > u128::from(BUCKETS) {
            self.clear();
            self.began = Some(now);
            return;
        }
        for _ in 0..steps {
            self.head = (self.head + 1) % self.buckets.len();
            let old = std::mem::take(&mut self.buckets[self.head]);
            self.sum.all -= old.all;
            self.sum.marked -= old.marked;
        }
        self.began = Some(began + self.width * steps as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_count_for_the_whole_length_and_not_much_longer() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(10));
        window.add(start, 3, 1);
        assert_eq!(window.sums(start + Duration::from_millis(10_500)), (3, 1));
        assert_eq!(window.sums(start + Duration::from_secs(11)), (0, 0));
    }

    #[test]
    fn a_long_silence_empties_it() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(10));
        window.add(start, 3, 1);
        window.add(start + Duration::from_hours(24), 1, 0);
        assert_eq!(window.sums(start + Duration::from_hours(24)), (1, 0));
    }
}
