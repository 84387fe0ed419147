//! Answers by the local model, in the shape of the service's.

use std::sync::Arc;

use moorline_core::error::{Failure, Kind, Outcome};
use tokio_util::sync::CancellationToken;

use super::{
    local::{self, Prediction},
    request::{Request, Task},
    result::{
        Content, Intervals, ModelInfo, PredictedPoint, TaskResult, time_after, without_anomalies,
    },
};
use moorline_net::http::offload;

/// Whether the local model can run a request.
pub(super) const fn can_run(request: &Request) -> bool {
    matches!(request.task, Task::Forecast { .. } | Task::Anomalies { .. })
}

/// Answers a forecast or an anomaly detection, because of a failure of that kind.
pub(super) async fn run(
    request: Arc<Request>,
    reason: Kind,
    cancel: CancellationToken,
) -> Outcome<TaskResult> {
    // Models take milliseconds even for a short series.
    offload(usize::MAX, move || {
        let (content, model) = match &request.task {
            Task::Forecast { horizon, levels } => forecast(&request, *horizon, levels, &cancel)?,
            Task::Anomalies { level } => (
                detect_anomalies(&request, *level, &cancel)?,
                "STL".to_owned(),
            ),
            _ => {
                return Err(Failure::new(
                    Kind::Rejected,
                    "there is no local model for this operation",
                ));
            }
        };
        Ok(TaskResult {
            content,
            model_info: ModelInfo {
                source: "local",
                model,
                frequency: request.input.frequency.as_str().to_owned(),
                fallback_reason: Some(reason.as_str()),
                ..ModelInfo::default()
            },
        })
    })
    .await
}

/// A computation cannot be interrupted, but need not go on to the next series.
fn go_on(cancel: &CancellationToken) -> Outcome<()> {
    if cancel.is_cancelled() {
        return Err(Failure::aborted());
    }
    Ok(())
}

fn forecast(
    request: &Request,
    horizon: usize,
    levels: &[f64],
    cancel: &CancellationToken,
) -> Outcome<(Content, String)> {
    let seasons = request.input.frequency.seasons();
    let names: Vec<Arc<str>> = levels.iter().map(|l| l.to_string().into()).collect();
    let mut models = Vec::<&str>::new();
    let mut points = Vec::with_capacity(request.input.series.len() * horizon);
    for series in &request.input.series {
        go_on(cancel)?;
        let prediction = local::forecast(&series.values, &seasons, horizon, levels);
        if !models.contains(&prediction.model) {
            models.push(prediction.model);
        }
        let id: Option<Arc<str>> = series.id.as_deref().map(Arc::from);
        for (step, value) in prediction.point.iter().enumerate() {
            points.push(PredictedPoint {
                id: id.clone(),
                timestamp: time_after(request, series, step)?,
                value: *value,
                intervals: intervals_at(&prediction, &names, step),
            });
        }
    }
    Ok((Content::Predictions(points), models.join(", ")))
}

fn intervals_at(prediction: &Prediction, names: &[Arc<str>], step: usize) -> Intervals {
    let bands = names.iter().zip(&prediction.bands);
    Intervals(
        bands
            .map(|(name, band)| (Arc::clone(name), band.lower[step], band.upper[step]))
            .collect(),
    )
}

fn detect_anomalies(request: &Request, level: f64, cancel: &CancellationToken) -> Outcome<Content> {
    let seasons = request.input.frequency.seasons();
    let mut all = Vec::new();
    for series in &request.input.series {
        go_on(cancel)?;
        let mut points = without_anomalies(series);
        let scored_points =
            local::score_anomalies(&series.values, &seasons, level).unwrap_or_default();
        for (point, scored) in points.iter_mut().zip(&scored_points) {
            point.set(scored);
        }
        all.extend(points);
    }
    Ok(Content::Anomalies(all))
}
