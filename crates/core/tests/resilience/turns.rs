//! The rate limit of a pipeline behind its bulkhead: the waits for both, and the return of places and tokens.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moorline_core::{
    limit::Limit,
    resilience::{
        breaker::{BreakerConfig, Trip},
        bulkhead::BulkheadConfig,
        call::{Admission, Call},
        config::{ATTEMPT_TIMEOUT, BREAKER},
        deadline::Deadline,
        limiter::{LimiterConfig, Rate},
        outcome::AttemptOutcome,
        pipeline::{BreakerScope, Pipeline, PipelineConfig},
        refusal::Refusal,
        registry::SharedBreaker,
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// One place, and one token in each second.
const ONE_EACH_SECOND: PipelineConfig = PipelineConfig {
    timeout: Limit::Off,
    attempt_timeout: ATTEMPT_TIMEOUT,
    retry: None,
    limiter: Some(LimiterConfig {
        rate: Rate::Window {
            max: 1,
            window: SECOND,
        },
        max_queue: 10,
        max_wait: Duration::from_mins(1),
    }),
    bulkhead: Some(BulkheadConfig {
        max_concurrent: 1,
        max_queue: 10,
    }),
};

fn begin(pipeline: &Pipeline, now: Instant) -> Call {
    pipeline.begin(Deadline::NEVER, now)
}

fn go(call: &mut Call, pipeline: &Pipeline, now: Instant) {
    let step = call.admit(pipeline, now);
    assert!(
        matches!(step, Admission::Go(_)),
        "expected to go, got {step:?}"
    );
}

#[test]
fn queued_calls_keep_the_rate_when_they_get_a_place() {
    let start = Instant::now();
    let pipeline = Pipeline::new(ONE_EACH_SECOND);
    let [mut first, mut second, mut third, mut fourth] = [(); 4].map(|()| begin(&pipeline, start));
    go(&mut first, &pipeline, start);
    for queued in [&mut second, &mut third, &mut fourth] {
        assert_eq!(queued.admit(&pipeline, start), Admission::Queue(None));
    }
    // It ran for long enough for the others to have had their tokens.
    let now = start + SECOND * 10;
    first.record(&pipeline, AttemptOutcome::Success, now);
    go(&mut second, &pipeline, now);
    second.record(&pipeline, AttemptOutcome::Success, now);
    assert_eq!(third.admit(&pipeline, now), Admission::Wait(SECOND));
    assert_eq!(pipeline.occupancy(), Some((1, 1)));
    // A cancelled call returns its place and its token.
    third.cancel(&pipeline, now);
    assert_eq!(fourth.admit(&pipeline, now), Admission::Wait(SECOND));
    go(&mut fourth, &pipeline, now + SECOND);
}

#[test]
fn a_wait_for_a_token_that_grows_beyond_the_deadline_ends_and_gives_back_the_place() {
    let start = Instant::now();
    let bulkhead = BulkheadConfig {
        max_concurrent: 2,
        max_queue: 10,
    };
    let pipeline = Pipeline::new(PipelineConfig {
        bulkhead: Some(bulkhead),
        ..ONE_EACH_SECOND
    });
    let mut first = begin(&pipeline, start);
    go(&mut first, &pipeline, start);
    first.record(&pipeline, AttemptOutcome::Success, start);
    let mut late = begin(&pipeline, start);
    assert_eq!(late.admit(&pipeline, start), Admission::Wait(SECOND));
    let deadline = Deadline::after(start, Limit::At(SECOND * 5 / 2));
    let mut hurried = pipeline.begin(deadline, start);
    assert_eq!(hurried.admit(&pipeline, start), Admission::Wait(SECOND * 2));
    // The call before uses its token late, which delays the next one.
    go(&mut late, &pipeline, start + SECOND * 9 / 5);
    let retry_after = SECOND * 4 / 5;
    let refused = Admission::Refuse(Refusal::RateLimited { retry_after });
    assert_eq!(hurried.admit(&pipeline, start + SECOND * 2), refused);
    assert_eq!(pipeline.occupancy(), Some((1, 0)));
}

#[test]
fn a_breaker_that_opens_meanwhile_ends_the_wait_for_a_token() {
    let now = Instant::now();
    let trip = Trip::Consecutive { failures: 1 };
    let config = BreakerConfig { trip, ..BREAKER };
    let breaker = Arc::new(SharedBreaker::new("test", config));
    let pipeline =
        Pipeline::new(ONE_EACH_SECOND).with_breaker(BreakerScope::Attempts, Arc::clone(&breaker));
    let mut first = begin(&pipeline, now);
    go(&mut first, &pipeline, now);
    first.record(&pipeline, AttemptOutcome::Success, now);
    let mut second = begin(&pipeline, now);
    assert_eq!(second.admit(&pipeline, now), Admission::Wait(SECOND));
    breaker.with(|breaker| breaker.open(now));
    let refused = second.admit(&pipeline, now + SECOND);
    assert!(matches!(
        refused,
        Admission::Refuse(Refusal::CircuitOpen { .. })
    ));
    assert_eq!(pipeline.occupancy(), Some((0, 0)));
    breaker.with(|breaker| breaker.close(now));
    go(&mut begin(&pipeline, now), &pipeline, now + SECOND);
}
