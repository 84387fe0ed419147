//! The pipeline: the policies around one target, in their fixed order.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{
    budget::RetryBudget,
    bulkhead::{Bulkhead, BulkheadConfig, Ticket},
    call::Call,
    deadline::Deadline,
    limiter::{Limiter, LimiterConfig},
    registry::SharedBreaker,
    retry::RetryPolicy,
};
use crate::{
    error::{Failure, Kind},
    limit::Limit,
    sync::lock,
};

/// The configuration of a pipeline, besides the breaker and the budget that it may share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PipelineConfig {
    /// The time limit of a call in all: attempts, delays and waiting.
    pub timeout: Limit<Duration>,
    /// The time limit of one attempt.
    pub attempt_timeout: Limit<Duration>,
    /// Retries, if any.
    pub retry: Option<RetryPolicy>,
    /// A rate limit, if any. Each attempt takes a token once it has its place in the bulkhead.
    pub limiter: Option<LimiterConfig>,
    /// A bulkhead, if any. Each attempt takes a place, and holds it while it waits for its token.
    pub bulkhead: Option<BulkheadConfig>,
}

/// The time that may pass between the beginning of an attempt and the reading of its clock.
const SLACK: Duration = Duration::from_millis(50);

impl PipelineConfig {
    /// The option that bounded an attempt which was allowed so long: one that began late has what is left of the call.
    fn limit_of(&self, allowed: Duration) -> &'static str {
        match self.attempt_timeout.get() {
            Some(attempt) if attempt <= allowed + SLACK => "attemptTimeoutMs",
            _ => "timeoutMs",
        }
    }

    /// The failure of an attempt that took longer than `allowed`. `limit` is the option that bounded it, where that is
    /// none of these; a repeat is safe where the operation is `idempotent`.
    pub fn attempt_timed_out(
        &self,
        message: impl fmt::Display,
        allowed: Duration,
        limit: Option<&str>,
        idempotent: bool,
    ) -> Failure {
        let limit = limit.unwrap_or_else(|| self.limit_of(allowed));
        Failure::timed_out(Kind::Timeout, message, limit).with_retryable(idempotent)
    }
}

/// The unit that a breaker counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerScope {
    /// A call with all its retries is one success or failure.
    Calls,
    /// Each attempt is.
    Attempts,
}

/// Policies in their order. Shared by all calls to one target.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) config: PipelineConfig,
    pub(super) breaker: Option<(BreakerScope, Arc<SharedBreaker>)>,
    pub(super) budget: Option<Arc<RetryBudget>>,
    pub(super) limiter: Option<Box<Mutex<Limiter>>>,
    pub(super) bulkhead: Option<Box<Mutex<Bulkhead>>>,
    pub(super) rng: Mutex<fastrand::Rng>,
}

impl Pipeline {
    /// A pipeline without breaker and budget.
    pub fn new(config: PipelineConfig) -> Self {
        Self {
            config,
            breaker: None,
            budget: None,
            limiter: config
                .limiter
                .map(|limiter| Box::new(Mutex::new(Limiter::new(limiter)))),
            bulkhead: config
                .bulkhead
                .map(|bulkhead| Box::new(Mutex::new(Bulkhead::new(bulkhead)))),
            rng: Mutex::new(fastrand::Rng::new()),
        }
    }

    /// Puts a breaker around calls or around attempts.
    #[must_use]
    pub fn with_breaker(mut self, scope: BreakerScope, breaker: Arc<SharedBreaker>) -> Self {
        self.breaker = Some((scope, breaker));
        self
    }

    /// Draws retries from a budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Arc<RetryBudget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Makes the jitter repeatable, for tests.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.rng = Mutex::new(fastrand::Rng::with_seed(seed));
        self
    }

    /// Its options.
    pub const fn config(&self) -> &PipelineConfig {
        &self.config
    }

    /// Its breaker, if it has one.
    pub fn breaker(&self) -> Option<&Arc<SharedBreaker>> {
        self.breaker.as_ref().map(|(_, breaker)| breaker)
    }

    /// Begins a call. Its deadline is the pipeline's, or the caller's where that is earlier.
    pub fn begin(&self, deadline: Deadline, now: Instant) -> Call {
        Call::new(Deadline::after(now, self.config.timeout).earlier(deadline))
    }

    /// The number of calls with a place in the bulkhead, and of those that wait for one.
    pub fn occupancy(&self) -> Option<(u32, usize)> {
        let bulkhead = lock(self.bulkhead.as_ref()?);
        Some((bulkhead.running(), bulkhead.queued()))
    }

    pub(super) fn breaker_for(&self, wanted: BreakerScope) -> Option<&SharedBreaker> {
        self.breaker
            .as_ref()
            .filter(|(scope, _)| *scope == wanted)
            .map(|(_, breaker)| breaker.as_ref())
    }

    pub(super) fn leave(&self, place: Option<Ticket>) {
        if let (Some(bulkhead), Some(place)) = (&self.bulkhead, place) {
            let next = lock(bulkhead).leave(place);
            if let Some(waker) = next {
                waker.wake();
            }
        }
    }
}
