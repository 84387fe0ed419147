//! Durations of options documented in seconds, and the range of any duration.

use std::time::Duration;

use super::{Options, Read};
use crate::limit::Limit;

/// A thousand years: longer than any use, and short enough to be added to every moment.
const LONGEST: Duration = Duration::from_hours(1000 * 365 * 24);

/// A number of seconds, not negative.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).map_or(LONGEST, |time| time.min(LONGEST))
}

impl Options<'_> {
    /// A duration in seconds of at least `min`.
    pub fn seconds(&self, key: &'static str, default: Duration, min: f64) -> Read<Duration> {
        let given = self.number(key, min..=f64::MAX)?;
        Ok(given.map_or(default, duration))
    }

    /// A duration in seconds, or `Infinity` to turn the limit off.
    pub fn seconds_limit(
        &self,
        key: &'static str,
        default: Limit<Duration>,
        min: f64,
    ) -> Read<Limit<Duration>> {
        // The unit of what turns a limit off, or of no limit at all, does not matter.
        match self.number(key, min..=f64::INFINITY)? {
            None => Ok(default),
            Some(f64::INFINITY) => Ok(Limit::Off),
            Some(_) => self.seconds(key, Duration::ZERO, min).map(Limit::At),
        }
    }
}
