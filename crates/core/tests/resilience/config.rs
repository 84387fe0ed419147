//! Resilience options as users write them.

use std::time::Duration;

use moorline_core::{
    limit::Limit,
    options::{Options, PlainValue, Read},
    resilience::{
        breaker::Trip,
        config::{ATTEMPT_TIMEOUT, BUDGET, JITTER, PolicyConfig, RATIO, RETRY, TIMEOUT},
        limiter::Rate,
        pipeline::BreakerScope,
        retry::Jitter,
    },
};

fn map(entries: &[(&str, PlainValue)]) -> PlainValue {
    let own = |(key, value): &(&str, PlainValue)| ((*key).to_owned(), value.clone());
    PlainValue::Map(entries.iter().map(own).collect())
}

fn read(given: &PlainValue) -> Read<PolicyConfig> {
    let options = Options::new("options", given)?;
    let read = PolicyConfig::read(&options)?;
    options.finish()?;
    Ok(read)
}

fn message(given: &PlainValue) -> String {
    match read(given) {
        Err(error) => error.message,
        Ok(policy) => unreachable!("expected a refusal, got {policy:?}"),
    }
}

#[test]
fn only_the_timeouts_apply_unasked() {
    let policy = read(&PlainValue::Undefined).unwrap();
    assert_eq!(policy.pipeline.timeout, TIMEOUT);
    assert_eq!(policy.pipeline.attempt_timeout, ATTEMPT_TIMEOUT);
    assert_eq!(policy.pipeline.retry, None);
    assert_eq!((policy.breaker, policy.budget), (None, None));
    assert_eq!(
        (policy.pipeline.limiter, policy.pipeline.bulkhead),
        (None, None)
    );
}

#[test]
fn true_is_the_defaults_and_false_is_off() {
    let given = map(&[
        ("retry", PlainValue::Bool(true)),
        ("breaker", PlainValue::Bool(true)),
        ("bulkhead", PlainValue::Bool(false)),
    ]);
    let policy = read(&given).unwrap();
    assert_eq!(policy.pipeline.retry, Some(RETRY));
    assert_eq!(policy.budget, Some(BUDGET));
    let (scope, breaker) = policy.breaker.unwrap();
    assert_eq!(scope, BreakerScope::Attempts);
    assert_eq!(breaker.trip, Trip::Consecutive { failures: 5 });
    assert_eq!(Limit::At(breaker.probe_timeout), ATTEMPT_TIMEOUT);
    assert_eq!(policy.pipeline.bulkhead, None);
}

#[test]
fn a_probe_may_take_as_long_as_what_it_stands_for() {
    let breaker = map(&[("counts", PlainValue::Text("calls".into()))]);
    let given = map(&[
        ("timeoutMs", PlainValue::Number(90_000.0)),
        ("breaker", breaker),
    ]);
    let (scope, breaker) = read(&given).unwrap().breaker.unwrap();
    assert_eq!(scope, BreakerScope::Calls);
    assert_eq!(breaker.probe_timeout, Duration::from_secs(90));
}

#[test]
fn a_ratio_option_selects_the_ratio_mode_and_excludes_the_other() {
    let ratio = ("failureRatio", PlainValue::Number(0.25));
    let policy = read(&map(&[("breaker", map(std::slice::from_ref(&ratio)))])).unwrap();
    let (_, min_calls, window) = RATIO;
    let trip = Trip::Ratio {
        ratio: 0.25,
        min_calls,
        window,
    };
    assert_eq!(policy.breaker.unwrap().1.trip, trip);
    let both = map(&[(
        "breaker",
        map(&[ratio, ("failMax", PlainValue::Number(3.0))]),
    )]);
    assert!(message(&both).starts_with("options.breaker.failureRatio cannot be combined"));
}

#[test]
fn the_open_time_is_constant_unless_a_maximum_is_given() {
    let reset = ("resetTimeoutMs", PlainValue::Number(100.0));
    let constant = read(&map(&[("breaker", map(std::slice::from_ref(&reset)))])).unwrap();
    let breaker = constant.breaker.unwrap().1;
    assert_eq!(breaker.max_reset_timeout, breaker.reset_timeout);
    let less = map(&[(
        "breaker",
        map(&[reset, ("maxResetTimeoutMs", PlainValue::Number(50.0))]),
    )]);
    assert!(message(&less).starts_with("options.breaker.maxResetTimeoutMs must not be less"));
}

#[test]
fn a_rate_is_given_in_one_of_two_forms() {
    let window = map(&[
        ("max", PlainValue::Number(100.0)),
        ("windowMs", PlainValue::Number(60_000.0)),
    ]);
    let policy = read(&map(&[("rateLimit", window)])).unwrap();
    let rate = |rate_limit| {
        let policy = read(&map(&[("rateLimit", rate_limit)])).unwrap();
        policy.pipeline.limiter.unwrap().rate
    };
    let (max, minute) = (100, Duration::from_mins(1));
    assert_eq!(
        policy.pipeline.limiter.unwrap().rate,
        Rate::Window {
            max,
            window: minute
        }
    );
    let bucket = map(&[
        ("perSecond", PlainValue::Number(4.0)),
        ("burst", PlainValue::Number(8.0)),
    ]);
    let interval = Duration::from_millis(250);
    assert_eq!(rate(bucket), Rate::Bucket { interval, burst: 8 });
    let fraction = map(&[("perSecond", PlainValue::Number(2.5))]);
    let window = Duration::from_millis(400);
    assert_eq!(rate(fraction), Rate::Window { max: 1, window });
    let neither = map(&[("rateLimit", PlainValue::Bool(true))]);
    assert!(message(&neither).starts_with("options.rateLimit.perSecond or max"));
    let mixed = map(&[
        ("perSecond", PlainValue::Number(1.0)),
        ("windowMs", PlainValue::Number(1.0)),
    ]);
    assert!(message(&map(&[("rateLimit", mixed)])).starts_with("options.rateLimit.windowMs"));
}

#[test]
fn jitter_is_a_switch_a_fraction_or_full() {
    let jitter = |value| read(&map(&[("retry", map(&[("jitter", value)]))]));
    let of = |value| jitter(value).unwrap().pipeline.retry.unwrap().jitter;
    assert_eq!(of(PlainValue::Bool(true)), Jitter::Symmetric(JITTER));
    assert_eq!(of(PlainValue::Number(0.5)), Jitter::Symmetric(0.5));
    assert_eq!(of(PlainValue::Text("full".into())), Jitter::Full);
    for bad in [
        PlainValue::Number(1.5),
        PlainValue::Number(f64::NAN),
        PlainValue::Text("some".into()),
    ] {
        assert!(jitter(bad).is_err());
    }
}

#[test]
fn unknown_keys_are_refused_at_every_level() {
    let slip = map(&[("retry", map(&[("maxRetrys", PlainValue::Number(1.0))]))]);
    let expected = "options.retry.maxRetrys is not a known option; did you mean 'maxRetries'?";
    assert_eq!(message(&slip), expected);
}
