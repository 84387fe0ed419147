//! What happens to connections between two borrowers, and how many are made at once.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::time::Instant;

use moorline_core::{
    limit::Limit,
    pool::{Acquire, Condition, Created, Grant, Lease, Ledger, LedgerConfig, Released, Ticket},
};

use crate::behaviour::{new_ledger, open};

fn waiting(ledger: &mut Ledger, now: Instant) -> Ticket {
    match ledger.acquire(now) {
        Acquire::Wait { ticket, .. } => ticket,
        other => panic!("expected to wait, got {other:?}"),
    }
}

fn recycling(ledger: &mut Ledger, lease: Lease, now: Instant) -> Lease {
    match ledger.release(lease, now, Condition::Dirty) {
        Released::Recycle(lease) => lease,
        other => panic!("expected to recycle, got {other:?}"),
    }
}

#[test]
fn nobody_gets_a_connection_before_it_was_recycled() {
    let (mut ledger, now) = new_ledger(1);
    let borrowed = open(&mut ledger, now);
    let ticket = waiting(&mut ledger, now);
    let lease = recycling(&mut ledger, borrowed, now);
    assert_ne!(lease, borrowed, "the borrower has no say any more");
    assert!(!ledger.discard(borrowed));
    assert_eq!(ledger.take(now), None);
    assert_eq!((ledger.stats().in_use, ledger.stats().available), (1, 0));
    let released = ledger.on_recycled(lease, now);
    let Released::Granted(Grant::Ready { ticket: served, .. }) = released else {
        panic!("{released:?}");
    };
    assert_eq!(served, ticket);
    assert_eq!(ledger.on_recycled(lease, now), Released::UnknownLease);
}

#[test]
fn a_connection_that_cannot_be_recycled_is_replaced() {
    let (mut ledger, now) = new_ledger(1);
    let borrowed = open(&mut ledger, now);
    let waiter = waiting(&mut ledger, now);
    let lease = recycling(&mut ledger, borrowed, now);
    assert!(ledger.discard(lease));
    let grant = ledger.on_closed(lease, now);
    assert!(matches!(grant, Some(Grant::Create { ticket, .. }) if ticket == waiter));
}

#[test]
fn nothing_is_recycled_for_a_pool_that_ends() {
    let (mut ledger, now) = new_ledger(2);
    let (first, second) = (open(&mut ledger, now), open(&mut ledger, now));
    let lease = recycling(&mut ledger, first, now);
    let _ = ledger.drain();
    assert_eq!(
        ledger.release(second, now, Condition::Dirty),
        Released::Close
    );
    assert_eq!(ledger.on_recycled(lease, now), Released::Close);
    for lease in [lease, second] {
        assert_eq!(ledger.on_closed(lease, now), None);
    }
    assert!(ledger.is_drained());
}

#[test]
fn a_forced_end_takes_back_what_is_being_recycled() {
    let (mut ledger, now) = new_ledger(1);
    let borrowed = open(&mut ledger, now);
    let lease = recycling(&mut ledger, borrowed, now);
    assert_eq!(ledger.force_close().to_close, [lease]);
    assert_eq!(ledger.on_recycled(lease, now), Released::UnknownLease);
    assert_eq!(ledger.on_closed(lease, now), None);
    assert!(ledger.is_drained());
}

#[test]
fn a_few_connections_are_made_at_once_and_the_rest_wait() {
    let config = LedgerConfig {
        max: 5,
        max_connecting: Limit::At(2),
        ..LedgerConfig::defaults(false)
    };
    let (mut ledger, now) = (Ledger::new(config), Instant::now());
    let create = |ledger: &mut Ledger| match ledger.acquire(now) {
        Acquire::Create(lease) => lease,
        other => panic!("expected to create, got {other:?}"),
    };
    let (first, second) = (create(&mut ledger), create(&mut ledger));
    let waiters: Vec<_> = (0..4).map(|_| waiting(&mut ledger, now)).collect();
    // One that was made makes room for another, and so does one that could not be.
    let Created::InUse(Some(Grant::Create { ticket, lease })) = ledger.on_created(first, now)
    else {
        panic!("the oldest waiter makes the next");
    };
    assert_eq!(ticket, waiters[0]);
    let grant = ledger.on_create_failed(second, now);
    assert!(matches!(grant, Some(Grant::Create { ticket, .. }) if ticket == waiters[1]));
    // A connection that is free serves whoever is next, without another one being made.
    let released = ledger.release(first, now, Condition::Clean);
    assert!(
        matches!(released, Released::Granted(Grant::Ready { ticket, .. }) if ticket == waiters[2])
    );
    assert_eq!(ledger.stats().waiting, 1);
    assert!(matches!(
        ledger.on_created(lease, now),
        Created::InUse(Some(_))
    ));
    assert_eq!(ledger.stats().waiting, 0);
}

#[test]
fn the_minimum_is_made_a_few_at_once_too() {
    let config = LedgerConfig {
        min: 3,
        max_connecting: Limit::At(2),
        ..LedgerConfig::defaults(false)
    };
    let (mut ledger, now) = (Ledger::new(config), Instant::now());
    let first = ledger.warm(now).unwrap();
    assert!(ledger.warm(now).is_some());
    assert_eq!(ledger.warm(now), None);
    assert_eq!(ledger.on_created(first, now), Created::InUse(None));
    assert_eq!(ledger.next_due(now), Some(now));
    assert!(ledger.warm(now).is_some());
}

#[test]
fn without_their_transport_free_connections_close_at_once_and_others_when_they_come_back() {
    let (mut ledger, now) = new_ledger(3);
    let leases: Vec<_> = (0..3).map(|_| open(&mut ledger, now)).collect();
    assert_eq!(
        ledger.release(leases[0], now, Condition::Clean),
        Released::Idle
    );
    let recycled = recycling(&mut ledger, leases[1], now);
    assert_eq!(ledger.evict_all(now), [leases[0]]);
    assert!(ledger.holds(leases[2]), "its borrower finds out by itself");
    assert_eq!(ledger.on_recycled(recycled, now), Released::Close);
    for condition in [Condition::Dirty, Condition::Clean] {
        let lease = leases[2];
        let released = ledger.release(lease, now, condition);
        assert!(matches!(released, Released::Close | Released::UnknownLease));
    }
    for lease in [leases[0], recycled, leases[2]] {
        assert_eq!(ledger.on_closed(lease, now), None);
    }
    let _ = open(&mut ledger, now);
}
