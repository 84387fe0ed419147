//! The circuit breaker.

use std::time::{Duration, Instant};

use moorline_core::resilience::{
    breaker::{
        Breaker, BreakerConfig,
        CircuitState::{Closed, HalfOpen, Open},
        Permit, Trip,
    },
    config::BREAKER,
    outcome::{AttemptFailure, AttemptOutcome},
};
use proptest::prelude::*;

const FAILED: AttemptOutcome = AttemptOutcome::Failure(AttemptFailure::counted(true));
const EXCLUDED: AttemptOutcome = AttemptOutcome::Failure(AttemptFailure {
    weight: 0,
    retryable: false,
    retry_after: None,
});
const RESET: Duration = BREAKER.reset_timeout;
const PROBE: Duration = BREAKER.probe_timeout;

fn weighing(weight: u32) -> AttemptOutcome {
    AttemptOutcome::Failure(AttemptFailure {
        weight,
        ..AttemptFailure::counted(true)
    })
}

fn call(breaker: &mut Breaker, outcome: AttemptOutcome, now: Instant) {
    let Ok(permit) = breaker.admit(now) else {
        unreachable!("expected to be admitted");
    };
    breaker.record(permit, outcome, now);
}

fn opened(config: BreakerConfig, now: Instant) -> Breaker {
    let mut breaker = Breaker::new(config);
    call(&mut breaker, weighing(1000), now);
    assert_eq!(breaker.state(), Open);
    breaker
}

#[test]
fn it_opens_after_five_failures_in_a_row_and_refuses_until_the_reset_time() {
    let now = Instant::now();
    let mut breaker = Breaker::new(BREAKER);
    for _ in 0..4 {
        call(&mut breaker, FAILED, now);
    }
    call(&mut breaker, AttemptOutcome::Success, now);
    for _ in 0..4 {
        call(&mut breaker, FAILED, now);
    }
    assert_eq!(breaker.state(), Closed);
    call(&mut breaker, FAILED, now);
    let refused = breaker.admit(now).unwrap_err();
    assert_eq!(refused.retry_at, Some(now + RESET));
    assert!(breaker.admit(now + RESET / 2).is_err());
    call(&mut breaker, AttemptOutcome::Success, now + RESET);
    assert_eq!(breaker.state(), Closed);
    assert_eq!(breaker.snapshot().totals.refused, 2);
}

#[test]
fn excluded_outcomes_are_neither_success_nor_failure() {
    let now = Instant::now();
    let mut breaker = Breaker::new(BREAKER);
    for _ in 0..4 {
        call(&mut breaker, FAILED, now);
    }
    call(&mut breaker, EXCLUDED, now);
    assert_eq!(breaker.snapshot().failures, 4);
    assert_eq!(breaker.snapshot().totals.requests, 4);
    call(&mut breaker, FAILED, now);
    assert_eq!(breaker.state(), Open);
}

#[test]
fn a_failure_may_weigh_several() {
    let mut breaker = Breaker::new(BREAKER);
    call(&mut breaker, weighing(5), Instant::now());
    assert_eq!(breaker.state(), Open);
}

#[test]
fn a_failed_probe_reopens_for_another_reset_time() {
    let now = Instant::now();
    let mut breaker = opened(BREAKER, now);
    call(&mut breaker, FAILED, now + RESET);
    assert_eq!(breaker.state(), Open);
    assert!(breaker.admit(now + RESET + RESET / 2).is_err());
    assert!(breaker.admit(now + RESET * 2).is_ok());
}

#[test]
fn failed_probes_double_the_open_time_up_to_its_maximum() {
    let max_reset_timeout = RESET * 3;
    let mut now = Instant::now();
    let mut breaker = opened(
        BreakerConfig {
            max_reset_timeout,
            ..BREAKER
        },
        now,
    );
    for expected in [RESET, RESET * 2, RESET * 3, RESET * 3] {
        assert_eq!(breaker.snapshot().next_attempt, Some(now + expected));
        now += expected;
        call(&mut breaker, FAILED, now);
    }
    breaker.close(now);
    breaker.open(now);
    assert_eq!(breaker.snapshot().next_attempt, Some(now + RESET));
}

#[test]
fn it_closes_after_as_many_successes_as_asked_for() {
    let start = Instant::now();
    let mut breaker = opened(
        BreakerConfig {
            success_threshold: 3,
            ..BREAKER
        },
        start,
    );
    let now = start + RESET;
    call(&mut breaker, AttemptOutcome::Success, now);
    call(&mut breaker, AttemptOutcome::Success, now);
    assert_eq!(breaker.state(), HalfOpen);
    assert_eq!(breaker.snapshot().successes, 2);
    call(&mut breaker, AttemptOutcome::Success, now);
    assert_eq!(breaker.state(), Closed);
    assert_eq!(breaker.snapshot().failures, 0);
}

#[test]
fn a_late_result_from_before_the_opening_does_not_close_it() {
    let start = Instant::now();
    let mut breaker = Breaker::new(BREAKER);
    let late_success = breaker.admit(start).unwrap();
    let late_failure = breaker.admit(start).unwrap();
    call(&mut breaker, weighing(5), start);
    let now = start + RESET;
    let probe = breaker.admit(now).unwrap();
    breaker.record(late_success, AttemptOutcome::Success, now);
    assert_eq!(breaker.state(), HalfOpen);
    breaker.record(late_failure, FAILED, now);
    assert_eq!(breaker.state(), HalfOpen);
    breaker.record(probe, AttemptOutcome::Success, now);
    assert_eq!(breaker.state(), Closed);
}

#[test]
fn a_lost_probe_counts_as_failed_after_its_timeout_and_is_ignored_later() {
    let start = Instant::now();
    let mut breaker = opened(
        BreakerConfig {
            half_open_max_calls: 1,
            ..BREAKER
        },
        start,
    );
    let probing = start + RESET;
    let lost = breaker.admit(probing).unwrap();
    let refused = breaker.admit(probing).unwrap_err();
    assert_eq!(refused.retry_at, Some(probing + PROBE));
    assert!(breaker.admit(probing + PROBE).is_err());
    assert_eq!(breaker.state(), Open);
    breaker.record(lost, AttemptOutcome::Success, probing + PROBE);
    assert_eq!(breaker.state(), Open);
    // The open time runs from the timeout, not from the call that noticed it.
    assert!(breaker.admit(probing + PROBE + RESET).is_ok());
}

#[test]
fn probes_still_out_from_before_a_reopening_count_towards_the_bound() {
    let start = Instant::now();
    let config = BreakerConfig {
        half_open_max_calls: 2,
        reset_timeout: PROBE / 10,
        ..BREAKER
    };
    let mut breaker = opened(config, start);
    let mut now = start + PROBE / 10;
    let slow = breaker.admit(now).unwrap();
    call(&mut breaker, FAILED, now);
    now += PROBE / 5;
    let second = breaker.admit(now).unwrap();
    assert!(breaker.admit(now).is_err());
    breaker.record(slow, AttemptOutcome::Success, now);
    assert_eq!(breaker.state(), HalfOpen);
    assert!(breaker.admit(now).is_ok());
    breaker.record(second, AttemptOutcome::Success, now);
    assert_eq!(breaker.state(), Closed);
}

#[test]
fn a_probe_given_up_by_the_caller_frees_its_place() {
    let start = Instant::now();
    let mut breaker = opened(
        BreakerConfig {
            half_open_max_calls: 1,
            ..BREAKER
        },
        start,
    );
    let now = start + RESET;
    let permit = breaker.admit(now).unwrap();
    breaker.release(permit);
    assert!(breaker.admit(now).is_ok());
}

#[test]
fn the_ratio_counts_within_its_window_and_not_before_the_minimum() {
    let window = Duration::from_secs(30);
    let trip = Trip::Ratio {
        ratio: 0.5,
        min_calls: 10,
        window,
    };
    let start = Instant::now();
    let mut breaker = Breaker::new(BreakerConfig { trip, ..BREAKER });
    for _ in 0..9 {
        call(&mut breaker, FAILED, start);
    }
    assert_eq!(breaker.state(), Closed);
    // Those nine are forgotten.
    let now = start + window * 2;
    for outcome in [AttemptOutcome::Success, FAILED].repeat(4) {
        call(&mut breaker, outcome, now);
    }
    call(&mut breaker, AttemptOutcome::Success, now);
    assert_eq!(breaker.state(), Closed);
    call(&mut breaker, FAILED, now);
    assert_eq!(breaker.state(), Open);
}

#[test]
fn it_can_be_opened_isolated_half_opened_and_reset_by_hand() {
    let now = Instant::now();
    let mut breaker = Breaker::new(BREAKER);
    breaker.isolate(now);
    assert_eq!(breaker.admit(now + RESET * 100).unwrap_err().retry_at, None);
    breaker.half_open(now);
    assert!(breaker.admit(now).is_ok());
    breaker.open(now);
    assert!(breaker.admit(now).is_err());
    breaker.reset(now);
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.state, Closed);
    assert_eq!((snapshot.failures, snapshot.last_failure), (0, None));
    let to: Vec<_> = breaker
        .take_changes()
        .iter()
        .map(|change| change.to)
        .collect();
    assert_eq!(to, [Open, HalfOpen, Open, Closed]);
    assert!(breaker.take_changes().is_empty());
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Ask,
    /// Hand the n-th permit back.
    Answer(usize, Outcome),
    /// Forget it.
    Lose(usize),
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Good,
    Bad,
    Neither,
    Cancelled,
}

fn acts() -> impl Strategy<Value = (u64, Act)> {
    let outcomes = prop_oneof![
        Just(Outcome::Good),
        Just(Outcome::Bad),
        Just(Outcome::Neither),
        Just(Outcome::Cancelled)
    ];
    let act = prop_oneof![
        4 => Just(Act::Ask),
        4 => (any::<usize>(), outcomes).prop_map(|(n, outcome)| Act::Answer(n, outcome)),
        1 => any::<usize>().prop_map(Act::Lose),
    ];
    (prop_oneof![Just(0), 0_u64..40_000], act)
}

struct Held {
    permit: Permit,
    probe_since: Option<Instant>,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn under_any_interleaving_open_refuses_probes_are_bounded_and_nothing_sticks(
        half_open_max_calls in 1_u32..4,
        success_threshold in 1_u32..4,
        fail_max in 1_u32..4,
        reset_ms in 1_u64..60_000,
        acts in prop::collection::vec(acts(), 1..200),
    ) {
        let trip = Trip::Consecutive { failures: fail_max };
        let reset_timeout = Duration::from_millis(reset_ms);
        let max_reset_timeout = reset_timeout;
        let config = BreakerConfig {
            trip,
            reset_timeout,
            max_reset_timeout,
            success_threshold,
            half_open_max_calls,
            ..BREAKER
        };
        let mut breaker = Breaker::new(config);
        let mut now = Instant::now();
        let mut held: Vec<Held> = Vec::new();
        for (pause_ms, act) in acts {
            now += Duration::from_millis(pause_ms);
            match act {
                Act::Ask => {
                    let before = breaker.snapshot();
                    if let Ok(permit) = breaker.admit(now) {
                        let reopens = before.next_attempt;
                        prop_assert!(before.state != Open || reopens.unwrap() <= now);
                        prop_assert_ne!(breaker.state(), Open);
                        let half_open = breaker.state() == HalfOpen;
                        held.push(Held { permit, probe_since: half_open.then_some(now) });
                    }
                }
                Act::Answer(n, outcome) if !held.is_empty() => {
                    let Held { permit, .. } = held.swap_remove(n % held.len());
                    match outcome {
                        Outcome::Good => breaker.record(permit, AttemptOutcome::Success, now),
                        Outcome::Bad => breaker.record(permit, FAILED, now),
                        Outcome::Neither => breaker.record(permit, EXCLUDED, now),
                        Outcome::Cancelled => breaker.release(permit),
                    }
                }
                Act::Lose(n) if !held.is_empty() => drop(held.swap_remove(n % held.len())),
                Act::Answer(..) | Act::Lose(_) => {}
            }
            let out = |held: &&Held| held.probe_since.is_some_and(|since| now < since + PROBE);
            let probes = held.iter().filter(out).count();
            prop_assert!(probes <= half_open_max_calls as usize);
        }
        // Whatever was lost: after a probe timeout and a reset time it lets a call through, and can close.
        now += PROBE + RESET;
        for _ in 0..success_threshold {
            call(&mut breaker, AttemptOutcome::Success, now);
        }
        prop_assert_eq!(breaker.state(), Closed);
    }
}
