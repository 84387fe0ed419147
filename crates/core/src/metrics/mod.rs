//! Metrics: counted without a lock, and shown as Prometheus text.
//!
//! A [`Registry`] holds families; a family has a name, a help text, label names and one series per combination of
//! label values. Callers keep the series ([`Counter`], [`Gauge`], [`Histogram`]) they write to, so that counting is
//! one atomic addition. State that already lives elsewhere (breakers, pools) is not counted twice: its owner carries
//! over what has changed when the metrics are read, and when it is dropped.

use std::borrow::Cow;

mod error;
mod exposition;
mod names;
mod registry;
mod series;
mod user;

pub use error::MetricError;
pub use exposition::{MetricType, TextExposition};
pub use registry::Registry;
pub use series::{Counter, Gauge, Histogram, HistogramSnapshot};
pub use user::{MetricDefinition, UserSeries};

/// Bucket bounds in seconds for requests over HTTP (OpenTelemetry's advice).
pub const HTTP_SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Bucket bounds in seconds for database operations (OpenTelemetry's advice).
pub const DATABASE_SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Characters of a name that are shown.
const MAX_NAME_CHARS: usize = 200;

/// A name of the user's as it is shown: one that is longer than 200 characters is cut, and ends in `…`.
pub fn shorten(name: &str) -> Cow<'_, str> {
    if name.char_indices().nth(MAX_NAME_CHARS).is_none() {
        return Cow::Borrowed(name);
    }
    let kept = name.chars().take(MAX_NAME_CHARS - 1);
    Cow::Owned(kept.chain(['…']).collect())
}
