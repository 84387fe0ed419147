//! A bound that can be turned off on purpose, and never by accident.

use std::time::Duration;

/// A documented limit: finite by default, `Off` only where the caller wrote `Infinity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit<T> {
    /// The bound.
    At(T),
    /// Turned off with `Infinity`.
    Off,
}

impl<T: Copy> Limit<T> {
    /// The bound, or `None` when it is off.
    pub const fn get(self) -> Option<T> {
        match self {
            Self::At(value) => Some(value),
            Self::Off => None,
        }
    }
}

impl Limit<Duration> {
    /// Milliseconds as JavaScript shows them: `Infinity` when off.
    pub fn as_ms(self) -> f64 {
        self.get()
            .map_or(f64::INFINITY, |d| d.as_secs_f64() * 1000.0)
    }
}

/// A limit of time, and the option that sets it, for the error of a call that exceeds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimit {
    /// The longest time allowed.
    pub time: Limit<Duration>,
    /// The option as users write it.
    pub option: &'static str,
}

impl Limit<u64> {
    /// The number as JavaScript shows it: `Infinity` when off.
    pub fn as_number(self) -> f64 {
        self.get().map_or(f64::INFINITY, |n| n as f64)
    }
}
