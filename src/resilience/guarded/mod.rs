//! The calls of one JavaScript environment on their way through a pipeline.

mod calls;
mod clock;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use moorline_core::limit::Limit;
use moorline_core::metrics::Registry as Metrics;
use moorline_core::resilience::{
    budget::Budget,
    call::{Admission, AfterAttempt},
    config::PolicyConfig,
    deadline::Deadline,
    describe,
    outcome::AttemptOutcome,
    pipeline::{BreakerScope, Pipeline},
    registry::{Registry, SharedBreaker, Watcher},
    series::PolicySeries,
};
use serde_json::{Value as Json, json};

use self::{
    calls::{Calls, Turn, Turns},
    clock::Clock,
};
use crate::bridge;

/// What `admit` answers when the call may not go yet, or not at all; `policyStep` says which.
pub(crate) const NOT_ADMITTED: i32 = -1;

/// What policies without a name are called.
const UNNAMED: &str = "policy";

/// A pipeline and the calls of one JavaScript environment that are on their way through it.
pub struct Policy {
    name: String,
    pub(crate) pipeline: Pipeline,
    /// As users see them.
    options: Json,
    /// A breaker of this name was there before, with other options.
    config_differs: bool,
    calls: Mutex<Calls>,
    turns: Arc<Turns>,
    watcher: Mutex<Option<Arc<Watcher>>>,
    series: Option<PolicySeries>,
    /// The clock that all times are read from.
    pub(crate) clock: Clock,
}

impl Policy {
    /// A policy of a name; those of one name share their breaker. Without a name it has a breaker of its own.
    pub(crate) fn new(name: &str, read: &PolicyConfig) -> Self {
        let Some((_, options)) = read.breaker.filter(|_| !name.is_empty()) else {
            return Self::owned(if name.is_empty() { UNNAMED } else { name }, read);
        };
        let joined = Registry::process().join(name, options);
        let mut policy = Self::around(name, read, Some(joined.breaker));
        policy.config_differs = joined.config_differs;
        policy
    }

    /// A policy whose breaker, listed as `name-1`, `name-2`, …, is its own and goes with it.
    pub(crate) fn owned(name: &str, read: &PolicyConfig) -> Self {
        let breaker = read
            .breaker
            .map(|(_, options)| Registry::process().own(name, options));
        Self::around(name, read, breaker)
    }

    /// Its breaker and nothing else.
    pub(crate) fn breaker_only(&self) -> Option<Self> {
        let breaker = self.breaker()?;
        let read = PolicyConfig::breaker_only(BreakerScope::Attempts, *breaker.config());
        Some(Self::around(&self.name, &read, Some(Arc::clone(breaker))))
    }

    fn around(name: &str, read: &PolicyConfig, breaker: Option<Arc<SharedBreaker>>) -> Self {
        let mut pipeline = Pipeline::new(read.pipeline);
        let mut name = name.to_owned();
        if let (Some((guards, _)), Some(breaker)) = (read.breaker, breaker) {
            breaker.name().clone_into(&mut name);
            pipeline = pipeline.with_breaker(guards, breaker);
        }
        if let Some(budget) = read.budget {
            pipeline = pipeline.with_budget(Arc::new(Budget::new(budget)));
        }
        Self {
            name,
            pipeline,
            options: describe::policy(read),
            config_differs: false,
            calls: Mutex::default(),
            turns: Arc::default(),
            watcher: Mutex::default(),
            series: None,
            clock: Clock::default(),
        }
    }

    /// From now on it is counted in the metrics of the process: by its name, or as one of those without.
    pub(crate) fn published(mut self, name: &str) -> Self {
        let name = if name.is_empty() { UNNAMED } else { name };
        // It fails for a name that is another metric's, and none of ours is.
        self.series = PolicySeries::new(Metrics::process(), name).ok();
        self
    }

    /// The number of a call that may go, or `NOT_ADMITTED`. Without `id` it begins a call, which is over after `timeout`.
    pub(crate) fn admit(&self, id: Option<u32>, timeout: Limit<Duration>) -> i32 {
        let now = self.clock.now();
        let mut calls = lock(&self.calls);
        let id = id.unwrap_or_else(|| {
            calls.insert(self.pipeline.begin(Deadline::after(now, timeout), now))
        });
        let Some((call, deadline)) = calls.get(id) else {
            return NOT_ADMITTED;
        };
        let step = call.admit(&self.pipeline, now);
        if let Admission::Go(attempt) = step {
            *deadline = attempt.deadline;
            self.count(PolicySeries::attempt);
            return id as i32;
        }
        if matches!(step, Admission::Queue(_)) {
            let turns = Arc::clone(&self.turns);
            let waker = Waker::from(Arc::new(Turn { turns, id }));
            call.wake_on_turn(&self.pipeline, &waker);
        }
        calls.step = match step {
            Admission::Go(_) => Json::Null,
            Admission::Wait(pause) => json!({ "id": id, "waitMs": ms(pause) }),
            Admission::Queue(at_most) => json!({ "id": id, "queueMs": at_most.map(ms) }),
            Admission::Refuse(refusal) => {
                calls.remove(id);
                self.count(|series| series.refuse(&refusal));
                let failure = refusal.failure(&self.name);
                let failure = failure.during("resilience", self.name.clone());
                json!({ "refused": bridge::record(failure) })
            }
        };
        NOT_ADMITTED
    }

    /// The time until the next attempt; `None` when the call is over.
    pub(crate) fn record(&self, id: u32, report: AttemptOutcome) -> Option<Duration> {
        let now = self.clock.now();
        let mut calls = lock(&self.calls);
        let (call, _) = calls.get(id)?;
        let next = call.record(&self.pipeline, report, now);
        if let AfterAttempt::RetryIn(delay) = next {
            self.count(PolicySeries::retry);
            return Some(delay);
        }
        self.count(|series| series.end(next == AfterAttempt::Done));
        calls.remove(id);
        None
    }

    /// The caller gave the call up.
    pub(crate) fn cancel(&self, id: u32) {
        let mut calls = lock(&self.calls);
        if let Some((mut call, _)) = calls.remove(id) {
            call.cancel(&self.pipeline, self.clock.now());
            self.count(PolicySeries::cancel);
        }
    }

    /// An attempt took too long.
    pub(crate) fn time_out(&self) {
        self.count(PolicySeries::time_out);
    }

    fn count(&self, count: impl FnOnce(&PolicySeries)) {
        if let Some(series) = &self.series {
            count(series);
        }
    }

    /// The name: its own, or that of its breaker.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What `lib/` keeps of it, as JSON: name, options, and the longest a first attempt may take.
    pub(crate) fn describe(&self) -> Json {
        let options = self.pipeline.config();
        let bounds = [options.timeout.get(), options.attempt_timeout.get()];
        json!({
            "name": self.name,
            "options": self.options,
            "optionsDiffer": self.config_differs,
            "attemptMs": bounds.into_iter().flatten().min().map(ms),
        })
    }

    /// What the last call that could not go was told.
    pub(crate) fn take_step(&self) -> Json {
        lock(&self.calls).step.take()
    }

    /// How long the running attempt may still take; `None` without a limit.
    pub(crate) fn attempt_left(&self, id: u32) -> Option<Duration> {
        let mut calls = lock(&self.calls);
        let (_, deadline) = calls.get(id)?;
        deadline.remaining(self.clock.now())
    }

    /// The next queued call whose turn in the bulkhead has come.
    pub(crate) fn next_turn(&self) -> Option<u32> {
        lock(&self.turns.0).pop_front()
    }

    /// Its breaker, if it has one.
    pub(crate) fn breaker(&self) -> Option<&Arc<SharedBreaker>> {
        self.pipeline.breaker()
    }

    /// Keeps the watcher of its breaker for as long as the policy lives.
    pub(crate) fn keep(&self, watcher: Arc<Watcher>) {
        *lock(&self.watcher) = Some(watcher);
    }
}

/// A policy that goes away with its environment gives back what its calls hold in breakers that others share.
impl Drop for Policy {
    fn drop(&mut self) {
        let calls = self.calls.get_mut().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        for (mut call, _) in calls.running.drain(..).flatten() {
            call.cancel(&self.pipeline, now);
        }
    }
}

/// Whole milliseconds, never too early.
pub(crate) fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).ceil()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
