//! Runs: no check overlaps itself, and an answer that belongs to no run changes nothing.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::time::{Duration, Instant, SystemTime};

use moorline_core::health::{
    BeginOutcome, CheckConfig, CheckReply, CompletedRun, Monitor, RunId, Status,
};
use proptest::prelude::*;

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Step {
    Register(usize),
    Unregister(usize),
    Begin(usize),
    Complete(usize, bool),
    TimeOut(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    prop_oneof![
        1 => name.clone().prop_map(Step::Register),
        1 => name.clone().prop_map(Step::Unregister),
        4 => name.prop_map(Step::Begin),
        4 => (0..8_usize, any::<bool>()).prop_map(|(run, ok)| Step::Complete(run, ok)),
        1 => (0..8_usize).prop_map(Step::TimeOut),
        2 => (0..40_000_u64).prop_map(Step::Wait),
    ]
}

/// The state that the monitor must keep of a name.
#[derive(Clone, Debug, Default)]
struct ExpectedCheck {
    registered: bool,
    running: Option<RunId>,
    last: Option<Status>,
    kept: usize,
}

/// The monitor beside a model so simple that it can be seen to be right.
struct ModelledMonitor {
    monitor: Monitor,
    now: Instant,
    started: Vec<(usize, RunId)>,
    expected: [ExpectedCheck; NAMES.len()],
}

impl ModelledMonitor {
    fn new() -> Self {
        Self {
            monitor: Monitor::new(CheckConfig::default()),
            now: Instant::now(),
            started: Vec::new(),
            expected: Default::default(),
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Register(i) => {
                let known = self.expected[i].registered;
                let config = CheckConfig::default();
                let replaced = self.monitor.register(NAMES[i], config, self.now);
                assert_eq!(replaced, known);
                self.expected[i] = ExpectedCheck {
                    registered: true,
                    kept: self.expected[i].kept,
                    ..ExpectedCheck::default()
                };
            }
            Step::Unregister(i) => {
                let known = std::mem::take(&mut self.expected[i]).registered;
                assert_eq!(self.monitor.unregister(NAMES[i]), known);
            }
            Step::Begin(i) => self.begin(i),
            Step::Complete(run, ok) => {
                let Some(&(i, run)) = self.started.get(run) else {
                    return;
                };
                let wall = SystemTime::UNIX_EPOCH;
                let done = self
                    .monitor
                    .complete(NAMES[i], run, CheckReply::of(ok), self.now, wall);
                self.apply_completion(run, done.as_ref(), ok);
            }
            Step::TimeOut(run) => {
                let Some(&(i, run)) = self.started.get(run) else {
                    return;
                };
                let wall = SystemTime::UNIX_EPOCH;
                let done = self.monitor.time_out(NAMES[i], run, self.now, wall);
                self.apply_completion(run, done.as_ref(), false);
            }
            Step::Wait(ms) => self.now += Duration::from_millis(ms),
        }
    }

    fn begin(&mut self, i: usize) {
        let expected = &mut self.expected[i];
        match self.monitor.begin(NAMES[i], self.now) {
            None => assert!(!expected.registered),
            Some(BeginOutcome::Joined(run)) => assert_eq!(expected.running, Some(run)),
            Some(BeginOutcome::Started { run, .. }) => {
                assert!(expected.registered && expected.running.is_none());
                assert!(
                    self.started.iter().all(|(_, known)| *known != run),
                    "a run's number came twice"
                );
                expected.running = Some(run);
                self.started.push((i, run));
            }
        }
    }

    fn apply_completion(&mut self, run: RunId, done: Option<&CompletedRun>, ok: bool) {
        let wanted = self.expected.iter_mut().find(|e| e.running == Some(run));
        let Some(expected) = wanted else {
            assert_eq!(done, None, "a late answer was recorded");
            return;
        };
        let done = done.expect("the answer of a run in progress is recorded");
        let status = CheckReply::of(ok).outcome;
        assert_eq!(done.result.status, status);
        assert_eq!(done.change.is_some(), expected.last != Some(status));
        *expected = ExpectedCheck {
            registered: true,
            running: None,
            last: Some(status),
            kept: (expected.kept + 1).min(100),
        };
    }

    fn assert_matches_model(&self) {
        let due = self.monitor.due(self.now);
        for (name, expected) in NAMES.iter().zip(&self.expected) {
            let last = self.monitor.last(name).map(|last| last.status);
            assert_eq!(last, expected.last);
            assert_eq!(self.monitor.history(name).len(), expected.kept);
            let is_due = due.iter().any(|known| **known == **name);
            assert!(
                !is_due || expected.running.is_none(),
                "a running check is due"
            );
        }
        let registered = self.expected.iter().filter(|e| e.registered).count();
        assert_eq!(self.monitor.names().len(), registered);
    }
}

proptest! {
    #[test]
    fn any_order_of_events_keeps_one_run_per_name_and_records_each_run_once(
        steps in prop::collection::vec(step(), 1..80)
    ) {
        let mut modelled = ModelledMonitor::new();
        for step in &steps {
            modelled.apply(step);
            modelled.assert_matches_model();
        }
    }
}

#[test]
fn a_hanging_run_ends_unhealthy_and_its_late_answer_is_dropped() {
    let mut monitor = Monitor::new(CheckConfig::default());
    let (start, wall) = (Instant::now(), SystemTime::now());
    monitor.register("db", CheckConfig::default(), start);
    let Some(BeginOutcome::Started { run, timeout }) = monitor.begin("db", start) else {
        panic!("the run must start");
    };
    let end = start + timeout.get().expect("finite by default");
    let done = monitor.time_out("db", run, end, wall).expect("recorded");
    assert_eq!(done.result.status, Status::Unhealthy);
    assert_eq!(done.result.latency, Duration::from_secs(5));
    assert_eq!(
        done.result.error.as_deref(),
        Some("Health check 'db' timed out after 5000ms (timeoutMs)")
    );
    assert_eq!(
        monitor.complete("db", run, CheckReply::of(true), end, wall),
        None
    );
    assert_eq!(monitor.report().status, Status::Unhealthy);
}

#[test]
fn an_unknown_name_cannot_be_run() {
    let mut monitor = Monitor::new(CheckConfig::default());
    assert_eq!(monitor.begin("unknown", Instant::now()), None);
}
