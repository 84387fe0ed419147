//! The input window of a model: only that much of a series is sent.
//!
//! The service tells it at a cost, so it is remembered.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, atomic::AtomicU32},
    time::Instant,
};

use moorline_core::{error::Outcome, sync::lock};
use reqwest::StatusCode;
use serde_json::Value as Json;
use url::form_urlencoded::Serializer;

use super::{
    connect::{Exchange, parse},
    payload,
    request::{Request, Task},
    service::{Nixtla, has_status},
};

/// The number of points that a model reads, and that it predicts at once (`/model_params`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Points of input.
    pub(super) input: usize,
    /// Points of output.
    pub(super) horizon: usize,
}

/// The points of each series that are sent: where they begin in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// For each series the number of points left out at its beginning.
    pub(super) skipped: Vec<usize>,
}

impl Sent {
    /// The part of the series that is sent, given the model's window.
    pub(super) fn of(request: &Request, window: Option<Window>) -> Self {
        let needed = window.map_or(usize::MAX, |window| points_needed(&request.task, window));
        let skipped = request
            .input
            .series
            .iter()
            .map(|series| series.values.len().saturating_sub(needed))
            .collect();
        Self { skipped }
    }
}

/// Whether a request may be restricted to the points a model looks at. Fine-tuning looks at all of them.
pub(super) fn is_restrictable(request: &Request) -> bool {
    let tuned = request.input.finetune_steps > 0 || request.input.finetuned_model_id.is_some();
    let forecasts = matches!(
        request.task,
        Task::Forecast { .. } | Task::CrossValidation { .. }
    );
    forecasts && !tuned
}

/// The vendor's own rule: with levels the model needs a history of its errors.
fn points_needed(task: &Task, window: Window) -> usize {
    let (horizon, levels, before) = match task {
        Task::Forecast { horizon, levels } => (*horizon, levels, 0),
        Task::CrossValidation {
            horizon,
            levels,
            windows,
            step,
            ..
        } => {
            let tested = horizon.saturating_add(step.saturating_mul(windows - 1));
            (*horizon, levels, tested)
        }
        _ => return usize::MAX,
    };
    let looked_at = if levels.is_empty() {
        window.input
    } else {
        window
            .input
            .saturating_mul(3)
            .saturating_add(window.horizon.max(horizon))
    };
    looked_at.saturating_add(before)
}

type ModelAndFrequency = (String, String);

/// The windows of models, and since when they are known; `None` for one the service does not tell.
#[derive(Debug, Default)]
pub(super) struct Windows(Mutex<HashMap<ModelAndFrequency, (Option<Window>, Instant)>>);

impl Windows {
    fn known(&self) -> MutexGuard<'_, HashMap<ModelAndFrequency, (Option<Window>, Instant)>> {
        lock(&self.0)
    }
}

impl Nixtla {
    /// The window of the request's model; remembered, because asking counts against the quota. A service that does
    /// not tell (404) gets the whole series.
    pub(super) async fn window(
        &self,
        request: &Request,
        count: &AtomicU32,
    ) -> Outcome<Option<Window>> {
        let model = payload::model_of(request, &self.config);
        let freq = request.input.frequency.as_str();
        let key = (model.to_owned(), freq.to_owned());
        let known = self.windows.known().get(&key).copied();
        if let Some((window, since)) = known
            && since.elapsed() < self.config.model_params_ttl
        {
            return Ok(window);
        }
        let query = Serializer::new(String::new())
            .append_pair("model", model)
            .append_pair("freq", freq)
            .finish();
        let path = format!("{}?{query}", self.config.paths.model_params);
        let exchange = Exchange::get(&path);
        let response = self
            .transport
            .exchange(&exchange, count, self.config.timeout);
        let window = match response.await {
            Ok(body) => read(&parse(&body)?),
            Err(failure) if has_status(&failure, StatusCode::NOT_FOUND) => None,
            Err(failure) => return Err(failure),
        };
        self.windows.known().insert(key, (window, Instant::now()));
        Ok(window)
    }
}

fn read(json: &Json) -> Option<Window> {
    let detail = json.get("detail")?;
    let read = |key: &str| usize::try_from(detail.get(key)?.as_u64()?).ok();
    Some(Window {
        input: read("input_size")?,
        horizon: read("horizon")?,
    })
}
