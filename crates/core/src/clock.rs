//! Conversion of monotonic instants to wall-clock time, for display.

use std::time::{Duration, Instant, SystemTime};

/// The wall clock is re-read when it has moved against the monotonic one by more than this: it was set, or the
/// machine slept. Below it the difference is only that of reading two clocks one after the other.
const MAX_DRIFT: Duration = Duration::from_millis(100);

/// Two clocks read at the same moment. Converting through it shows one moment as the same time every time.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    instant: Instant,
    wall: SystemTime,
}

impl Anchor {
    /// Both clocks now.
    pub const fn new(instant: Instant, wall: SystemTime) -> Self {
        Self { instant, wall }
    }

    /// The same anchor, or a new one when the clocks have drifted apart.
    #[must_use]
    pub fn refreshed(self, now: Instant, wall_now: SystemTime) -> Self {
        let expected = self.wall_time(now);
        let drift = wall_now
            .duration_since(expected)
            .unwrap_or_else(|early| early.duration());
        if drift > MAX_DRIFT {
            Self::new(now, wall_now)
        } else {
            self
        }
    }

    /// The wall clock's time at `moment`.
    pub fn wall_time(&self, moment: Instant) -> SystemTime {
        match moment.checked_duration_since(self.instant) {
            Some(after) => self.wall + after,
            None => self.wall - self.instant.duration_since(moment),
        }
    }

    /// The same in milliseconds since the epoch, as JavaScript counts.
    pub fn epoch_ms(&self, moment: Instant) -> f64 {
        let since = self
            .wall_time(moment)
            .duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0.0, |since| since.as_millis() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_moment_is_always_shown_as_the_same_time() {
        let (start, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + SECOND * 1000);
        let anchor = Anchor::new(start + SECOND, wall);
        let moved = anchor.refreshed(start + SECOND * 2, wall + SECOND + MAX_DRIFT);
        for anchor in [anchor, moved] {
            assert!((anchor.epoch_ms(start) - 999_000.0).abs() < 1e-9);
            assert!((anchor.epoch_ms(start + SECOND * 3) - 1_002_000.0).abs() < 1e-9);
        }
    }

    #[test]
    fn it_follows_a_wall_clock_that_was_set() {
        let (start, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + SECOND * 1000);
        for set in [wall + SECOND * 60, wall - SECOND * 60] {
            let anchor = Anchor::new(start, wall).refreshed(start, set);
            assert_eq!(anchor.wall_time(start), set);
        }
    }
}
