//! Due times: at once after registration, then an interval ±10 % after each run.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::time::{Duration, Instant, SystemTime};

use moorline_core::{
    health::{BeginOutcome, CheckConfig, CheckReply, Monitor},
    limit::Limit,
};
use proptest::prelude::*;

fn with_interval(interval_ms: u64) -> CheckConfig {
    CheckConfig {
        interval: Limit::At(Duration::from_millis(interval_ms)),
        ..CheckConfig::default()
    }
}

proptest! {
    #[test]
    fn the_next_run_is_due_one_jittered_interval_after_the_last(
        seed in any::<u64>(),
        interval_ms in 10..100_000_u64,
        latencies in prop::collection::vec(0..10_000_u64, 2..20)
    ) {
        let mut monitor = Monitor::seeded(CheckConfig::default(), seed);
        let mut now = Instant::now();
        monitor.register("db", with_interval(interval_ms), now);
        let mut waits = Vec::new();
        for latency_ms in latencies {
            let due = monitor.next_due().expect("scheduled");
            prop_assert!(monitor.due(due).iter().any(|name| **name == *"db"));
            now = due;
            let Some(BeginOutcome::Started { run, .. }) = monitor.begin("db", now) else {
                panic!("the run must start");
            };
            prop_assert_eq!(monitor.next_due(), None, "a running check is not due");
            now += Duration::from_millis(latency_ms);
            monitor.complete("db", run, CheckReply::of(true), now, SystemTime::now());
            let wait = monitor.next_due().expect("scheduled again") - now;
            let share = wait.as_secs_f64() * 1000.0 / interval_ms as f64;
            prop_assert!((0.899..=1.101).contains(&share), "{} of the interval", share);
            waits.push(wait);
        }
        prop_assert!(waits.windows(2).any(|pair| pair[0] != pair[1]), "no jitter");
    }
}

#[test]
fn a_check_is_due_at_once_and_the_longest_overdue_goes_first() {
    let mut monitor = Monitor::new(CheckConfig::default());
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    for (name, ms) in [("d", 4), ("b", 2), ("e", 5), ("a", 1), ("c", 3)] {
        monitor.register(name, with_interval(1000), at(ms));
    }
    let due = |ms| -> String { monitor.due(at(ms)).iter().map(|name| &**name).collect() };
    assert_eq!(due(0), "");
    assert_eq!(due(2), "ab");
    assert_eq!(due(5), "abcde");
}

#[test]
fn a_check_with_an_initial_delay_is_due_after_it_and_again_when_it_is_replaced() {
    let (delay, start) = (Duration::from_millis(700), Instant::now());
    let config = CheckConfig {
        initial_delay: delay,
        ..with_interval(1000)
    };
    let mut monitor = Monitor::new(CheckConfig::default());
    monitor.register("db", config, start);
    assert_eq!(monitor.next_due(), Some(start + delay));
    monitor.register("db", config, start + delay);
    assert_eq!(monitor.next_due(), Some(start + 2 * delay));
}

#[test]
fn a_check_without_an_interval_is_never_due() {
    let mut monitor = Monitor::new(CheckConfig::default());
    let config = CheckConfig {
        interval: Limit::Off,
        ..CheckConfig::default()
    };
    monitor.register("db", config, Instant::now());
    assert_eq!(monitor.next_due(), None);
}
