//! The results of the operations, point by point, from the service or the local model.

use std::sync::Arc;

use moorline_core::error::{Delivery, Failure, Kind, Outcome};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{local::ScoredPoint, request::Request, series::Series};
use moorline_net::http::offload;

/// The approximate size of a point in JSON, which decides on which thread it is written.
const BYTES_PER_POINT: usize = 100;

/// The result of an operation. Serialized it is the public result.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskResult {
    /// The points, or the model's id.
    #[serde(flatten)]
    pub content: Content,
    /// The origin of the result.
    pub model_info: ModelInfo,
}

impl TaskResult {
    /// The result as JSON text.
    pub async fn into_json(self) -> Outcome<String> {
        let points = match &self.content {
            Content::Predictions(points) => points.len(),
            Content::Forecasts(points) => points.len(),
            Content::Anomalies(points) => points.len(),
            Content::FinetunedModelId(_) => 0,
        };
        offload(points * BYTES_PER_POINT, move || {
            serde_json::to_string(&self).map_err(|error| {
                Failure::new(Kind::Internal, "the result could not be serialized")
                    .with_cause(error.to_string(), None)
            })
        })
        .await
    }
}

/// The results of the operations.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// `forecast`
    Predictions(Vec<PredictedPoint>),
    /// `crossValidate`
    Forecasts(Vec<TestedPoint>),
    /// `detectAnomalies` and `onlineAnomalies`
    Anomalies(Vec<AnomalyPoint>),
    /// `finetune`
    FinetunedModelId(String),
}

/// The origin of a result: model, requests and tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    /// `service` or `local`.
    pub source: &'static str,
    /// The model.
    pub model: String,
    /// The frequency, as the service spells it.
    pub frequency: String,
    /// The number of HTTP requests, retries included.
    pub requests: u32,
    /// Tokens read, as the service counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Tokens of fine-tuning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finetune_tokens: Option<u64>,
    /// The kind of the failure because of which the local model was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_reason: Option<&'static str>,
}

/// The name of a series, where it has one.
pub type Name = Option<Arc<str>>;

/// A predicted point.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PredictedPoint {
    /// The series, where it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Name,
    /// The time, written as in the request.
    pub timestamp: String,
    /// The predicted value.
    pub value: f64,
    /// The bounds of each level asked for.
    #[serde(skip_serializing_if = "Intervals::is_empty")]
    pub intervals: Intervals,
}

/// A point of the past as it would have been predicted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestedPoint {
    /// The series, where it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Name,
    /// The time, written as in the request.
    pub timestamp: String,
    /// The last point the prediction knew.
    pub cutoff: String,
    /// The value that was observed.
    pub actual: f64,
    /// The predicted value.
    pub value: f64,
    /// The bounds of each level asked for.
    #[serde(skip_serializing_if = "Intervals::is_empty")]
    pub intervals: Intervals,
}

/// A point, and whether it is an anomaly.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnomalyPoint {
    /// The series, where it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Name,
    /// The time, written as in the request.
    pub timestamp: String,
    /// The observed value.
    pub value: f64,
    /// The distance from the expected value in half-widths of the interval; above 1 is an anomaly.
    pub score: f64,
    /// Whether it is one.
    pub is_anomaly: bool,
    /// The expected value, if the point was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<f64>,
    /// The lower bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// The upper bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
}

/// The intervals of one point, by level as the caller wrote it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intervals(pub Vec<(Arc<str>, f64, f64)>);

impl Intervals {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Serialize)]
struct Interval {
    lower: f64,
    upper: f64,
}

impl Serialize for Intervals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (level, lower, upper) in &self.0 {
            let (lower, upper) = (*lower, *upper);
            map.serialize_entry(&**level, &Interval { lower, upper })?;
        }
        map.end()
    }
}

/// The name that the points of a series carry.
pub(super) fn name_of(series: &Series) -> Name {
    series.id.as_deref().map(Arc::from)
}

/// The time of the step (from 0) after the end of a series.
pub fn time_after(request: &Request, series: &Series, step: usize) -> Outcome<String> {
    series
        .after(&request.input.frequency, step as i64 + 1)
        .map(|moment| moment.to_string())
        .ok_or_else(|| {
            Failure::new(
                Kind::Rejected,
                "the horizon ends after the last supported date",
            )
            .with_delivery(Delivery::Answered)
        })
}

/// The points of a series, none of them marked as an anomaly.
pub fn without_anomalies(series: &Series) -> Vec<AnomalyPoint> {
    let id = name_of(series);
    series
        .moments
        .iter()
        .zip(&series.values)
        .map(|(moment, value)| AnomalyPoint {
            id: id.clone(),
            timestamp: moment.to_string(),
            value: *value,
            score: 0.0,
            is_anomaly: false,
            expected: None,
            lower: None,
            upper: None,
        })
        .collect()
}

impl AnomalyPoint {
    /// Copies what was scored into the point.
    pub fn set(&mut self, scored: &ScoredPoint) {
        self.expected = Some(scored.expected);
        self.lower = Some(scored.lower);
        self.upper = Some(scored.upper);
        // A point outside an interval of no width scores infinity, which JSON cannot express.
        self.score = scored.score.min(f64::MAX);
        self.is_anomaly = scored.score > 1.0;
    }
}
