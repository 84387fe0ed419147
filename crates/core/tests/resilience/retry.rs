//! Retry delays and the shared retry budget.

use std::time::{Duration, Instant};

use moorline_core::resilience::{
    budget::{RetryBudget, RetryBudgetConfig},
    config::RETRY,
    outcome::AttemptFailure,
    retry::{Backoff, GiveUp, Jitter, Retry, RetryPolicy},
};
use proptest::prelude::*;

const RETRYABLE: AttemptFailure = AttemptFailure::counted(true);

fn without_jitter(base_ms: u64, max_ms: u64, backoff: Backoff) -> RetryPolicy {
    RetryPolicy {
        max_retries: 10,
        base_delay: Duration::from_millis(base_ms),
        max_delay: Duration::from_millis(max_ms),
        backoff,
        jitter: Jitter::Symmetric(0.0),
        ..RETRY
    }
}

fn delays_ms(policy: &RetryPolicy, count: u32) -> Vec<u128> {
    let mut rng = fastrand::Rng::with_seed(1);
    (1..=count)
        .map(|retry| policy.delay(retry, &mut rng).as_millis())
        .collect()
}

#[test]
fn exponential_delays_double_up_to_the_cap() {
    let policy = without_jitter(1000, 10_000, Backoff::Exponential { factor: 2.0 });
    assert_eq!(delays_ms(&policy, 5), [1000, 2000, 4000, 8000, 10_000]);
}

#[test]
fn linear_delays_grow_by_the_increment_and_fixed_ones_do_not() {
    let increment = Duration::from_millis(500);
    let linear = without_jitter(1000, 10_000, Backoff::Linear { increment });
    assert_eq!(delays_ms(&linear, 3), [1000, 1500, 2000]);
    let fixed = without_jitter(1000, 10_000, Backoff::Fixed);
    assert_eq!(delays_ms(&fixed, 3), [1000, 1000, 1000]);
}

#[test]
fn retries_are_extra_attempts() {
    let policy = RetryPolicy {
        max_retries: 2,
        ..RETRY
    };
    let mut rng = fastrand::Rng::with_seed(1);
    assert!(matches!(
        policy.next(1, &RETRYABLE, &mut rng),
        Retry::After(_)
    ));
    assert!(matches!(
        policy.next(2, &RETRYABLE, &mut rng),
        Retry::After(_)
    ));
    let third = policy.next(3, &RETRYABLE, &mut rng);
    assert_eq!(third, Retry::GiveUp(GiveUp::Exhausted));
}

#[test]
fn what_is_not_retryable_is_given_up_at_once() {
    let mut rng = fastrand::Rng::with_seed(1);
    let decision = RETRY.next(1, &AttemptFailure::counted(false), &mut rng);
    assert_eq!(decision, Retry::GiveUp(GiveUp::NotRetryable));
}

#[test]
fn retry_after_is_followed_exactly_or_the_call_fails_at_once() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut after = |seconds| {
        let failure = AttemptFailure {
            retry_after: Some(Duration::from_secs(seconds)),
            ..RETRYABLE
        };
        RETRY.next(1, &failure, &mut rng)
    };
    assert_eq!(after(60), Retry::After(Duration::from_mins(1)));
    assert_eq!(after(61), Retry::GiveUp(GiveUp::RetryAfterTooLong));
    // A wait of zero: the usual delay.
    let usual = RETRY.next(1, &RETRYABLE, &mut fastrand::Rng::with_seed(2));
    let no_wait = AttemptFailure {
        retry_after: Some(Duration::ZERO),
        ..RETRYABLE
    };
    let next = RETRY.next(1, &no_wait, &mut fastrand::Rng::with_seed(2));
    assert_eq!(next, usual);
}

fn backoffs() -> impl Strategy<Value = Backoff> {
    prop_oneof![
        Just(Backoff::Fixed),
        (0_u64..1 << 40).prop_map(|ms| Backoff::Linear {
            increment: Duration::from_millis(ms)
        }),
        (1.0..1000.0_f64).prop_map(|factor| Backoff::Exponential { factor }),
    ]
}

fn jitters() -> impl Strategy<Value = Jitter> {
    prop_oneof![
        Just(Jitter::Full),
        (0.0..=1.0_f64).prop_map(Jitter::Symmetric)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_delay_is_within_its_bounds(
        base_ms in 0_u64..1 << 31,
        max_ms in 0_u64..1 << 31,
        backoff in backoffs(),
        jitter in jitters(),
        retry in prop_oneof![1_u32..20, Just(u32::MAX)],
        seed: u64,
    ) {
        let policy = RetryPolicy {
            base_delay: Duration::from_millis(base_ms),
            max_delay: Duration::from_millis(max_ms),
            backoff,
            jitter,
            ..RETRY
        };
        // Not a number would come out as the cap; that it is below the jittered floor of none shows here too.
        let delay = policy.delay(retry, &mut fastrand::Rng::with_seed(seed)).as_secs_f64();
        let cap = max_ms as f64 / 1000.0;
        let least = (base_ms as f64 / 1000.0).min(cap);
        let (low, high) = match jitter {
            Jitter::Full => (0.0, cap),
            Jitter::Symmetric(fraction) => (least * (1.0 - fraction), cap * (1.0 + fraction)),
        };
        prop_assert!(delay >= low - 1e-6 && delay <= high + 1e-6, "{delay} outside {low}..{high}");
    }

    #[test]
    fn the_budget_never_allows_more_than_its_ratio_and_reserve(
        ratio in 0.0..=1.0_f64,
        reserve in 0_u32..5,
        events in prop::collection::vec((0_u64..400, any::<bool>()), 1..400),
    ) {
        let ttl = Duration::from_secs(10);
        let config = RetryBudgetConfig { ratio, reserve_per_second: f64::from(reserve), ttl };
        let budget = RetryBudget::new(config);
        let (mut now, mut calls, mut retries) = (Instant::now(), Vec::new(), Vec::new());
        for (pause_ms, is_call) in events {
            now += Duration::from_millis(pause_ms);
            if is_call {
                budget.record_call(now);
                calls.push(now);
                continue;
            }
            if !budget.try_take_retry(now) {
                continue;
            }
            retries.push(now);
            let within = |times: &[Instant], age: Duration| {
                times.iter().filter(|at| now - **at < age).count() as f64
            };
            // A call may count for a bucket (a tenth) longer than its time, never a retry for less.
            let allowed = ratio * within(&calls, ttl + ttl / 10) + f64::from(reserve) * 10.0;
            prop_assert!(within(&retries, ttl) <= allowed + 1e-9);
        }
    }
}

#[test]
fn a_quiet_program_can_retry_from_the_reserve() {
    let ttl = Duration::from_secs(10);
    let budget = RetryBudget::new(RetryBudgetConfig {
        ratio: 0.2,
        reserve_per_second: 1.0,
        ttl,
    });
    let now = Instant::now();
    assert_eq!((0..20).filter(|_| budget.try_take_retry(now)).count(), 10);
    (0..50).for_each(|_| budget.record_call(now));
    assert_eq!((0..20).filter(|_| budget.try_take_retry(now)).count(), 10);
    let later = now + ttl + ttl;
    assert_eq!((0..20).filter(|_| budget.try_take_retry(later)).count(), 10);
}
