//! Statuses: hysteresis of one check, and the roll-up of all.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::time::{Duration, Instant, SystemTime};

use moorline_core::{
    health::{BeginOutcome, CheckConfig, CheckReply, CompletedRun, Monitor, Status},
    limit::Limit,
};
use proptest::prelude::*;

fn run(
    monitor: &mut Monitor,
    name: &str,
    reply: CheckReply,
    from: Instant,
    to: Instant,
) -> CompletedRun {
    let Some(BeginOutcome::Started { run, .. }) = monitor.begin(name, from) else {
        panic!("{name} must start");
    };
    let done = monitor.complete(name, run, reply, to, SystemTime::now());
    done.expect("a run in progress is recorded")
}

fn status() -> impl Strategy<Value = Status> {
    prop::sample::select(vec![Status::Healthy, Status::Degraded, Status::Unhealthy])
}

fn reply_with(outcome: Status) -> CheckReply {
    CheckReply {
        outcome,
        ..CheckReply::of(true)
    }
}

/// The rule as the contract words it, without the ordering of statuses the monitor uses.
fn overall(checks: &[(bool, Option<Status>)]) -> Status {
    let any = |wanted: &dyn Fn(bool, Status) -> bool| {
        checks
            .iter()
            .any(|(critical, status)| status.is_some_and(|s| wanted(*critical, s)))
    };
    if any(&|critical, s| critical && s == Status::Unhealthy) {
        Status::Unhealthy
    } else if any(&|critical, s| !critical && s == Status::Unhealthy)
        || any(&|_, s| s == Status::Degraded)
    {
        Status::Degraded
    } else {
        Status::Healthy
    }
}

proptest! {
    #[test]
    fn the_whole_follows_the_rule_of_critical_and_optional_checks(
        checks in prop::collection::vec((any::<bool>(), prop::option::of(status())), 0..8)
    ) {
        let mut monitor = Monitor::new(CheckConfig::default());
        let now = Instant::now();
        for (i, (critical, status)) in checks.iter().enumerate() {
            let name = format!("check-{i}");
            let config = CheckConfig { critical: *critical, ..CheckConfig::default() };
            monitor.register(&name, config, now);
            if let Some(status) = status {
                run(&mut monitor, &name, reply_with(*status), now, now);
            }
        }
        let report = monitor.report();
        prop_assert_eq!(report.status, overall(&checks));
        let ran: Vec<_> = checks.iter().filter_map(|(_, status)| *status).collect();
        let reported: Vec<_> = report.checks.iter().map(|check| check.status).collect();
        prop_assert_eq!(&reported, &ran, "in the order of registration, without the ones that never ran");
        prop_assert_eq!(report.summary.total, ran.len());
        let count = |wanted| ran.iter().filter(|s| **s == wanted).count();
        prop_assert_eq!(report.summary.healthy, count(Status::Healthy));
        prop_assert_eq!(report.summary.degraded, count(Status::Degraded));
        prop_assert_eq!(report.summary.unhealthy, count(Status::Unhealthy));
    }

    #[test]
    fn a_check_falls_and_rises_only_after_enough_outcomes_in_a_row(
        fall in 1..5_u32,
        rise in 1..5_u32,
        outcomes in prop::collection::vec(status(), 1..60)
    ) {
        let config = CheckConfig { fall, rise, ..CheckConfig::default() };
        let mut monitor = Monitor::new(config);
        let now = Instant::now();
        monitor.register("db", config, now);
        let mut before = None;
        for (i, outcome) in outcomes.iter().enumerate() {
            let done = run(&mut monitor, "db", reply_with(*outcome), now, now);
            let status = done.result.status;
            let in_a_row = outcomes[..=i]
                .iter()
                .rev()
                .take_while(|o| o.is_up() == outcome.is_up())
                .count() as u32;
            let needed = if outcome.is_up() { rise } else { fall };
            match before {
                None => prop_assert_eq!(status, *outcome, "the first result counts at once"),
                Some(held) if Status::is_up(held) != outcome.is_up() && in_a_row < needed =>
                    prop_assert_eq!(status, held, "too few in a row to cross"),
                Some(_) => prop_assert_eq!(status, *outcome),
            }
            let change = done.change.map(|change| (change.from, change.to));
            prop_assert_eq!(change, (before != Some(status)).then_some((before, status)));
            prop_assert_eq!(done.result.outcome, *outcome, "the run's own word is kept");
            before = Some(status);
        }
    }
}

#[test]
fn a_monitor_without_checks_is_healthy() {
    let report = Monitor::new(CheckConfig::default()).report();
    assert_eq!((report.status, report.summary.total), (Status::Healthy, 0));
}

#[test]
fn a_slow_answer_is_degraded_and_a_slow_failure_stays_a_failure() {
    let config = CheckConfig {
        degraded_above: Limit::At(Duration::from_millis(100)),
        ..CheckConfig::default()
    };
    let mut monitor = Monitor::new(config);
    let start = Instant::now();
    monitor.register("db", config, start);
    let table = [
        (100, true, Status::Healthy),
        (101, true, Status::Degraded),
        (101, false, Status::Unhealthy),
    ];
    for (ms, healthy, expected) in table {
        let end = start + Duration::from_millis(ms);
        let done = run(&mut monitor, "db", CheckReply::of(healthy), start, end);
        assert_eq!(done.result.status, expected, "{ms} ms, answered {healthy}");
    }
}
