//! The operations of the client, each a pipeline around exchanges.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::Limit,
    resilience::{
        breaker::{BreakerConfig, CircuitState, Trip},
        outcome::AttemptFailure,
        pipeline::{BreakerScope, Pipeline, PipelineConfig},
        registry::{Registry, SharedBreaker, Watcher},
        retry::{Backoff, Jitter, RetryPolicy},
    },
};
use reqwest::{Method, StatusCode};
use serde_json::Value as Json;
use tokio::sync::OnceCell;

use super::{
    SERVICE,
    answer::Answer,
    bounds::Bounds,
    clock::{epoch_ms, iso_in},
    config::NixtlaConfig,
    connect::{Exchange, Wire, missing_key, parse},
    error::Repeat,
    fallback,
    payload::{self, Payload},
    reply,
    request::{Request, Task},
    window::{self, Sent, Windows},
};
use moorline_net::http::off_runtime;
use moorline_net::pipeline::run;

const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// Delays double up to here.
const MAX_DELAY: Duration = Duration::from_mins(1);
/// A longer wait than this is not waited for: the call fails and says how long it would have been.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);
/// Spreads the retries of many processes: ± a tenth.
const JITTER: Jitter = Jitter::Symmetric(0.1);
/// The probe of a half-open breaker is given up after this, where attempts have no timeout.
const UNBOUNDED_PROBE: Duration = Duration::from_mins(10);
/// A JSON number takes about this much; enough to decide where it is written.
const BYTES_PER_POINT: usize = 8;

/// The state of the breaker, in terms of the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerState {
    /// Closed, open or half-open.
    pub state: CircuitState,
    /// Failed calls since the last success.
    pub failures: u64,
    /// When the last of them was, in ms since 1970.
    pub last_failure_ms: Option<f64>,
    /// When an open breaker lets a call through, in ms since 1970.
    pub next_attempt_ms: Option<f64>,
}

/// The usage of a client so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// HTTP requests, of every kind, retries included.
    pub requests: u64,
    /// Tokens read by the service.
    pub input_tokens: u64,
    /// Tokens written by it.
    pub output_tokens: u64,
    /// Tokens of fine-tuning.
    pub finetune_tokens: u64,
    /// Calls that the local model answered.
    pub local_answers: u64,
}

/// A client of the service.
#[derive(Debug)]
pub struct Nixtla {
    pub(super) config: Arc<NixtlaConfig>,
    pub(super) wire: Wire,
    pipeline: Pipeline,
    breaker: Arc<SharedBreaker>,
    pub(super) windows: Windows,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
    finetune_tokens: AtomicU64,
    local_answers: AtomicU64,
}

/// A request as it is sent; written at the first attempt that gets so far.
pub(super) struct Prepared {
    pub(super) sent: Sent,
    pub(super) payload: Payload,
}

impl Nixtla {
    /// A client; connects to nothing yet.
    pub fn new(config: NixtlaConfig) -> Self {
        let breaker = Registry::process().own(SERVICE, breaker_options(&config));
        let pipeline = Pipeline::new(PipelineConfig {
            timeout: Limit::Off,
            // Each exchange has its own, with the message users know.
            attempt_timeout: Limit::Off,
            retry: Some(RetryPolicy {
                max_retries: config.max_retries,
                base_delay: config.base_delay,
                max_delay: MAX_DELAY.max(config.base_delay),
                backoff: Backoff::Exponential { factor: 2.0 },
                jitter: JITTER,
                max_retry_after: MAX_RETRY_AFTER,
                cut_retry_after: false,
            }),
            limiter: None,
            bulkhead: None,
        })
        .with_breaker(BreakerScope::Calls, Arc::clone(&breaker));
        let config = Arc::new(config);
        Self {
            wire: Wire::new(Arc::clone(&config)),
            config,
            pipeline,
            breaker,
            windows: Windows::default(),
            input_tokens: AtomicU64::new(0),
            output_tokens: AtomicU64::new(0),
            finetune_tokens: AtomicU64::new(0),
            local_answers: AtomicU64::new(0),
        }
    }

    /// Does what a request asks; by the local model where the service cannot be asked and the client may fall back.
    pub async fn run(&self, request: Arc<Request>, bounds: Bounds) -> Outcome<Answer> {
        let operation = request.operation();
        let asked = if self.config.api_key.is_none() {
            Err(missing_key())
        } else {
            self.ask(&request, &bounds).await
        };
        let failure = match asked {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        if self.config.local_fallback && fallback::is_answerable(&request) && is_down(&failure) {
            self.local_answers.fetch_add(1, Ordering::Relaxed);
            return fallback::answer(request, failure.kind, bounds.cancel)
                .await
                .map_err(|failure| failure.during(SERVICE, operation));
        }
        Err(with_public_message(failure).during(SERVICE, operation))
    }

    async fn ask(&self, request: &Arc<Request>, bounds: &Bounds) -> Outcome<Answer> {
        let count = AtomicU32::new(0);
        let prepared = OnceCell::new();
        let operation = request.operation();
        // A reply that cannot be read is a failure of the service's, and counts as one.
        let mut answer = run(&self.pipeline, bounds.run(operation), |_| async {
            let body = self.attempt(request, &prepared, &count).await?;
            let sent = prepared.get().map(|prepared| prepared.sent.clone());
            let sent = sent.unwrap_or_else(|| Sent::of(request, None));
            let asked = Arc::clone(request);
            off_runtime(body.len(), move || {
                reply::read(&asked, &sent, parse(&body)?)
            })
            .await
        })
        .await?;
        payload::model_of(request, &self.config).clone_into(&mut answer.model_info.model);
        answer.model_info.requests = count.into_inner();
        self.account(&answer);
        Ok(answer)
    }

    async fn attempt(
        &self,
        request: &Arc<Request>,
        prepared: &OnceCell<Prepared>,
        count: &AtomicU32,
    ) -> Outcome<bytes::Bytes> {
        let prepared = prepared
            .get_or_try_init(|| self.prepare(request, count))
            .await?;
        let paths = &self.config.paths;
        let path = match request.task {
            Task::Forecast { .. } => &paths.forecast,
            Task::CrossValidation { .. } => &paths.cross_validation,
            Task::Anomalies { .. } => &paths.anomaly_detection,
            Task::OnlineAnomalies { .. } => &paths.online_anomaly_detection,
            Task::Finetune { .. } => &paths.finetune,
        };
        let exchange = Exchange {
            method: Method::POST,
            path,
            model: Some(payload::model_of(request, &self.config)),
            payload: Some(&prepared.payload),
            repeat: match request.task {
                // A model that was made although its answer got lost would be made, and paid for, twice.
                Task::Finetune { .. } => Repeat::OnlyUnaccepted,
                _ => Repeat::Harmless,
            },
        };
        self.wire
            .exchange(&exchange, count, self.config.timeout)
            .await
    }

    /// Decides which points are sent, and writes them.
    pub(super) async fn prepare(
        &self,
        request: &Arc<Request>,
        count: &AtomicU32,
    ) -> Outcome<Prepared> {
        let window = if self.config.restrict_input && window::is_restrictable(request) {
            self.window(request, count).await?
        } else {
            None
        };
        let points: usize = request.subject.series.iter().map(|s| s.values.len()).sum();
        let (request, config) = (Arc::clone(request), Arc::clone(&self.config));
        off_runtime(points * BYTES_PER_POINT, move || {
            let sent = Sent::of(&request, window);
            let payload = Payload::new(payload::body(&request, &config, &sent)?)?;
            Ok(Prepared { sent, payload })
        })
        .await
    }

    pub(super) fn account(&self, answer: &Answer) {
        let info = &answer.model_info;
        for (total, tokens) in [
            (&self.input_tokens, info.input_tokens),
            (&self.output_tokens, info.output_tokens),
            (&self.finetune_tokens, info.finetune_tokens),
        ] {
            total.fetch_add(tokens.unwrap_or_default(), Ordering::Relaxed);
        }
    }

    /// One exchange through the pipeline, and its answer as JSON.
    pub(super) async fn fetch(
        &self,
        operation: &'static str,
        exchange: &Exchange<'_>,
        bounds: &Bounds,
    ) -> Outcome<Json> {
        if self.config.api_key.is_none() {
            return Err(missing_key().during(SERVICE, operation));
        }
        let count = AtomicU32::new(0);
        let body = run(&self.pipeline, bounds.run(operation), |_| {
            self.wire.exchange(exchange, &count, self.config.timeout)
        })
        .await
        .map_err(|failure| with_public_message(failure).during(SERVICE, operation))?;
        off_runtime(body.len(), move || parse(&body))
            .await
            .map_err(|failure| failure.during(SERVICE, operation))
    }

    /// Whether the service answers and accepts the key. One exchange within 5 s, past the breaker, never a failure.
    pub async fn health_check(&self) -> bool {
        let exchange = Exchange::get(&self.config.paths.validate_api_key);
        let timeout = Limit::At(HEALTH_TIMEOUT);
        let count = AtomicU32::new(0);
        self.wire.exchange(&exchange, &count, timeout).await.is_ok()
    }

    /// The state of the breaker.
    pub fn breaker_state(&self) -> BreakerState {
        let snapshot = self.breaker.snapshot();
        BreakerState {
            state: snapshot.state,
            failures: snapshot.failures,
            last_failure_ms: snapshot.last_failure.map(epoch_ms),
            next_attempt_ms: snapshot.next_attempt.map(epoch_ms),
        }
    }

    /// Tells `watcher` of each change of the breaker, for as long as it lives.
    pub fn watch_breaker(&self, watcher: &Arc<Watcher>) {
        self.breaker.watch(watcher);
    }

    /// Closes the breaker and forgets its failures.
    pub fn reset_breaker(&self) {
        self.breaker.with(|breaker| breaker.reset(Instant::now()));
    }

    /// The usage so far.
    pub fn stats(&self) -> Stats {
        Stats {
            requests: self.wire.requests(),
            input_tokens: self.input_tokens.load(Ordering::Relaxed),
            output_tokens: self.output_tokens.load(Ordering::Relaxed),
            finetune_tokens: self.finetune_tokens.load(Ordering::Relaxed),
            local_answers: self.local_answers.load(Ordering::Relaxed),
        }
    }
}

fn breaker_options(config: &NixtlaConfig) -> BreakerConfig {
    // A probe is a whole call, with its retries and the waits between them.
    let longest_call = config.timeout.get().map_or(UNBOUNDED_PROBE, |timeout| {
        (timeout + MAX_RETRY_AFTER).saturating_mul(config.max_retries + 1)
    });
    BreakerConfig {
        trip: Trip::Consecutive {
            failures: config.breaker_threshold,
        },
        reset_timeout: config.breaker_reset,
        max_reset_timeout: config.breaker_reset,
        success_threshold: 1,
        half_open_max_calls: 1,
        probe_timeout: longest_call,
    }
}

/// Whether a failure means that the service cannot be asked, and not that the request is wrong.
fn is_down(failure: &Failure) -> bool {
    let missing_key = failure.kind == Kind::Auth && failure.attempts == 0;
    missing_key || failure.kind == Kind::CircuitOpen || AttemptFailure::from(failure).weight > 0
}

pub(super) fn has_status(failure: &Failure, status: StatusCode) -> bool {
    failure.detail.get("status") == Some(&Json::from(status.as_u16()))
}

/// The failure with the message users know for its kind.
fn with_public_message(failure: Failure) -> Failure {
    let message = match failure.kind {
        Kind::CircuitOpen => match failure.retry_after {
            Some(wait) => format!("Circuit breaker is open. Next attempt at {}", iso_in(wait)),
            None => "Circuit breaker is open".to_owned(),
        },
        _ if failure.retryable && failure.attempts > 0 => format!(
            "Nixtla request failed after {} attempts: {}",
            failure.attempts, failure.message
        ),
        _ => return failure,
    };
    failure.with_message(message)
}
