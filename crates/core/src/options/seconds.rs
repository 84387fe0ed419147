//! Durations of options documented in seconds, and the range of any duration.

use std::time::Duration;

use super::{Options, PlainValue, Read};
use crate::limit::Limit;

/// A thousand years: longer than any use, and short enough to be added to every moment.
const MAX_DURATION: Duration = Duration::from_hours(1000 * 365 * 24);

/// A number of seconds, not negative.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).map_or(MAX_DURATION, |time| time.min(MAX_DURATION))
}

/// The option of every call that bounds it.
const TIMEOUT_MS_KEY: &str = "timeoutMs";

impl Options<'_> {
    /// The time limit of one call, from the `timeoutMs` of its options; `None` where it is not given.
    pub fn call_timeout(timeout_ms: &PlainValue) -> Read<Option<Limit<Duration>>> {
        let given = PlainValue::Map(vec![(TIMEOUT_MS_KEY.to_owned(), timeout_ms.clone())]);
        let options = Options::new("options", &given)?;
        let limit = options.ms_limit(TIMEOUT_MS_KEY, Limit::Off, 0.0)?;
        Ok(options.given(TIMEOUT_MS_KEY).map(|_| limit))
    }

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
