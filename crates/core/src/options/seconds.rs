//! Durations of the few options that are documented in seconds.

use std::time::Duration;

use super::{MAX_MS, Options, Read};
use crate::limit::Limit;

const MAX_SECONDS: f64 = MAX_MS / 1000.0;

impl Options<'_> {
    /// A duration in seconds of at least `min`.
    pub fn seconds(&self, key: &'static str, default: Duration, min: f64) -> Read<Duration> {
        let given = self.number(key, min..=MAX_SECONDS)?;
        Ok(given.map_or(default, Duration::from_secs_f64))
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
