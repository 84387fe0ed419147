//! Calls by number: the decisions for each, the reuse of numbers, and the return of permits.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use moorline_core::{
    error::{Delivery, Kind},
    limit::Limit,
    metrics::{Registry, TextExposition},
    resilience::{
        breaker::{BreakerConfig, CircuitState, Trip},
        bulkhead::BulkheadConfig,
        call_table::{CallTable, NotAdmitted},
        config::{ATTEMPT_TIMEOUT, BREAKER, PolicyConfig, RETRY},
        outcome::{AttemptFailure, AttemptOutcome},
        pipeline::{BreakerScope, PipelineConfig},
        retry::{Backoff, Jitter, RetryPolicy},
    },
};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const FAILED: AttemptOutcome = AttemptOutcome::Failure(AttemptFailure::counted(true));

/// Two places, two waiters, a retry every second, and a breaker that never opens by itself.
const CONFIG: PolicyConfig = PolicyConfig {
    pipeline: PipelineConfig {
        timeout: Limit::Off,
        attempt_timeout: ATTEMPT_TIMEOUT,
        retry: Some(RetryPolicy {
            max_retries: 2,
            base_delay: SECOND,
            backoff: Backoff::Fixed,
            jitter: Jitter::Symmetric(0.0),
            ..RETRY
        }),
        limiter: None,
        bulkhead: Some(BulkheadConfig {
            max_concurrent: 2,
            max_queue: 2,
        }),
    },
    budget: None,
    breaker: Some((
        BreakerScope::Attempts,
        BreakerConfig {
            trip: Trip::Consecutive { failures: u32::MAX },
            ..BREAKER
        },
    )),
};

fn table() -> CallTable {
    CallTable::with_own_breaker("table", &CONFIG)
}

fn begin(table: &CallTable, now: Instant) -> Result<u32, NotAdmitted> {
    table.admit(None, Limit::Off, now)
}

fn resume(table: &CallTable, id: u32, now: Instant) -> Result<u32, NotAdmitted> {
    table.admit(Some(id), Limit::Off, now)
}

#[test]
fn a_call_keeps_its_number_from_attempt_to_attempt_and_leaves_it_to_the_next() {
    let (table, now) = (table(), Instant::now());
    let id = begin(&table, now).unwrap();
    assert_eq!(table.record(id, FAILED, now), Some(SECOND));
    let early = NotAdmitted::Wait { id, pause: SECOND };
    assert_eq!(resume(&table, id, now), Err(early));
    assert_eq!(resume(&table, id, now + SECOND), Ok(id));
    assert_eq!(
        table.record(id, AttemptOutcome::Success, now + SECOND),
        None
    );
    assert_eq!(resume(&table, id, now), Err(NotAdmitted::Unknown));
    assert_eq!(begin(&table, now), Ok(id));
}

#[test]
fn a_queued_call_is_named_when_its_turn_comes() {
    let (table, now) = (table(), Instant::now());
    let (first, _second) = (begin(&table, now).unwrap(), begin(&table, now).unwrap());
    let Err(NotAdmitted::Queue { id, max_wait: None }) = begin(&table, now) else {
        unreachable!("there are two places");
    };
    assert_eq!(table.next_turn(), None);
    table.record(first, AttemptOutcome::Success, now);
    assert_eq!(table.next_turn(), Some(id));
    assert_eq!(table.next_turn(), None);
    assert_eq!(resume(&table, id, now), Ok(id));
}

#[test]
fn a_refusal_is_a_failure_of_the_policy_and_ends_the_call() {
    let (table, now) = (table(), Instant::now());
    let admitted: Vec<_> = (0..4).map(|_| begin(&table, now)).collect();
    let Err(NotAdmitted::Refused(failure)) = begin(&table, now) else {
        unreachable!("two run and two wait");
    };
    assert_eq!(failure.kind, Kind::Overloaded);
    assert_eq!(failure.delivery, Delivery::None);
    assert_eq!(failure.service, "resilience");
    assert_eq!(failure.operation, table.name());
    assert_eq!(
        resume(&table, admitted.len() as u32, now),
        Err(NotAdmitted::Unknown)
    );
}

#[test]
fn an_attempt_that_timed_out_may_be_repeated_and_names_the_option_that_bounded_it() {
    let table = table();
    let allowed = ATTEMPT_TIMEOUT.get().unwrap();
    let failure = table.time_out(allowed, None);
    let message = format!(
        "the attempt did not finish within {} ms (attemptTimeoutMs)",
        allowed.as_millis()
    );
    assert_eq!(failure.message, message);
    assert_eq!((failure.kind, failure.retryable), (Kind::Timeout, true));
    assert_eq!(failure.detail["limit"], "attemptTimeoutMs");
    let own = table.time_out(Duration::from_micros(20_300), Some("connectTimeout"));
    let message = "the attempt did not finish within 20.3 ms (connectTimeout)";
    assert_eq!(own.message, message);
}

#[test]
fn a_call_has_its_own_deadline_and_an_attempt_what_is_left_of_it() {
    let (table, now) = (table(), Instant::now());
    let id = table.admit(None, Limit::At(SECOND), now).unwrap();
    assert_eq!(table.attempt_time_left(id, now), Some(SECOND));
    assert_eq!(
        table.attempt_time_left(id, now + 2 * SECOND),
        Some(Duration::ZERO)
    );
    table.cancel(id, now);
    assert_eq!(table.attempt_time_left(id, now), None);
    assert_eq!(table.attempt_limit(), ATTEMPT_TIMEOUT.get());
}

#[test]
fn a_table_of_the_breaker_alone_has_neither_retries_nor_a_queue() {
    let (table, now) = (table(), Instant::now());
    let breaker = table.breaker().unwrap();
    let alone = table.breaker_only().unwrap();
    breaker.with(|breaker| breaker.open(now));
    assert!(matches!(begin(&alone, now), Err(NotAdmitted::Refused(_))));
    assert_eq!((alone.name(), alone.occupancy()), (table.name(), None));
    breaker.with(|breaker| breaker.reset(now));
    let id = begin(&alone, now).unwrap();
    assert_eq!(alone.record(id, FAILED, now), None);
}

#[test]
fn tables_of_one_name_share_a_breaker_and_report_a_different_config() {
    let first = CallTable::new("call-table", &CONFIG);
    let second = CallTable::new("call-table", &CONFIG);
    assert!(std::sync::Arc::ptr_eq(
        first.breaker().unwrap(),
        second.breaker().unwrap()
    ));
    assert!(!second.config_differs());
    let other = PolicyConfig::breaker_only(BreakerScope::Calls, BREAKER);
    assert!(CallTable::new("call-table", &other).config_differs());
    let unnamed = [(); 2].map(|()| CallTable::new("", &CONFIG));
    assert_ne!(unnamed[0].name(), unnamed[1].name());
}

#[test]
fn a_table_with_metrics_counts_its_calls() {
    let (registry, now) = (Registry::new(), Instant::now());
    let table = table().with_metrics(&registry, "");
    let id = begin(&table, now).unwrap();
    table.record(id, FAILED, now);
    table.cancel(id, now);
    let mut exposition = TextExposition::new();
    registry.write(&mut exposition);
    let text = exposition.into_text();
    for line in [
        "moorline_policy_attempts_total{policy=\"policy\"} 1\n",
        "moorline_policy_retries_total{policy=\"policy\"} 1\n",
        "moorline_policy_calls_total{policy=\"policy\",outcome=\"cancelled\"} 1\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Resume(usize),
    Succeed(usize),
    Fail(usize),
    Cancel(usize),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Begin),
        any::<usize>().prop_map(Step::Resume),
        any::<usize>().prop_map(Step::Succeed),
        any::<usize>().prop_map(Step::Fail),
        any::<usize>().prop_map(Step::Cancel),
        (0_u64..2_000).prop_map(Step::Advance),
    ]
}

proptest! {
    /// No two living calls have one number, no number is invented, and in the end every place and permit is back.
    #[test]
    fn numbers_are_those_of_living_calls(steps in proptest::collection::vec(step(), 0..200)) {
        let table = table();
        let mut now = Instant::now();
        let (mut living, mut running) = (Vec::<u32>::new(), HashSet::<u32>::new());
        let pick = |from: &[u32], n: usize| (!from.is_empty()).then(|| from[n % from.len()]);
        for step in steps {
            let asked = match step {
                Step::Begin => Some(None),
                Step::Resume(n) => pick(&living, n).filter(|id| !running.contains(id)).map(Some),
                _ => None,
            };
            if let Some(asked) = asked {
                match table.admit(asked, Limit::Off, now) {
                    Ok(id) => {
                        prop_assert!(asked.is_none_or(|asked| asked == id));
                        prop_assert!(running.insert(id));
                        if asked.is_none() {
                            prop_assert!(!living.contains(&id));
                            living.push(id);
                        }
                    }
                    Err(NotAdmitted::Wait { id, .. } | NotAdmitted::Queue { id, .. }) => {
                        prop_assert!(asked.is_none_or(|asked| asked == id));
                        if asked.is_none() {
                            prop_assert!(!living.contains(&id));
                            living.push(id);
                        }
                    }
                    Err(NotAdmitted::Refused(_)) => living.retain(|id| asked != Some(*id)),
                    Err(NotAdmitted::Unknown) => prop_assert!(false, "{asked:?} is a living call"),
                }
            }
            let over = match step {
                Step::Succeed(n) | Step::Fail(n) => pick(&living, n).filter(|id| {
                    let outcome = if matches!(step, Step::Fail(_)) { FAILED } else { AttemptOutcome::Success };
                    running.remove(id) && table.record(*id, outcome, now).is_none()
                }),
                Step::Cancel(n) => pick(&living, n).inspect(|id| table.cancel(*id, now)),
                _ => None,
            };
            if let Some(over) = over {
                living.retain(|id| *id != over);
                running.remove(&over);
            }
            if let Step::Advance(ms) = step {
                now += Duration::from_millis(ms);
            }
            while let Some(turn) = table.next_turn() {
                prop_assert!(!running.contains(&turn));
            }
            prop_assert_eq!(table.occupancy().map(|(placed, _)| placed as usize >= running.len()), Some(true));
        }
        table.cancel_all_uncounted(now);
        prop_assert_eq!(table.occupancy(), Some((0, 0)));
        // No permit is out: a half-open breaker admits as many probes as it may.
        let breaker = table.breaker().unwrap();
        breaker.with(|breaker| breaker.half_open(now));
        for _ in 0..BREAKER.half_open_max_calls {
            prop_assert!(breaker.admit(now).is_ok());
        }
        prop_assert_eq!(breaker.snapshot().state, CircuitState::HalfOpen);
    }
}
