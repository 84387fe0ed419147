//! Histories: per name, bounded, and with the figures of a plain recomputation.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::time::{Duration, Instant, SystemTime};

use moorline_core::health::{BeginOutcome, CheckConfig, CheckReply, Monitor, Stats, Status};
use proptest::prelude::*;

fn run(
    monitor: &mut Monitor,
    name: &str,
    healthy: bool,
    start: Instant,
    latency_ms: u64,
) -> Instant {
    let Some(BeginOutcome::Started { run, .. }) = monitor.begin(name, start) else {
        panic!("{name} must start");
    };
    let end = start + Duration::from_millis(latency_ms);
    let done = monitor.complete(name, run, CheckReply::of(healthy), end, SystemTime::now());
    done.expect("a run in progress is recorded");
    end
}

fn approx_eq(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

proptest! {
    #[test]
    fn figures_cover_the_kept_results_of_the_name_alone(
        capacity in 1..20_usize,
        runs in prop::collection::vec((any::<bool>(), 0..2_000_u64, 0..10_000_u64), 1..50)
    ) {
        let config = CheckConfig { history_capacity: capacity, ..CheckConfig::default() };
        let mut monitor = Monitor::new(config);
        let mut now = Instant::now();
        monitor.register("db", config, now);
        monitor.register("noisy", config, now);
        // Time under each status, by hand: from one result to the next.
        let (mut up_ms, mut observed_ms) = (0_u64, 0_u64);
        for (i, (healthy, latency_ms, pause_ms)) in runs.iter().enumerate() {
            now = run(&mut monitor, "db", *healthy, now, *latency_ms);
            run(&mut monitor, "noisy", !healthy, now, 1);
            now += Duration::from_millis(*pause_ms);
            let next_ms = runs.get(i + 1).map_or(0, |(_, latency_ms, _)| *latency_ms);
            observed_ms += pause_ms + next_ms;
            up_ms += if *healthy { pause_ms + next_ms } else { 0 };
        }
        let kept = &runs[runs.len().saturating_sub(capacity)..];
        let stats = monitor.stats("db", now);
        prop_assert_eq!(monitor.history("db").len(), kept.len());
        prop_assert_eq!(stats.total_checks, runs.len() as u64);
        let succeeded = kept.iter().filter(|(healthy, ..)| *healthy).count();
        prop_assert!(approx_eq(stats.success_rate, succeeded as f64 / kept.len() as f64));
        let total: Duration = kept.iter().map(|(_, ms, _)| Duration::from_millis(*ms)).sum();
        prop_assert_eq!(stats.avg_latency, total / kept.len() as u32);
        let failing = runs.iter().rev().take_while(|(healthy, ..)| !healthy).count();
        prop_assert_eq!(stats.consecutive_failures, failing as u64);
        for (percent, value) in [
            (50, stats.p50_latency), (95, stats.p95_latency), (99, stats.p99_latency),
        ] {
            let below = |bound: Duration, strictly: bool| kept.iter()
                .map(|(_, ms, _)| Duration::from_millis(*ms))
                .filter(|ms| if strictly { *ms < bound } else { *ms <= bound })
                .count() * 100;
            prop_assert!(below(value, false) >= percent * kept.len(), "p{} is too low", percent);
            prop_assert!(below(value, true) < percent * kept.len(), "p{} is too high", percent);
        }
        let expected = if observed_ms == 0 {
            f64::from(u8::from(runs[runs.len() - 1].0))
        } else {
            up_ms as f64 / observed_ms as f64
        };
        prop_assert!(approx_eq(stats.uptime_ratio, expected), "{} ≠ {}", stats.uptime_ratio, expected);
    }
}

#[test]
fn a_name_without_history_has_zeros() {
    let mut monitor = Monitor::new(CheckConfig::default());
    let now = Instant::now();
    monitor.register("new", CheckConfig::default(), now);
    for name in ["new", "unknown"] {
        assert_eq!(monitor.stats(name, now), Stats::default());
        assert!(monitor.history(name).is_empty());
    }
}

#[test]
fn replacing_a_checker_keeps_the_history_and_forgets_the_last_result() {
    let mut monitor = Monitor::new(CheckConfig::default());
    let start = Instant::now();
    monitor.register("db", CheckConfig::default(), start);
    monitor.register("cache", CheckConfig::default(), start);
    let end = run(&mut monitor, "db", false, start, 10);
    assert!(monitor.register("db", CheckConfig::default(), end));
    assert_eq!(monitor.last("db"), None);
    assert_eq!(monitor.report().status, Status::Healthy);
    assert_eq!(monitor.history("db").len(), 1);
    assert_eq!(*monitor.names()[0], *"db", "it keeps its place");

    // The hour between the two checkers is neither up nor down.
    let later = end + Duration::from_hours(1);
    let first = run(&mut monitor, "db", true, later, 0);
    let stats = monitor.stats("db", first + Duration::from_mins(1));
    assert_eq!((stats.total_checks, stats.uptime_ratio), (2, 1.0));
}

#[test]
fn the_history_of_all_names_is_in_the_order_of_the_results() {
    let mut monitor = Monitor::new(CheckConfig::default());
    let mut now = Instant::now();
    for name in ["a", "b"] {
        monitor.register(name, CheckConfig::default(), now);
    }
    for name in ["b", "a", "b"] {
        now = run(&mut monitor, name, true, now, 5);
    }
    let names: Vec<_> = monitor
        .full_history()
        .iter()
        .map(|result| result.name.to_string())
        .collect();
    assert_eq!(names, ["b", "a", "b"]);
}
