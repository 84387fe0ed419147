//! The order of the policies: what a call is told, step by step.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moorline_core::{
    limit::Limit,
    resilience::{
        breaker::{BreakerConfig, CircuitState, Trip},
        budget::{RetryBudget, RetryBudgetConfig},
        bulkhead::BulkheadConfig,
        call::{Admission, AfterAttempt, Attempt, Call},
        config::{ATTEMPT_TIMEOUT, BREAKER, RETRY, TIMEOUT},
        deadline::Deadline,
        limiter::{LimiterConfig, Rate},
        outcome::{AttemptFailure, AttemptOutcome},
        pipeline::{BreakerScope, Pipeline, PipelineConfig},
        refusal::Refusal,
        registry::SharedBreaker,
        retry::{Backoff, GiveUp, Jitter, RetryPolicy},
    },
};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
/// One, then the next a second later.
const EACH_SECOND: Rate = Rate::Bucket {
    interval: SECOND,
    burst: 1,
};
const FAILED: AttemptOutcome = AttemptOutcome::Failure(AttemptFailure::counted(true));

/// Retries every second, without jitter.
const STEADY: RetryPolicy = RetryPolicy {
    max_retries: 3,
    base_delay: SECOND,
    backoff: Backoff::Fixed,
    jitter: Jitter::Symmetric(0.0),
    ..RETRY
};

const PLAIN: PipelineConfig = PipelineConfig {
    timeout: TIMEOUT,
    attempt_timeout: ATTEMPT_TIMEOUT,
    retry: Some(STEADY),
    limiter: None,
    bulkhead: None,
};

const ONE_AT_A_TIME: PipelineConfig = PipelineConfig {
    bulkhead: Some(BulkheadConfig {
        max_concurrent: 1,
        max_queue: 1,
    }),
    ..PLAIN
};

fn breaker(failures: u32) -> Arc<SharedBreaker> {
    let trip = Trip::Consecutive { failures };
    Arc::new(SharedBreaker::new(
        "test",
        BreakerConfig { trip, ..BREAKER },
    ))
}

fn begin(pipeline: &Pipeline, now: Instant) -> Call {
    pipeline.begin(Deadline::NEVER, now)
}

fn go(call: &mut Call, pipeline: &Pipeline, now: Instant) -> Attempt {
    let step = call.admit(pipeline, now);
    let Admission::Go(attempt) = step else {
        unreachable!("expected to go, got {step:?}");
    };
    attempt
}

#[test]
fn a_call_is_retried_after_the_delay_and_not_before() {
    let now = Instant::now();
    let pipeline = Pipeline::new(PLAIN);
    let mut call = begin(&pipeline, now);
    assert_eq!(go(&mut call, &pipeline, now).number, 1);
    assert_eq!(
        call.record(&pipeline, FAILED, now),
        AfterAttempt::RetryIn(SECOND)
    );
    // A timer that fires early changes nothing.
    let half = SECOND / 2;
    assert_eq!(call.admit(&pipeline, now + half), Admission::Wait(half));
    assert_eq!(go(&mut call, &pipeline, now + SECOND).number, 2);
    assert_eq!(
        call.record(&pipeline, AttemptOutcome::Success, now + SECOND),
        AfterAttempt::Done
    );
    assert_eq!(call.attempts(), 2);
}

#[test]
fn the_deadline_shrinks_across_attempts_and_ends_the_call_instead_of_a_useless_wait() {
    let start = Instant::now();
    let pipeline = Pipeline::new(PipelineConfig {
        timeout: Limit::At(SECOND * 12),
        ..PLAIN
    });
    let mut call = begin(&pipeline, start);
    let first = go(&mut call, &pipeline, start);
    assert_eq!(first.deadline.remaining(start), Some(SECOND * 10));
    call.record(&pipeline, FAILED, start + SECOND * 5);
    let now = start + SECOND * 6;
    assert_eq!(
        go(&mut call, &pipeline, now).deadline.remaining(now),
        Some(SECOND * 6)
    );
    let late = start + SECOND * 11;
    assert_eq!(
        call.record(&pipeline, FAILED, late),
        AfterAttempt::GiveUp(GiveUp::Deadline)
    );
}

#[test]
fn the_callers_earlier_deadline_wins() {
    let now = Instant::now();
    let pipeline = Pipeline::new(PLAIN);
    let mut call = pipeline.begin(Deadline::after(now, Limit::At(SECOND)), now);
    assert_eq!(
        go(&mut call, &pipeline, now).deadline.remaining(now),
        Some(SECOND)
    );
    let mut late = pipeline.begin(Deadline::after(now, Limit::At(SECOND)), now);
    let refused = late.admit(&pipeline, now + SECOND);
    assert_eq!(refused, Admission::Refuse(Refusal::DeadlinePassed));
}

#[test]
fn a_breaker_around_attempts_counts_each_and_one_around_calls_counts_once() {
    for (scope, expected) in [(BreakerScope::Attempts, 4), (BreakerScope::Calls, 1)] {
        let breaker = breaker(100);
        let pipeline = Pipeline::new(PLAIN).with_breaker(scope, Arc::clone(&breaker));
        let mut now = Instant::now();
        let mut call = begin(&pipeline, now);
        loop {
            go(&mut call, &pipeline, now);
            match call.record(&pipeline, FAILED, now) {
                AfterAttempt::RetryIn(delay) => now += delay,
                AfterAttempt::GiveUp(why) => break assert_eq!(why, GiveUp::Exhausted),
                AfterAttempt::Done => panic!("it failed"),
            }
        }
        assert_eq!(breaker.snapshot().failures, expected, "{scope:?}");
    }
}

#[test]
fn a_breaker_that_opens_ends_the_retries_without_a_wait() {
    let now = Instant::now();
    let breaker = breaker(2);
    let pipeline = Pipeline::new(PLAIN).with_breaker(BreakerScope::Attempts, Arc::clone(&breaker));
    let mut call = begin(&pipeline, now);
    go(&mut call, &pipeline, now);
    assert_eq!(
        call.record(&pipeline, FAILED, now),
        AfterAttempt::RetryIn(SECOND)
    );
    go(&mut call, &pipeline, now + SECOND);
    let next = call.record(&pipeline, FAILED, now + SECOND);
    assert_eq!(next, AfterAttempt::GiveUp(GiveUp::CircuitOpen));
    let refused = begin(&pipeline, now).admit(&pipeline, now + SECOND);
    let retry_after = Some(BREAKER.reset_timeout);
    assert_eq!(
        refused,
        Admission::Refuse(Refusal::CircuitOpen { retry_after })
    );
    assert_eq!(breaker.snapshot().totals.refused, 1);
}

#[test]
fn an_open_breaker_takes_no_token_and_no_place() {
    let now = Instant::now();
    let limiter = LimiterConfig {
        rate: EACH_SECOND,
        max_queue: 0,
        max_wait: SECOND,
    };
    let config = PipelineConfig {
        limiter: Some(limiter),
        ..ONE_AT_A_TIME
    };
    let breaker = breaker(1);
    let pipeline = Pipeline::new(config).with_breaker(BreakerScope::Attempts, Arc::clone(&breaker));
    breaker.with(|breaker| breaker.open(now));
    assert!(matches!(
        begin(&pipeline, now).admit(&pipeline, now),
        Admission::Refuse(_)
    ));
    assert_eq!(pipeline.occupancy(), Some((0, 0)));
    breaker.with(|breaker| breaker.close(now));
    go(&mut begin(&pipeline, now), &pipeline, now);
}

#[test]
fn a_call_waits_for_its_token_and_then_goes() {
    let now = Instant::now();
    let limiter = LimiterConfig {
        rate: EACH_SECOND,
        max_queue: 10,
        max_wait: SECOND * 60,
    };
    let pipeline = Pipeline::new(PipelineConfig {
        limiter: Some(limiter),
        ..PLAIN
    });
    go(&mut begin(&pipeline, now), &pipeline, now);
    let mut second = begin(&pipeline, now);
    assert_eq!(second.admit(&pipeline, now), Admission::Wait(SECOND));
    go(&mut second, &pipeline, now + SECOND);
    // A wait that cannot end before the deadline is refused at once, and takes no token with it.
    let mut hurried = pipeline.begin(Deadline::after(now, Limit::At(SECOND / 2)), now);
    let retry_after = SECOND * 2;
    let refused = Admission::Refuse(Refusal::RateLimited { retry_after });
    assert_eq!(hurried.admit(&pipeline, now), refused);
    assert_eq!(
        begin(&pipeline, now).admit(&pipeline, now),
        Admission::Wait(retry_after)
    );
}

#[test]
fn the_bulkhead_queues_then_refuses_and_a_retry_delay_holds_no_place() {
    let now = Instant::now();
    let pipeline = Pipeline::new(ONE_AT_A_TIME);
    let [mut first, mut second, mut third] = [(); 3].map(|()| begin(&pipeline, now));
    go(&mut first, &pipeline, now);
    assert_eq!(
        second.admit(&pipeline, now),
        Admission::Queue(TIMEOUT.get())
    );
    assert_eq!(
        third.admit(&pipeline, now),
        Admission::Refuse(Refusal::Overloaded)
    );
    assert_eq!(
        first.record(&pipeline, FAILED, now),
        AfterAttempt::RetryIn(SECOND)
    );
    go(&mut second, &pipeline, now);
    assert!(matches!(
        first.admit(&pipeline, now + SECOND),
        Admission::Queue(_)
    ));
    second.record(&pipeline, AttemptOutcome::Success, now);
    assert_eq!(go(&mut first, &pipeline, now + SECOND).number, 2);
}

#[test]
fn a_retry_needs_the_shared_budget() {
    let now = Instant::now();
    let ttl = SECOND * 10;
    let budget = RetryBudget::new(RetryBudgetConfig {
        ratio: 0.5,
        reserve_per_second: 0.0,
        ttl,
    });
    let pipeline = Pipeline::new(PLAIN).with_budget(Arc::new(budget));
    let outcomes = [(); 4].map(|()| {
        let mut call = begin(&pipeline, now);
        go(&mut call, &pipeline, now);
        call.record(&pipeline, FAILED, now)
    });
    let (refused, allowed) = (
        AfterAttempt::GiveUp(GiveUp::Budget),
        AfterAttempt::RetryIn(SECOND),
    );
    assert_eq!(outcomes, [refused, allowed, refused, allowed]);
}

#[test]
fn a_call_refused_between_its_attempts_still_counts_as_a_failed_call() {
    let start = Instant::now();
    let breaker = breaker(100);
    let pipeline =
        Pipeline::new(ONE_AT_A_TIME).with_breaker(BreakerScope::Calls, Arc::clone(&breaker));
    let mut call = begin(&pipeline, start);
    go(&mut call, &pipeline, start);
    call.record(&pipeline, FAILED, start);
    let after_deadline = start + SECOND * 31;
    assert!(matches!(
        call.admit(&pipeline, after_deadline),
        Admission::Refuse(_)
    ));
    assert_eq!(breaker.snapshot().failures, 1);
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Begin,
    Admit(usize),
    Record(usize, bool),
    Cancel(usize),
}

fn acts() -> impl Strategy<Value = (u64, Act)> {
    let act = prop_oneof![
        Just(Act::Begin),
        any::<usize>().prop_map(Act::Admit),
        (any::<usize>(), any::<bool>()).prop_map(|(n, ok)| Act::Record(n, ok)),
        any::<usize>().prop_map(Act::Cancel),
    ];
    (0_u64..3_000, act)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_happens_to_calls_they_leave_nothing_behind(
        around_calls: bool,
        rate in prop_oneof![
            Just(Rate::Bucket { interval: SECOND / 10, burst: 2 }),
            Just(Rate::Window { max: 2, window: SECOND / 5 }),
        ],
        acts in prop::collection::vec(acts(), 1..150),
    ) {
        let scope = if around_calls { BreakerScope::Calls } else { BreakerScope::Attempts };
        let limiter = LimiterConfig { rate, max_queue: 5, max_wait: SECOND };
        let bulkhead = BulkheadConfig { max_concurrent: 2, max_queue: 2 };
        let config = PipelineConfig { limiter: Some(limiter), bulkhead: Some(bulkhead), ..PLAIN };
        let breaker = breaker(2);
        let pipeline = Pipeline::new(config).with_breaker(scope, Arc::clone(&breaker));
        let mut now = Instant::now();
        let mut calls: Vec<(Call, bool)> = Vec::new();
        let mut admitted_at = Vec::new();
        for (pause_ms, act) in acts {
            now += Duration::from_millis(pause_ms);
            match act {
                Act::Begin => calls.push((begin(&pipeline, now), false)),
                Act::Admit(n) | Act::Record(n, _) | Act::Cancel(n) if !calls.is_empty() => {
                    let n = n % calls.len();
                    let (call, running) = &mut calls[n];
                    let over = match (act, *running) {
                        (Act::Record(_, ok), true) => {
                            *running = false;
                            let outcome = if ok { AttemptOutcome::Success } else { FAILED };
                            !matches!(call.record(&pipeline, outcome, now), AfterAttempt::RetryIn(_))
                        }
                        (Act::Admit(_), false) => {
                            let step = call.admit(&pipeline, now);
                            *running = matches!(step, Admission::Go(_));
                            admitted_at.extend(running.then_some(now));
                            matches!(step, Admission::Refuse(_))
                        }
                        (Act::Cancel(_), _) => {
                            call.cancel(&pipeline, now);
                            true
                        }
                        _ => false,
                    };
                    if over {
                        calls.swap_remove(n);
                    }
                }
                _ => {}
            }
            let running = calls.iter().filter(|(_, running)| *running).count();
            prop_assert!(running <= 2);
        }
        if let Rate::Window { max, window } = rate {
            for pair in admitted_at.windows(max as usize + 1) {
                prop_assert!(pair[max as usize] - pair[0] >= window);
            }
        }
        for (mut call, _) in calls {
            call.cancel(&pipeline, now);
        }
        prop_assert_eq!(pipeline.occupancy(), Some((0, 0)));
        // No permit is out: even a half-open breaker admits as many probes as it may.
        now += BREAKER.reset_timeout;
        breaker.with(|breaker| breaker.half_open(now));
        for _ in 0..BREAKER.half_open_max_calls {
            let permit = breaker.admit(now);
            prop_assert!(permit.is_ok());
        }
        prop_assert_eq!(breaker.snapshot().state, CircuitState::HalfOpen);
    }
}
