//! The deadline of a call: shared by retries, pool wait, connecting and the request.

use std::time::{Duration, Instant};

use crate::limit::Limit;

/// A moment at which waiting ends; or never, where the caller wrote `Infinity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No deadline.
    pub const NEVER: Self = Self(None);

    /// The deadline `timeout` from `now`.
    pub fn after(now: Instant, timeout: Limit<Duration>) -> Self {
        // An end that the clock cannot express is as good as never.
        Self(timeout.get().and_then(|timeout| now.checked_add(timeout)))
    }

    /// The moment, unless it is never.
    pub const fn at(self) -> Option<Instant> {
        self.0
    }

    /// The earlier of the two.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }

    /// The time left at `now`; `None` when there is no deadline, zero when it has passed.
    pub fn remaining(self, now: Instant) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(now))
    }

    /// Whether it has passed.
    pub fn passed(self, now: Instant) -> bool {
        self.0.is_some_and(|at| at <= now)
    }

    /// Whether a wait of `duration` that starts `now` would end at or after it.
    pub fn falls_within(self, now: Instant, duration: Duration) -> bool {
        self.remaining(now).is_some_and(|left| left <= duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_only_ever_shrinks() {
        let now = Instant::now();
        let second = Deadline::after(now, Limit::At(Duration::from_secs(1)));
        let minute = Deadline::after(now, Limit::At(Duration::from_mins(1)));
        assert_eq!(second.earlier(minute), second);
        assert_eq!(minute.earlier(second), second);
        assert_eq!(Deadline::NEVER.earlier(second), second);
        assert_eq!(Deadline::NEVER.remaining(now), None);
        assert!(second.passed(now + Duration::from_secs(1)));
        assert!(!second.passed(now));
    }

    #[test]
    fn an_end_beyond_the_clock_is_never() {
        let deadline = Deadline::after(Instant::now(), Limit::At(Duration::MAX));
        assert_eq!(deadline, Deadline::NEVER);
    }
}
