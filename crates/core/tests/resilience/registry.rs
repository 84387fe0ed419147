//! Breakers by name, and who hears of their changes.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use moorline_core::{
    metrics::{self, TextExposition},
    resilience::{
        breaker::{
            BreakerConfig, Change,
            CircuitState::{Closed, HalfOpen, Open},
        },
        config::BREAKER,
        outcome::{AttemptFailure, AttemptOutcome},
        registry::{Registry, Watcher},
    },
};

/// Opens a breaker by itself.
const FAILED_FIVE_TIMES: AttemptOutcome = AttemptOutcome::Failure(AttemptFailure {
    weight: 5,
    ..AttemptFailure::counted(true)
});

#[test]
fn the_first_options_for_a_name_win_and_others_are_told_so() {
    let registry = Registry::default();
    let first = registry.join("db", BREAKER);
    let same = registry.join("db", BREAKER);
    let other = registry.join(
        "db",
        BreakerConfig {
            success_threshold: 9,
            ..BREAKER
        },
    );
    assert!(!first.config_differs && !same.config_differs && other.config_differs);
    assert!(Arc::ptr_eq(&first.breaker, &other.breaker));
    assert_eq!(other.breaker.config().success_threshold, 1);
}

#[test]
fn a_named_breaker_keeps_its_state_and_an_owned_one_goes_with_its_owner() {
    let registry = Registry::default();
    registry
        .join("db", BREAKER)
        .breaker
        .with(|breaker| breaker.open(Instant::now()));
    assert_eq!(registry.get("db").unwrap().snapshot().state, Open);
    let owned = registry.own("policy", BREAKER);
    assert_eq!(registry.all().len(), 2);
    let name = owned.name().to_owned();
    drop(owned);
    assert!(registry.get(&name).is_none());
    assert_eq!(registry.all().len(), 1);
}

#[test]
fn watchers_hear_every_change_in_order_until_they_are_dropped() {
    let registry = Registry::default();
    let breaker = registry.join("db", BREAKER).breaker;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&heard);
    let watcher: Arc<Watcher> = Arc::new(move |name: &str, change: &Change| {
        note.lock().unwrap().push((name.to_owned(), change.to));
    });
    breaker.watch(&watcher);
    let now = Instant::now();
    let permit = breaker.admit(now).unwrap();
    breaker.record(permit, FAILED_FIVE_TIMES, now);
    let probe = breaker.admit(now + BREAKER.reset_timeout).unwrap();
    breaker.record(probe, AttemptOutcome::Success, now + BREAKER.reset_timeout);
    drop(watcher);
    breaker.with(|breaker| breaker.open(now));
    let expected = [Open, HalfOpen, Closed].map(|state| ("db".to_owned(), state));
    assert_eq!(*heard.lock().unwrap(), expected);
}

/// A registry, and what it shows of its breakers.
fn published() -> (Registry, impl Fn(&Registry) -> Vec<String>) {
    let metrics: &'static metrics::Registry = Box::leak(Box::default());
    let rows = |registry: &Registry| {
        registry.publish();
        let mut exposition = TextExposition::new();
        metrics.write(&mut exposition);
        let text = exposition.into_text();
        let rows = text
            .lines()
            .filter_map(|line| line.strip_prefix("moorline_circuit_breaker_"));
        rows.map(str::to_owned).collect()
    };
    (Registry::with_metrics(metrics), rows)
}

#[test]
fn breakers_of_one_name_share_a_row_and_what_they_counted_outlives_them() {
    let (registry, rows) = published();
    let now = Instant::now();
    let (first, second) = (registry.own("api", BREAKER), registry.own("api", BREAKER));
    first.record(first.admit(now).unwrap(), FAILED_FIVE_TIMES, now);
    first.admit(now).unwrap_err();
    second.record(second.admit(now).unwrap(), AttemptOutcome::Success, now);
    let shown = rows(&registry);
    for row in [
        "state{breaker=\"api\",state=\"closed\"} 1",
        "state{breaker=\"api\",state=\"open\"} 1",
        "state{breaker=\"api\",state=\"half-open\"} 0",
        "successes_total{breaker=\"api\"} 1",
        "failures_total{breaker=\"api\"} 1",
        "refused_total{breaker=\"api\"} 1",
        "state_changes_total{breaker=\"api\"} 1",
    ] {
        assert!(shown.iter().any(|one| one == row), "{row} in {shown:?}");
    }
    // Counts since the last reading are not lost with it.
    first.admit(now).unwrap_err();
    drop((first, second));
    let totals = [
        "failures_total{breaker=\"api\"} 1",
        "refused_total{breaker=\"api\"} 2",
        "state_changes_total{breaker=\"api\"} 1",
        "successes_total{breaker=\"api\"} 1",
    ];
    assert_eq!(rows(&registry), totals, "and none is in a state");
}

#[test]
fn of_many_named_breakers_those_in_use_or_with_state_are_kept() {
    let (registry, rows) = published();
    let now = Instant::now();
    let held = registry.join("held", BREAKER).breaker;
    let open = registry.join("open", BREAKER).breaker;
    open.with(|breaker| breaker.open(now));
    let failed = registry.join("failed", BREAKER).breaker;
    failed.record(
        failed.admit(now).unwrap(),
        AttemptOutcome::Failure(AttemptFailure::counted(true)),
        now,
    );
    drop((open, failed));
    for id in 0..10_000 {
        let breaker = registry.join(&format!("id-{id}"), BREAKER).breaker;
        breaker.record(breaker.admit(now).unwrap(), AttemptOutcome::Success, now);
    }
    assert!(registry.all().len() <= 1_000);
    for name in ["held", "open", "failed"] {
        assert!(registry.get(name).is_some(), "{name}");
    }
    assert!(registry.get("id-1").is_none());
    drop(held);
    let shown = rows(&registry);
    let successes = shown
        .iter()
        .filter_map(|row| row.strip_prefix("successes_total"));
    let counts = successes.map(|row| row.rsplit(' ').next().unwrap().parse::<u32>().unwrap());
    assert_eq!(counts.sum::<u32>(), 10_000);
}
