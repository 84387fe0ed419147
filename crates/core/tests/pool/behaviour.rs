//! The guarantees of a pool, one for each test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::time::{Duration, Instant};

use moorline_core::{
    limit::Limit,
    pool::{Acquire, Condition, Created, Grant, Lease, Ledger, LedgerConfig, Refusal, Released},
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn new_ledger(max: u32) -> (Ledger, Instant) {
    let config = LedgerConfig {
        max,
        ..LedgerConfig::defaults(false)
    };
    (Ledger::new(config), Instant::now())
}

/// A borrower that needs a new connection and gets one.
pub(crate) fn open(ledger: &mut Ledger, now: Instant) -> Lease {
    match ledger.acquire(now) {
        Acquire::Create(lease) => {
            assert_eq!(ledger.on_created(lease, now), Created::InUse(None));
            lease
        }
        other => panic!("expected to create, got {other:?}"),
    }
}

#[test]
fn slots_are_reserved_before_connections_are_made() {
    let (mut ledger, now) = new_ledger(2);
    let answers: Vec<_> = (0..5).map(|_| ledger.acquire(now)).collect();
    let creating = |answer: &&Acquire| matches!(answer, Acquire::Create(_));
    assert_eq!(answers.iter().filter(creating).count(), 2);
    assert_eq!(ledger.stats().total, 2);
    assert_eq!(ledger.stats().waiting, 3);
}

#[test]
fn two_hundred_callers_fit_a_pool_of_five_with_the_defaults() {
    let (mut ledger, now) = new_ledger(5);
    for _ in 0..200 {
        assert!(!matches!(ledger.acquire(now), Acquire::Refused(_)));
    }
}

#[test]
fn the_most_recently_used_connection_is_taken_first() {
    let (mut ledger, now) = new_ledger(3);
    let leases: Vec<_> = (0..3).map(|_| open(&mut ledger, now)).collect();
    for lease in &leases {
        assert_eq!(
            ledger.release(*lease, now, Condition::Clean),
            Released::Idle
        );
    }
    assert_eq!(ledger.take(now).unwrap().slot, leases[2].slot);
}

#[test]
fn a_connection_idle_for_500_ms_is_checked_before_use_and_not_taken_unseen() {
    let (mut ledger, now) = new_ledger(1);
    let lease = open(&mut ledger, now);
    assert_eq!(ledger.release(lease, now, Condition::Clean), Released::Idle);
    let lease = ledger.take(now + ms(499)).unwrap();
    assert_eq!(
        ledger.release(lease, now + ms(499), Condition::Clean),
        Released::Idle
    );
    assert_eq!(ledger.take(now + ms(999)), None);
    let answer = ledger.acquire(now + ms(999));
    assert!(matches!(answer, Acquire::Ready { validate: true, .. }));
}

#[test]
fn a_released_connection_goes_straight_to_the_oldest_waiter() {
    let (mut ledger, now) = new_ledger(1);
    let lease = open(&mut ledger, now);
    let Acquire::Wait { ticket: first, .. } = ledger.acquire(now) else {
        panic!("the pool is full");
    };
    let _second = ledger.acquire(now);
    let Released::Granted(Grant::Ready {
        ticket,
        lease: next,
        validate,
    }) = ledger.release(lease, now + ms(3), Condition::Clean)
    else {
        panic!("a waiter is queued");
    };
    assert_eq!((ticket, next.slot, validate), (first, lease.slot, false));
    assert_ne!(next, lease);
    assert_eq!(ledger.counters().longest_wait, ms(3));
}

#[test]
fn a_second_release_does_not_free_the_connection_under_its_new_owner() {
    let (mut ledger, now) = new_ledger(1);
    let lease = open(&mut ledger, now);
    let _waiting = ledger.acquire(now);
    assert!(matches!(
        ledger.release(lease, now, Condition::Clean),
        Released::Granted(_)
    ));
    assert_eq!(
        ledger.release(lease, now, Condition::Clean),
        Released::UnknownLease
    );
    assert_eq!(ledger.stats().in_use, 1);
}

#[test]
fn a_failed_attempt_passes_the_turn_to_the_next_waiter() {
    let (mut ledger, now) = new_ledger(1);
    let Acquire::Create(lease) = ledger.acquire(now) else {
        panic!("the pool is empty");
    };
    let Acquire::Wait { ticket, .. } = ledger.acquire(now) else {
        panic!("the only slot is reserved");
    };
    match ledger.on_create_failed(lease, now) {
        Some(Grant::Create { ticket: next, .. }) => assert_eq!(next, ticket),
        other => panic!("expected the waiter's turn, got {other:?}"),
    }
}

#[test]
fn a_closing_connection_counts_until_it_is_gone() {
    let (mut ledger, now) = new_ledger(1);
    let lease = open(&mut ledger, now);
    assert_eq!(
        ledger.release(lease, now, Condition::Broken),
        Released::Close
    );
    assert!(matches!(ledger.acquire(now), Acquire::Wait { .. }));
    assert!(matches!(
        ledger.on_closed(lease, now),
        Some(Grant::Create { .. })
    ));
}

#[test]
fn a_borrower_with_a_dead_connection_keeps_its_turn() {
    let (mut ledger, now) = new_ledger(1);
    let lease = open(&mut ledger, now);
    assert!(ledger.recreate(lease));
    assert!(!ledger.holds(lease));
    assert_eq!(ledger.on_created(lease, now), Created::InUse(None));
    assert!(ledger.holds(lease));
    let counters = ledger.counters();
    assert_eq!(
        (counters.acquired, counters.created, counters.destroyed),
        (1, 2, 1)
    );
}

#[test]
fn waiters_time_out_in_order_and_exactly_once() {
    let (mut ledger, now) = new_ledger(1);
    open(&mut ledger, now);
    let tickets: Vec<_> = (0..3)
        .map(|_| match ledger.acquire_within(now, Limit::At(ms(50))) {
            Acquire::Wait { ticket, deadline } => {
                assert_eq!(deadline, Some(now + ms(50)));
                ticket
            }
            other => panic!("expected to wait, got {other:?}"),
        })
        .collect();
    assert_eq!(ledger.next_due(now), Some(now + ms(50)));
    assert_eq!(ledger.expire(now + ms(49)), []);
    assert_eq!(ledger.expire(now + ms(50)), tickets);
    assert!(!ledger.cancel(tickets[0]));
    assert_eq!(ledger.counters().timeouts, 3);
}

#[test]
fn unused_connections_close_and_the_minimum_stays() {
    let config = LedgerConfig {
        min: 1,
        max_lifetime: Limit::Off,
        ..LedgerConfig::defaults(false)
    };
    let (mut ledger, now) = (Ledger::new(config), Instant::now());
    let leases: Vec<_> = (0..3).map(|_| open(&mut ledger, now)).collect();
    for lease in &leases {
        assert_eq!(
            ledger.release(*lease, now, Condition::Clean),
            Released::Idle
        );
    }
    assert_eq!(ledger.sweep(now + ms(299_999)), []);
    assert_eq!(ledger.sweep(now + ms(300_000)), leases[..2]);
    assert_eq!(ledger.stats().available, 1);
}

#[test]
fn lifetimes_end_within_a_quarter_of_the_limit_and_not_all_at_once() {
    let config = LedgerConfig {
        max: 100,
        idle_timeout: Limit::Off,
        leak_after: Limit::Off,
        ..LedgerConfig::defaults(false)
    };
    let (mut ledger, now) = (Ledger::new(config), Instant::now());
    let leases: Vec<_> = (0..100).map(|_| open(&mut ledger, now)).collect();
    for lease in leases {
        assert_eq!(ledger.release(lease, now, Condition::Clean), Released::Idle);
    }
    let lifetime = Duration::from_mins(30);
    assert_eq!(ledger.sweep(now + lifetime.mul_f64(0.749)), []);
    let first_half = ledger.sweep(now + lifetime).len();
    assert!(
        (20..80).contains(&first_half),
        "{first_half} of 100 ended at half time"
    );
    assert_eq!(
        ledger.sweep(now + lifetime.mul_f64(1.251)).len(),
        100 - first_half
    );
    assert_eq!(ledger.stats().available, 0);
}

#[test]
fn an_aged_connection_is_closed_when_it_comes_back_never_under_its_borrower() {
    let (mut ledger, now) = new_ledger(1);
    let lease = open(&mut ledger, now);
    let late = now + Duration::from_hours(1);
    assert_eq!(ledger.sweep(late), []);
    assert!(ledger.holds(lease));
    assert_eq!(
        ledger.release(lease, late, Condition::Clean),
        Released::Close
    );
}

#[test]
fn connections_beyond_those_kept_close_on_release() {
    let config = LedgerConfig {
        max_idle: 1,
        ..LedgerConfig::defaults(false)
    };
    let (mut ledger, now) = (Ledger::new(config), Instant::now());
    let (kept, overflow) = (open(&mut ledger, now), open(&mut ledger, now));
    assert_eq!(ledger.release(kept, now, Condition::Clean), Released::Idle);
    assert_eq!(
        ledger.release(overflow, now, Condition::Clean),
        Released::Close
    );
}

#[test]
fn the_minimum_is_created_in_advance_with_a_pause_after_a_failure() {
    let config = LedgerConfig {
        min: 2,
        ..LedgerConfig::defaults(false)
    };
    let (mut ledger, now) = (Ledger::new(config), Instant::now());
    assert_eq!(ledger.next_due(now), Some(now));
    let (first, second) = (ledger.warm(now).unwrap(), ledger.warm(now).unwrap());
    assert_eq!(ledger.warm(now), None);
    assert_eq!(ledger.on_created(first, now), Created::InUse(None));
    assert_eq!(ledger.on_create_failed(second, now), None);
    assert_eq!(ledger.warm(now), None);
    let again = ledger.next_due(now).unwrap();
    assert!(again > now);
    assert!(ledger.warm(again).is_some());
}

#[test]
fn a_long_held_lease_is_reported_once() {
    let (mut ledger, now) = new_ledger(1);
    let lease = open(&mut ledger, now);
    assert_eq!(ledger.report_leaks(now + ms(29_999)), []);
    let leaks = ledger.report_leaks(now + ms(30_000));
    assert_eq!((leaks[0].lease, leaks[0].held), (lease, ms(30_000)));
    assert_eq!(ledger.report_leaks(now + ms(60_000)), []);
    assert_eq!(ledger.counters().leaks, 1);
}

#[test]
fn a_wakeup_set_before_a_hand_out_is_not_too_late_for_it() {
    let (mut ledger, now) = new_ledger(1);
    let lease = open(&mut ledger, now);
    assert_eq!(ledger.release(lease, now, Condition::Clean), Released::Idle);
    let wakeup = ledger.next_due(now).unwrap();
    let lease = ledger.take(now + ms(100)).unwrap();
    assert!(ledger.report_leaks(wakeup).is_empty());
    let wakeup = ledger.next_due(wakeup).unwrap();
    assert_eq!(wakeup, now + ms(30_100));
    assert_eq!(ledger.report_leaks(wakeup)[0].lease, lease);
}

#[test]
fn a_drain_refuses_newcomers_and_waiters_and_lets_borrowers_finish() {
    let (mut ledger, now) = new_ledger(2);
    let (used, idle) = (open(&mut ledger, now), open(&mut ledger, now));
    let Acquire::Wait { ticket, .. } = ledger.acquire(now) else {
        panic!("the pool is full");
    };
    let shutdown = ledger.drain();
    assert_eq!(shutdown.refused, [ticket]);
    assert_eq!(shutdown.to_close, []);
    assert_eq!(ledger.acquire(now), Acquire::Refused(Refusal::Draining));
    for lease in [used, idle] {
        assert_eq!(
            ledger.release(lease, now, Condition::Clean),
            Released::Close
        );
        assert!(!ledger.is_drained());
        assert_eq!(ledger.on_closed(lease, now), None);
    }
    assert!(ledger.is_drained());
    assert_eq!(ledger.acquire(now), Acquire::Refused(Refusal::Closed));
}

#[test]
fn a_forced_end_takes_leases_back_and_a_late_release_is_harmless() {
    let (mut ledger, now) = new_ledger(2);
    let lease = open(&mut ledger, now);
    let Acquire::Create(unfinished) = ledger.acquire(now) else {
        panic!("there is room");
    };
    assert_eq!(ledger.force_close().to_close, [lease]);
    assert_eq!(
        ledger.release(lease, now, Condition::Clean),
        Released::UnknownLease
    );
    assert_eq!(ledger.on_created(unfinished, now), Created::Unwanted);
    for lease in [lease, unfinished] {
        assert_eq!(ledger.on_closed(lease, now), None);
    }
    assert!(ledger.is_drained());
}

#[test]
fn free_connections_known_to_be_dead_are_closed_and_the_borrowed_left_alone() {
    let (mut ledger, now) = new_ledger(4);
    let leases: Vec<_> = (0..4).map(|_| open(&mut ledger, now)).collect();
    for lease in &leases[..3] {
        assert_eq!(
            ledger.release(*lease, now, Condition::Clean),
            Released::Idle
        );
    }
    let dead = [leases[0].slot, leases[2].slot, leases[3].slot];
    let closing = ledger.evict(|slot| dead.contains(&slot));
    let slots: Vec<_> = closing.iter().map(|lease| lease.slot).collect();
    assert_eq!(slots, [leases[0].slot, leases[2].slot]);
    assert_eq!((ledger.stats().available, ledger.stats().closing), (1, 2));
    assert!(ledger.holds(leases[3]));
    for lease in closing {
        assert_eq!(ledger.on_closed(lease, now), None);
    }
    assert_eq!((ledger.stats().total, ledger.stats().in_use), (2, 1));
    assert_eq!(ledger.take(now).unwrap().slot, leases[1].slot);
}
