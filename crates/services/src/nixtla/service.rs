//! The operations of the client, each a pipeline around exchanges.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};

use jiff::Timestamp;
use moorline_core::{
    clock::Anchor,
    error::{Failure, Kind, Outcome},
    limit::Limit,
    resilience::{
        breaker::{BreakerConfig, CircuitState, Trip},
        outcome::AttemptFailure,
        pipeline::{BreakerScope, Pipeline, PipelineConfig},
        registry::{Registry, SharedBreaker, Watcher},
        retry::{Backoff, RetryPolicy},
    },
};
use reqwest::{Method, StatusCode};
use serde_json::Value as Json;
use tokio::sync::OnceCell;

use super::{
    SERVICE,
    call_limits::CallLimits,
    config::{
        DEFAULT_PROBE_TIMEOUT, HEALTH_TIMEOUT, JITTER, MAX_DELAY, MAX_RETRY_AFTER, NixtlaConfig,
    },
    connect::{Exchange, Transport, missing_key, parse},
    error::Idempotency,
    fallback,
    payload::{self, Payload},
    reply,
    request::{Request, Task},
    result::TaskResult,
    window::{self, Sent, Windows},
};
use moorline_net::http::offload;
use moorline_net::pipeline::run;

/// The approximate size of a number in JSON, which decides on which thread a body is written.
const BYTES_PER_POINT: usize = 8;

/// The state of the breaker, its times on the wall clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerState {
    /// Closed, open or half-open.
    pub state: CircuitState,
    /// Failed calls since the last success.
    pub failures: u64,
    /// The time of the last of them, in ms since 1970.
    pub last_failure_ms: Option<f64>,
    /// The time at which an open breaker admits a call, in ms since 1970.
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
    pub(super) transport: Transport,
    pipeline: Pipeline,
    breaker: Arc<SharedBreaker>,
    pub(super) windows: Windows,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
    finetune_tokens: AtomicU64,
    local_answers: AtomicU64,
}

/// A request as it is sent. The first attempt writes it; its retries send the same.
pub(super) struct PreparedRequest {
    pub(super) sent: Sent,
    pub(super) payload: Payload,
}

impl Nixtla {
    /// A client; connects to nothing yet.
    pub fn new(config: NixtlaConfig) -> Self {
        let breaker = Registry::global().own(SERVICE, breaker_options(&config));
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
            transport: Transport::new(Arc::clone(&config)),
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

    /// Runs a request: at the service, or by the local model where the service is unavailable and the client has the fallback.
    pub async fn run(&self, request: Arc<Request>, limits: CallLimits) -> Outcome<TaskResult> {
        let operation = request.operation();
        let outcome = if self.config.api_key.is_none() {
            Err(missing_key())
        } else {
            self.run_at_service(&request, &limits).await
        };
        let failure = match outcome {
            Ok(result) => return Ok(result),
            Err(failure) => failure,
        };
        if self.config.local_fallback && fallback::can_run(&request) && is_unavailable(&failure) {
            self.local_answers.fetch_add(1, Ordering::Relaxed);
            return fallback::run(request, failure.kind, limits.cancel)
                .await
                .map_err(|failure| failure.during(SERVICE, operation));
        }
        Err(with_public_message(failure).during(SERVICE, operation))
    }

    async fn run_at_service(
        &self,
        request: &Arc<Request>,
        limits: &CallLimits,
    ) -> Outcome<TaskResult> {
        let count = AtomicU32::new(0);
        let prepared = OnceCell::new();
        let operation = request.operation();
        // A reply that cannot be read is a failure of the service's, and counts as one.
        let mut result = run(&self.pipeline, limits.run(operation), |_| async {
            let body = self.attempt(request, &prepared, &count).await?;
            let sent = prepared.get().map(|prepared| prepared.sent.clone());
            let sent = sent.unwrap_or_else(|| Sent::of(request, None));
            let request = Arc::clone(request);
            offload(body.len(), move || {
                reply::read(&request, &sent, parse(&body)?)
            })
            .await
        })
        .await?;
        payload::model_of(request, &self.config).clone_into(&mut result.model_info.model);
        result.model_info.requests = count.into_inner();
        self.count_tokens(&result);
        Ok(result)
    }

    async fn attempt(
        &self,
        request: &Arc<Request>,
        prepared: &OnceCell<PreparedRequest>,
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
            idempotency: match request.task {
                // A repeat after a lost response would train, and bill, a second model.
                Task::Finetune { .. } => Idempotency::NotIdempotent,
                _ => Idempotency::Idempotent,
            },
        };
        self.transport
            .exchange(&exchange, count, self.config.timeout)
            .await
    }

    /// Selects the points to send and writes the body.
    pub(super) async fn prepare(
        &self,
        request: &Arc<Request>,
        count: &AtomicU32,
    ) -> Outcome<PreparedRequest> {
        let window = if self.config.restrict_input && window::is_restrictable(request) {
            self.window(request, count).await?
        } else {
            None
        };
        let points: usize = request.input.series.iter().map(|s| s.values.len()).sum();
        let (request, config) = (Arc::clone(request), Arc::clone(&self.config));
        offload(points * BYTES_PER_POINT, move || {
            let sent = Sent::of(&request, window);
            let payload = Payload::new(payload::body(&request, &config, &sent)?)?;
            Ok(PreparedRequest { sent, payload })
        })
        .await
    }

    pub(super) fn count_tokens(&self, result: &TaskResult) {
        let info = &result.model_info;
        for (total, tokens) in [
            (&self.input_tokens, info.input_tokens),
            (&self.output_tokens, info.output_tokens),
            (&self.finetune_tokens, info.finetune_tokens),
        ] {
            total.fetch_add(tokens.unwrap_or_default(), Ordering::Relaxed);
        }
    }

    /// Makes one exchange through the pipeline and returns the response as JSON.
    pub(super) async fn fetch(
        &self,
        operation: &'static str,
        exchange: &Exchange<'_>,
        limits: &CallLimits,
    ) -> Outcome<Json> {
        if self.config.api_key.is_none() {
            return Err(missing_key().during(SERVICE, operation));
        }
        let count = AtomicU32::new(0);
        let body = run(&self.pipeline, limits.run(operation), |_| {
            self.transport
                .exchange(exchange, &count, self.config.timeout)
        })
        .await
        .map_err(|failure| with_public_message(failure).during(SERVICE, operation))?;
        offload(body.len(), move || parse(&body))
            .await
            .map_err(|failure| failure.during(SERVICE, operation))
    }

    /// Whether the service answers and accepts the key. One exchange within 5 s, past the breaker, never a failure.
    pub async fn health_check(&self) -> bool {
        let exchange = Exchange::get(&self.config.paths.validate_api_key);
        let timeout = Limit::At(HEALTH_TIMEOUT);
        let count = AtomicU32::new(0);
        self.transport
            .exchange(&exchange, &count, timeout)
            .await
            .is_ok()
    }

    /// The state of the breaker.
    pub fn breaker_state(&self) -> BreakerState {
        let snapshot = self.breaker.snapshot();
        let anchor = Anchor::new(Instant::now(), SystemTime::now());
        BreakerState {
            state: snapshot.state,
            failures: snapshot.failures,
            last_failure_ms: snapshot.last_failure.map(|at| anchor.epoch_ms(at)),
            next_attempt_ms: snapshot.next_attempt.map(|at| anchor.epoch_ms(at)),
        }
    }

    /// Calls `watcher` at each change of the breaker for as long as the watcher is alive.
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
            requests: self.transport.requests(),
            input_tokens: self.input_tokens.load(Ordering::Relaxed),
            output_tokens: self.output_tokens.load(Ordering::Relaxed),
            finetune_tokens: self.finetune_tokens.load(Ordering::Relaxed),
            local_answers: self.local_answers.load(Ordering::Relaxed),
        }
    }
}

fn breaker_options(config: &NixtlaConfig) -> BreakerConfig {
    // A probe is a whole call, with its retries and the waits between them.
    let longest_call = config
        .timeout
        .get()
        .map_or(DEFAULT_PROBE_TIMEOUT, |timeout| {
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

/// Whether a failure means that the service is unavailable, as opposed to a wrong request.
fn is_unavailable(failure: &Failure) -> bool {
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
            Some(wait) => {
                // As `Date.prototype.toISOString` writes it.
                let at = Timestamp::try_from(SystemTime::now() + wait)
                    .map_or_else(|_| String::new(), |at| format!("{at:.3}"));
                format!("Circuit breaker is open. Next attempt at {at}")
            }
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
