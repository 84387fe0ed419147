//! Forecasts and anomalies without the service, for when it cannot be asked.
//!
//! A forecast decomposes the series into its seasons and a trend (MSTL) and continues the trend by exponential
//! smoothing (AutoETS), on a scale where its variance is even (Box-Cox or Yeo-Johnson). Too short for a season it
//! is smoothing alone, and too short for that a straight line. Everything here is computation that takes
//! milliseconds to seconds: it runs on a thread that may block, never on the runtime's.

mod anomaly;
mod interval;
mod model;
mod statistics;

pub use anomaly::{ScoredPoint, score_anomalies};
pub use interval::forecast;

/// The bounds of one confidence level, a value for each step.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// The level, between 0 and 1.
    pub level: f64,
    /// The lower bounds.
    pub lower: Vec<f64>,
    /// The upper bounds.
    pub upper: Vec<f64>,
}

/// The expectation of a local model.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The model that was used.
    pub model: &'static str,
    /// The expected values.
    pub point: Vec<f64>,
    /// One band for each level asked for; none where the history is too short to say.
    pub bands: Vec<Band>,
}
