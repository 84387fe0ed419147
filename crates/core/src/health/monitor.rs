//! The monitor: checks by name, their runs, and the overall status.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{CheckConfig, CheckReply, CheckResult, Stats, Status, check::Check};
use crate::limit::Limit;

/// The number of a run, never used twice by a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub u64);

/// The answer of [`Monitor::begin`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BeginOutcome {
    /// Run the checker now, and end the run when the timeout has passed.
    Started {
        /// The number to complete.
        run: RunId,
        /// The time limit of the checker.
        timeout: Limit<Duration>,
    },
    /// The checker runs already: wait for that run instead.
    Joined(RunId),
}

/// A check went from one status to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The status before; none before the first result.
    pub from: Option<Status>,
    /// The status now.
    pub to: Status,
}

/// The answer of [`Monitor::complete`] for a run that was still wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct CompletedRun {
    /// The recorded result.
    pub result: Arc<CheckResult>,
    /// The change of status it caused.
    pub change: Option<Change>,
}

/// The number of checks in each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// All of them.
    pub total: usize,
    /// Those that are healthy.
    pub healthy: usize,
    /// Those that are degraded.
    pub degraded: usize,
    /// Those that are unhealthy.
    pub unhealthy: usize,
}

/// The last result of every check that has run, and the overall status.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The overall status.
    pub status: Status,
    /// The results, in the order of registration.
    pub checks: Vec<Arc<CheckResult>>,
    /// The count.
    pub summary: Summary,
}

/// A health monitor; the [module](super) describes it.
#[derive(Debug)]
pub struct Monitor {
    defaults: CheckConfig,
    checks: HashMap<String, Check>,
    registered: u64,
    begun: u64,
    jitter: fastrand::Rng,
}

impl Monitor {
    /// An empty monitor. `defaults` apply to the options that a check does not set.
    pub fn new(defaults: CheckConfig) -> Self {
        Self::seeded(defaults, fastrand::u64(..))
    }

    /// An empty monitor whose jitter follows from `seed`.
    pub fn seeded(defaults: CheckConfig, seed: u64) -> Self {
        Self {
            defaults,
            checks: HashMap::new(),
            registered: 0,
            begun: 0,
            jitter: fastrand::Rng::with_seed(seed),
        }
    }

    /// The configuration of checks that set none.
    pub fn defaults(&self) -> &CheckConfig {
        &self.defaults
    }

    /// The configuration of a check.
    pub fn config(&self, name: &str) -> Option<&CheckConfig> {
        Some(&self.checks.get(name)?.config)
    }

    /// Registers a check, first due after its initial delay. Returns whether it replaced one of the same name: then the
    /// last result and a run in progress are dropped; the history and the position stay.
    pub fn register(&mut self, name: &str, config: CheckConfig, now: Instant) -> bool {
        if let Some(check) = self.checks.get_mut(name) {
            check.replace(config, now);
            return true;
        }
        self.registered += 1;
        let check = Check::new(name, config, self.registered, now);
        self.checks.insert(name.to_owned(), check);
        false
    }

    /// Removes a check with its history; a run in progress is then ignored. Returns whether there was one.
    pub fn unregister(&mut self, name: &str) -> bool {
        self.checks.remove(name).is_some()
    }

    /// The names, in the order of registration.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.in_order()
            .map(|check| Arc::clone(&check.name))
            .collect()
    }

    /// Begins a run, or joins the one in progress; `None` when the name is not known.
    pub fn begin(&mut self, name: &str, now: Instant) -> Option<BeginOutcome> {
        let check = self.checks.get_mut(name)?;
        if let Some(running) = check.running {
            return Some(BeginOutcome::Joined(running.id));
        }
        self.begun += 1;
        let run = RunId(self.begun);
        check.begin(run, now);
        Some(BeginOutcome::Started {
            run,
            timeout: check.config.timeout,
        })
    }

    /// Records the answer of a run of `name`; `None` when the run is over already (it timed out) or its check
    /// was replaced or unregistered: such an answer changes nothing.
    pub fn complete(
        &mut self,
        name: &str,
        run: RunId,
        reply: CheckReply,
        now: Instant,
        timestamp: SystemTime,
    ) -> Option<CompletedRun> {
        let check = self.checks.get_mut(name)?;
        let running = check.running.filter(|running| running.id == run)?;
        let from = check.last.as_ref().map(|last| last.status);
        let spread = self.jitter.f64() * 2.0 - 1.0;
        let result = check.end(running, reply, now, timestamp, spread);
        let to = result.status;
        let change = (from != Some(to)).then_some(Change { from, to });
        Some(CompletedRun { result, change })
    }

    /// Ends a run whose timeout has passed: unhealthy; a later reply of the checker is ignored.
    pub fn time_out(
        &mut self,
        name: &str,
        run: RunId,
        now: Instant,
        timestamp: SystemTime,
    ) -> Option<CompletedRun> {
        let timeout_ms = self.config(name)?.timeout.as_ms();
        let error = format!("Health check '{name}' timed out after {timeout_ms}ms (timeoutMs)");
        self.complete(name, run, CheckReply::failure(error), now, timestamp)
    }

    /// The checks whose next run is due, longest overdue first. A running check is not due.
    pub fn due(&self, now: Instant) -> Vec<Arc<str>> {
        let mut due: Vec<_> = self
            .checks
            .values()
            .filter_map(|check| check.due.map(|at| (at, check.position, &check.name)))
            .filter(|(at, ..)| *at <= now)
            .collect();
        due.sort_unstable();
        due.into_iter().map(|(.., name)| Arc::clone(name)).collect()
    }

    /// When the next run is due; `None` while nothing is scheduled, or everything scheduled runs.
    pub fn next_due(&self) -> Option<Instant> {
        self.checks.values().filter_map(|check| check.due).min()
    }

    /// The last result of a check.
    pub fn last(&self, name: &str) -> Option<Arc<CheckResult>> {
        self.checks.get(name)?.last.clone()
    }

    /// The kept results of one name, oldest first.
    pub fn history(&self, name: &str) -> Vec<Arc<CheckResult>> {
        self.checks
            .get(name)
            .map(|check| check.history.results().cloned().collect())
            .unwrap_or_default()
    }

    /// The kept results of all names, oldest first.
    pub fn full_history(&self) -> Vec<Arc<CheckResult>> {
        let mut all: Vec<_> = self
            .in_order()
            .flat_map(|check| check.history.results().cloned())
            .collect();
        all.sort_by_key(|result| result.at);
        all
    }

    /// Figures over a name's history: zeros when there is none.
    pub fn stats(&self, name: &str, now: Instant) -> Stats {
        self.checks
            .get(name)
            .map(|check| check.history.stats(now))
            .unwrap_or_default()
    }

    /// The last results and the overall status. A check that never ran is left out.
    ///
    /// A critical check that is unhealthy makes the overall status unhealthy; any other check that is not healthy makes
    /// it degraded.
    pub fn report(&self) -> Report {
        let mut statuses = Vec::new();
        let mut summary = Summary::default();
        let mut checks = Vec::new();
        for check in self.in_order() {
            let Some(last) = &check.last else { continue };
            statuses.push(match last.status {
                Status::Unhealthy if !check.config.critical => Status::Degraded,
                other => other,
            });
            summary.total += 1;
            *match last.status {
                Status::Healthy => &mut summary.healthy,
                Status::Degraded => &mut summary.degraded,
                Status::Unhealthy => &mut summary.unhealthy,
            } += 1;
            checks.push(Arc::clone(last));
        }
        Report {
            status: Status::overall(statuses).unwrap_or(Status::Healthy),
            checks,
            summary,
        }
    }

    fn in_order(&self) -> impl Iterator<Item = &Check> {
        let mut checks: Vec<_> = self.checks.values().collect();
        checks.sort_unstable_by_key(|check| check.position);
        checks.into_iter()
    }
}
