//! Calls on their way through a pipeline, by number, for a driver that cannot hold them itself.
//!
//! The driver is a loop in JavaScript: it keeps the number of its call, asks [`CallTable::admit`] before each attempt
//! and reports to [`CallTable::record`] after it.

mod calls;

use std::{
    sync::{Arc, Mutex},
    task::Waker,
    time::{Duration, Instant},
};

use self::calls::{Calls, ReadyQueue, TurnWaker};
use super::{
    budget::RetryBudget,
    call::{Admission, AfterAttempt},
    config::PolicyConfig,
    deadline::Deadline,
    outcome::AttemptOutcome,
    pipeline::{BreakerScope, Pipeline},
    policy_metrics::PolicySeries,
    registry::{Registry, SharedBreaker},
};
use crate::{error::Failure, limit::Limit, metrics, sync::lock};

/// The name of policies that were given none.
const UNNAMED: &str = "policy";
/// The `service` of the failures that a policy makes.
const SERVICE: &str = "resilience";

/// A pipeline and the calls of one owner that are on their way through it.
pub struct CallTable {
    name: String,
    pipeline: Pipeline,
    config: PolicyConfig,
    config_differs: bool,
    calls: Mutex<Calls>,
    ready_queue: Arc<ReadyQueue>,
    series: Option<PolicySeries>,
}

/// The answer to a call that may not make its attempt now.
#[derive(Debug, PartialEq)]
pub enum NotAdmitted {
    /// The call asks again after a pause.
    Wait {
        /// Its number.
        id: u32,
        /// The length of the pause.
        pause: Duration,
    },
    /// The call asks again when [`CallTable::next_turn`] gives its number.
    Queue {
        /// Its number.
        id: u32,
        /// The longest wait, if there is a limit.
        max_wait: Option<Duration>,
    },
    /// The call is over.
    Refused(Failure),
    /// No call has that number.
    Unknown,
}

impl CallTable {
    /// A policy of a name; those of one name share their breaker. Without a name its breaker is its own.
    pub fn new(name: &str, config: &PolicyConfig) -> Self {
        let Some((_, breaker)) = config.breaker.filter(|_| !name.is_empty()) else {
            return Self::with_own_breaker(name_or_default(name), config);
        };
        let joined = Registry::global().join(name, breaker);
        Self {
            config_differs: joined.config_differs,
            ..Self::with_breaker(name, config, Some(joined.breaker))
        }
    }

    /// A policy whose breaker, listed as `name-1`, `name-2`, …, is its own and goes with it.
    pub fn with_own_breaker(name: &str, config: &PolicyConfig) -> Self {
        let breaker = config
            .breaker
            .map(|(_, breaker)| Registry::global().own(name, breaker));
        Self::with_breaker(name, config, breaker)
    }

    /// A policy of the same breaker and nothing else.
    pub fn breaker_only(&self) -> Option<Self> {
        let breaker = self.breaker()?;
        let config = PolicyConfig::breaker_only(BreakerScope::Attempts, *breaker.config());
        let breaker = Some(Arc::clone(breaker));
        Some(Self::with_breaker(&self.name, &config, breaker))
    }

    fn with_breaker(
        name: &str,
        config: &PolicyConfig,
        breaker: Option<Arc<SharedBreaker>>,
    ) -> Self {
        let mut pipeline = Pipeline::new(config.pipeline);
        let mut name = name.to_owned();
        if let (Some((scope, _)), Some(breaker)) = (config.breaker, breaker) {
            breaker.name().clone_into(&mut name);
            pipeline = pipeline.with_breaker(scope, breaker);
        }
        if let Some(budget) = config.budget {
            pipeline = pipeline.with_budget(Arc::new(RetryBudget::new(budget)));
        }
        Self {
            name,
            pipeline,
            config: *config,
            config_differs: false,
            calls: Mutex::default(),
            ready_queue: Arc::default(),
            series: None,
        }
    }

    /// The same table with its metrics in `registry` under `name`, or under `policy` where that is empty.
    #[must_use]
    pub fn with_metrics(mut self, registry: &metrics::Registry, name: &str) -> Self {
        // It fails for a name that is another metric's, and none of ours is.
        self.series = PolicySeries::new(registry, name_or_default(name)).ok();
        self
    }

    /// The name: its own, or that of its breaker.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The options it was made with.
    pub const fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// Whether a breaker of this name was there before, with other options.
    pub const fn config_differs(&self) -> bool {
        self.config_differs
    }

    /// The longest that a first attempt may take; `None` without a limit.
    pub fn attempt_limit(&self) -> Option<Duration> {
        let pipeline = &self.config.pipeline;
        let limits = [pipeline.timeout.get(), pipeline.attempt_timeout.get()];
        limits.into_iter().flatten().min()
    }

    /// Its breaker, if it has one.
    pub fn breaker(&self) -> Option<&Arc<SharedBreaker>> {
        self.pipeline.breaker()
    }

    /// The number of running calls with a place in the bulkhead, and of those that wait for one.
    pub fn occupancy(&self) -> Option<(u32, usize)> {
        self.pipeline.occupancy()
    }

    /// Asks for the next attempt of the call `id`; without `id`, begins a call that is over after `timeout`.
    ///
    /// # Errors
    /// The attempt may not begin now, or not at all.
    pub fn admit(
        &self,
        id: Option<u32>,
        timeout: Limit<Duration>,
        now: Instant,
    ) -> Result<u32, NotAdmitted> {
        let mut calls = lock(&self.calls);
        let id = id.unwrap_or_else(|| {
            calls.insert(self.pipeline.begin(Deadline::after(now, timeout), now))
        });
        let (call, deadline) = calls.get(id).ok_or(NotAdmitted::Unknown)?;
        match call.admit(&self.pipeline, now) {
            Admission::Go(attempt) => {
                *deadline = attempt.deadline;
                self.count(PolicySeries::attempt);
                Ok(id)
            }
            Admission::Wait(pause) => Err(NotAdmitted::Wait { id, pause }),
            Admission::Queue(max_wait) => {
                let ready_queue = Arc::clone(&self.ready_queue);
                let waker = Waker::from(Arc::new(TurnWaker { ready_queue, id }));
                call.wake_on_turn(&self.pipeline, &waker);
                Err(NotAdmitted::Queue { id, max_wait })
            }
            Admission::Refuse(refusal) => {
                calls.remove(id);
                self.count(|series| series.refuse(&refusal));
                let failure = refusal.failure(&self.name);
                let failure = failure.during(SERVICE, self.name.clone());
                Err(NotAdmitted::Refused(failure))
            }
        }
    }

    /// Records the outcome of an attempt: the time until the next one, or `None` when the call is over.
    pub fn record(&self, id: u32, outcome: AttemptOutcome, now: Instant) -> Option<Duration> {
        let mut calls = lock(&self.calls);
        let (call, _) = calls.get(id)?;
        let next = call.record(&self.pipeline, outcome, now);
        if let AfterAttempt::RetryIn(delay) = next {
            self.count(PolicySeries::retry);
            return Some(delay);
        }
        self.count(|series| series.end(next == AfterAttempt::Done));
        calls.remove(id);
        None
    }

    /// Cancels a call that its caller has abandoned.
    pub fn cancel(&self, id: u32, now: Instant) {
        let mut calls = lock(&self.calls);
        if let Some((mut call, _)) = calls.remove(id) {
            call.cancel(&self.pipeline, now);
            self.count(PolicySeries::cancel);
        }
    }

    /// Cancels every call without counting it: what they hold of a shared breaker is returned to it.
    pub fn cancel_all_uncounted(&self, now: Instant) {
        for mut call in lock(&self.calls).drain() {
            call.cancel(&self.pipeline, now);
        }
    }

    /// Counts an attempt that was not over within `allowed` and returns its failure. `limit` is the option that bounds
    /// it, where that is none of the policy's own.
    pub fn time_out(&self, allowed: Duration, limit: Option<&str>) -> Failure {
        self.count(PolicySeries::time_out);
        let ms = allowed.as_nanos() as f64 / 1e6;
        let message = format!("the attempt did not finish within {ms} ms");
        let config = self.pipeline.config();
        let failure = config.attempt_timed_out(message, allowed, limit, true);
        failure.during(SERVICE, self.name.clone())
    }

    /// The time that the running attempt of a call has left; `None` without a limit.
    pub fn attempt_time_left(&self, id: u32, now: Instant) -> Option<Duration> {
        let mut calls = lock(&self.calls);
        let (_, deadline) = calls.get(id)?;
        deadline.remaining(now)
    }

    /// The next queued call whose turn in the bulkhead has come.
    pub fn next_turn(&self) -> Option<u32> {
        self.ready_queue.next()
    }

    fn count(&self, count: impl FnOnce(&PolicySeries)) {
        if let Some(series) = &self.series {
            count(series);
        }
    }
}

const fn name_or_default(name: &str) -> &str {
    if name.is_empty() { UNNAMED } else { name }
}
