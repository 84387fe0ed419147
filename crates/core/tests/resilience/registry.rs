//! Breakers by name, and who hears of their changes.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use moorline_core::resilience::{
    breaker::{
        BreakerOptions, Change,
        CircuitState::{Closed, HalfOpen, Open},
    },
    config::BREAKER,
    registry::{Registry, Watcher},
    report::{Fault, Report},
};

/// Opens a breaker by itself.
const FAILED_FIVE_TIMES: Report = Report::Failure(Fault {
    weight: 5,
    ..Fault::counted(true)
});

#[test]
fn the_first_options_for_a_name_win_and_others_are_told_so() {
    let registry = Registry::default();
    let first = registry.join("db", BREAKER);
    let same = registry.join("db", BREAKER);
    let other = registry.join(
        "db",
        BreakerOptions {
            success_threshold: 9,
            ..BREAKER
        },
    );
    assert!(!first.options_differ && !same.options_differ && other.options_differ);
    assert!(Arc::ptr_eq(&first.breaker, &other.breaker));
    assert_eq!(other.breaker.options().success_threshold, 1);
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
    breaker.record(probe, Report::Success, now + BREAKER.reset_timeout);
    drop(watcher);
    breaker.with(|breaker| breaker.open(now));
    let expected = [Open, HalfOpen, Closed].map(|state| ("db".to_owned(), state));
    assert_eq!(*heard.lock().unwrap(), expected);
}
