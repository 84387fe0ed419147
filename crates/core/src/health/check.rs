//! One registered check: its run, its status under hysteresis, its next due time.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{CheckConfig, CheckReply, Status, history::History, monitor::RunId};

/// Intervals vary by this share, so that processes started together do not probe together.
const JITTER: f64 = 0.1;

/// The result of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckResult {
    /// The check's name.
    pub name: Arc<str>,
    /// The status of the check after this run, hysteresis applied.
    pub status: Status,
    /// The status of this run alone.
    pub outcome: Status,
    /// When the run ended, for reckoning.
    pub at: Instant,
    /// When the run ended, for people.
    pub timestamp: SystemTime,
    /// The duration of the run.
    pub latency: Duration,
    /// Why it is not healthy, where that is known.
    pub error: Option<String>,
    /// The details that the checker returned.
    pub metadata: Option<serde_json::Value>,
}

/// A run in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunInProgress {
    pub(super) id: RunId,
    pub(super) started: Instant,
}

/// One registered check.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: Arc<str>,
    pub(super) config: CheckConfig,
    /// Place in the order of registration.
    pub(super) position: u64,
    pub(super) running: Option<RunInProgress>,
    pub(super) last: Option<Arc<CheckResult>>,
    pub(super) history: History,
    /// When the next run is due; none while one runs, or when the interval is off.
    pub(super) due: Option<Instant>,
    /// Outcomes in a row that contradict the status.
    contradictions: u32,
}

impl Check {
    pub(super) fn new(name: &str, config: CheckConfig, position: u64, now: Instant) -> Self {
        Self {
            name: name.into(),
            config,
            position,
            running: None,
            last: None,
            history: History::default(),
            due: config.interval.get().map(|_| now + config.initial_delay),
            contradictions: 0,
        }
    }

    /// A new checker under the same name: only the history and the place in the order stay.
    pub(super) fn replace(&mut self, config: CheckConfig, now: Instant) {
        let mut history = std::mem::take(&mut self.history);
        history.interrupt(now);
        *self = Self {
            history,
            ..Self::new(&self.name, config, self.position, now)
        };
    }

    pub(super) fn begin(&mut self, id: RunId, now: Instant) {
        self.running = Some(RunInProgress { id, started: now });
        self.due = None;
    }

    /// Ends `running`. `spread` is between −1 and 1 and becomes the jitter of the next due time.
    pub(super) fn end(
        &mut self,
        running: RunInProgress,
        reply: CheckReply,
        now: Instant,
        timestamp: SystemTime,
        spread: f64,
    ) -> Arc<CheckResult> {
        let latency = now.saturating_duration_since(running.started);
        let slow = self
            .config
            .degraded_above
            .get()
            .is_some_and(|bound| latency > bound);
        let outcome = if slow {
            reply.outcome.max(Status::Degraded)
        } else {
            reply.outcome
        };
        let before = self.last.as_ref().map(|last| last.status);
        let status = self.apply_hysteresis(outcome);
        let result = Arc::new(CheckResult {
            name: Arc::clone(&self.name),
            status,
            outcome,
            at: now,
            timestamp,
            latency,
            error: reply.error,
            metadata: reply.metadata,
        });
        self.running = None;
        self.due = self
            .config
            .interval
            .get()
            .map(|interval| now + interval.mul_f64(1.0 + JITTER * spread));
        self.last = Some(Arc::clone(&result));
        self.history.push(
            Arc::clone(&result),
            before != Some(status),
            self.config.history_capacity,
        );
        result
    }

    /// The status after `outcome`: crossing between up and down needs `fall` or `rise` outcomes in a row, the
    /// first result and the step between healthy and degraded need one.
    fn apply_hysteresis(&mut self, outcome: Status) -> Status {
        let Some(status) = self.last.as_ref().map(|last| last.status) else {
            return outcome;
        };
        if status.is_up() == outcome.is_up() {
            self.contradictions = 0;
            return outcome;
        }
        self.contradictions += 1;
        let needed = if status.is_up() {
            self.config.fall
        } else {
            self.config.rise
        };
        if self.contradictions < needed {
            return status;
        }
        self.contradictions = 0;
        outcome
    }
}
