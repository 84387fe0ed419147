//! The service's replies: flat arrays, put back beside times and names of the series.

use std::sync::Arc;

use moorline_core::error::{Delivery, Failure, Kind, Outcome};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{
    local::ScoredPoint,
    request::{Request, Task},
    result::{
        AnomalyPoint, Content, Intervals, ModelInfo, PredictedPoint, TaskResult, TestedPoint,
        name_of, time_after, without_anomalies,
    },
    window::Sent,
};

/// The reply of the service; each operation has some of its fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reply {
    mean: Vec<f64>,
    sizes: Vec<usize>,
    idxs: Vec<usize>,
    anomaly: Vec<bool>,
    anomaly_score: Option<Vec<f64>>,
    intervals: Option<Map<String, Json>>,
    finetuned_model_id: Option<String>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    finetune_tokens: Option<u64>,
}

/// Reads what the service answered to `request`, of which `sent` was sent.
pub(super) fn read(request: &Request, sent: &Sent, reply: Json) -> Outcome<TaskResult> {
    let reply: Reply =
        serde_json::from_value(reply).map_err(|error| unreadable(&error.to_string()))?;
    let content = match &request.task {
        Task::Forecast { horizon, levels } => {
            Content::Predictions(predictions(request, *horizon, levels, &reply)?)
        }
        Task::CrossValidation {
            horizon, levels, ..
        } => Content::Forecasts(tested(request, sent, *horizon, levels, &reply)?),
        Task::Anomalies { level } | Task::OnlineAnomalies { level, .. } => {
            Content::Anomalies(read_anomalies(request, sent, *level, &reply)?)
        }
        Task::Finetune { .. } => Content::FinetunedModelId(
            reply
                .finetuned_model_id
                .clone()
                .ok_or_else(|| unreadable("finetuned_model_id is missing"))?,
        ),
    };
    Ok(TaskResult {
        content,
        model_info: ModelInfo {
            source: "service",
            frequency: request.input.frequency.as_str().to_owned(),
            input_tokens: reply.input_tokens,
            output_tokens: reply.output_tokens,
            finetune_tokens: reply.finetune_tokens,
            ..ModelInfo::default()
        },
    })
}

/// A reply that is not what was agreed.
pub(super) fn unreadable(what: &str) -> Failure {
    Failure::new(
        Kind::Protocol,
        "the response of the Nixtla API cannot be read",
    )
    .with_delivery(Delivery::Answered)
    .with_cause(what, None)
}

fn expect_length(name: &str, found: usize, expected: usize) -> Outcome<()> {
    if found == expected {
        return Ok(());
    }
    Err(unreadable(&format!(
        "{name} has {found} entries instead of {expected}"
    )))
}

/// The bounds of one level.
struct LevelBand {
    level: Arc<str>,
    lower: Vec<f64>,
    upper: Vec<f64>,
}

impl Reply {
    /// The bounds of each level, under the name the caller gave it.
    fn bands(&self, levels: &[f64], count: usize) -> Outcome<Vec<LevelBand>> {
        let side = |prefix: &str, level: f64| {
            let found = self.intervals.iter().flatten().find_map(|(key, values)| {
                let percent: f64 = key.strip_prefix(prefix)?.parse().ok()?;
                ((percent - level * 100.0).abs() < 1e-6).then_some(values)
            });
            let name = format!("intervals.{prefix}{}", level * 100.0);
            let values = found.ok_or_else(|| unreadable(&format!("{name} is missing")))?;
            let values =
                Vec::<f64>::deserialize(values).map_err(|error| unreadable(&error.to_string()))?;
            expect_length(&name, values.len(), count).map(|()| values)
        };
        levels
            .iter()
            .map(|level| {
                Ok(LevelBand {
                    level: level.to_string().into(),
                    lower: side("lo-", *level)?,
                    upper: side("hi-", *level)?,
                })
            })
            .collect()
    }
}

fn intervals_at(bands: &[LevelBand], index: usize) -> Intervals {
    let at = |band: &LevelBand| {
        let (lower, upper) = (band.lower[index], band.upper[index]);
        (Arc::clone(&band.level), lower, upper)
    };
    Intervals(bands.iter().map(at).collect())
}

fn predictions(
    request: &Request,
    horizon: usize,
    levels: &[f64],
    reply: &Reply,
) -> Outcome<Vec<PredictedPoint>> {
    let series = &request.input.series;
    let count = series.len() * horizon;
    expect_length("mean", reply.mean.len(), count)?;
    let bands = reply.bands(levels, count)?;
    let mut points = Vec::with_capacity(count);
    for (place, series) in series.iter().enumerate() {
        let id = name_of(series);
        for step in 0..horizon {
            let index = place * horizon + step;
            points.push(PredictedPoint {
                id: id.clone(),
                timestamp: time_after(request, series, step)?,
                value: reply.mean[index],
                intervals: intervals_at(&bands, index),
            });
        }
    }
    Ok(points)
}

/// The place of each flat index that was sent: its series, and its point there.
fn places(request: &Request, sent: &Sent) -> Vec<(usize, usize)> {
    request
        .input
        .series
        .iter()
        .zip(&sent.skipped)
        .enumerate()
        .flat_map(|(place, (series, skipped))| {
            (*skipped..series.values.len()).map(move |point| (place, point))
        })
        .collect()
}

fn tested(
    request: &Request,
    sent: &Sent,
    horizon: usize,
    levels: &[f64],
    reply: &Reply,
) -> Outcome<Vec<TestedPoint>> {
    let count = reply.mean.len();
    expect_length("idxs", reply.idxs.len(), count)?;
    let bands = reply.bands(levels, count)?;
    let places = places(request, sent);
    let mut points = Vec::with_capacity(count);
    for (index, flat) in reply.idxs.iter().enumerate() {
        // A window is `horizon` points; the point before its first is the last one it knew.
        let first = index - index % horizon;
        let begin = places
            .get(reply.idxs[first])
            .filter(|(_, point)| *point > 0);
        let (Some(&(place, point)), Some(&(_, begin))) = (places.get(*flat), begin) else {
            return Err(unreadable("idxs refers to points outside of the series"));
        };
        let series = &request.input.series[place];
        points.push(TestedPoint {
            id: name_of(series),
            timestamp: series.moments[point].to_string(),
            cutoff: series.moments[begin - 1].to_string(),
            actual: series.values[point],
            value: reply.mean[index],
            intervals: intervals_at(&bands, index),
        });
    }
    Ok(points)
}

/// Every point of the request; the ones the service did not look at are no anomalies.
fn read_anomalies(
    request: &Request,
    sent: &Sent,
    level: f64,
    reply: &Reply,
) -> Outcome<Vec<AnomalyPoint>> {
    let count = reply.anomaly.len();
    expect_length("mean", reply.mean.len(), count)?;
    let indices = scored_indices(request, sent, reply)?;
    expect_length("idxs", indices.len(), count)?;
    let band = match &reply.intervals {
        Some(_) => reply.bands(&[level], count)?.pop(),
        None => None,
    };
    let mut points: Vec<Vec<AnomalyPoint>> =
        request.input.series.iter().map(without_anomalies).collect();
    for (index, (place, point)) in indices.into_iter().enumerate() {
        let series = &request.input.series[place];
        let value = series.values[point];
        let read_anomalies = &mut points[place][point];
        read_anomalies.expected = Some(reply.mean[index]);
        read_anomalies.is_anomaly = reply.anomaly[index];
        if let Some(band) = &band {
            let (lower, upper) = (band.lower[index], band.upper[index]);
            let scored =
                ScoredPoint::new(value, reply.mean[index], lower, upper, f64::MIN_POSITIVE);
            read_anomalies.set(&scored);
            read_anomalies.is_anomaly = reply.anomaly[index];
        } else if let Some(scores) = &reply.anomaly_score {
            read_anomalies.score = scores.get(index).copied().unwrap_or_default();
        }
    }
    Ok(points.into_iter().flatten().collect())
}

/// Which points the service scored: those of `idxs`, or the last `sizes[i]` of each series.
fn scored_indices(request: &Request, sent: &Sent, reply: &Reply) -> Outcome<Vec<(usize, usize)>> {
    let outside = || unreadable("the response refers to points outside of the series");
    if matches!(request.task, Task::OnlineAnomalies { .. }) {
        let places = places(request, sent);
        let at = |flat: &usize| places.get(*flat).copied().ok_or_else(outside);
        return reply.idxs.iter().map(at).collect();
    }
    let series = &request.input.series;
    expect_length("sizes", reply.sizes.len(), series.len())?;
    let mut indices = Vec::new();
    for (place, (series, size)) in series.iter().zip(&reply.sizes).enumerate() {
        let first = series.values.len().checked_sub(*size).ok_or_else(outside)?;
        indices.extend((first..series.values.len()).map(|point| (place, point)));
    }
    Ok(indices)
}
