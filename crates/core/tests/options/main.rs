//! Refusals of the options reader, and their messages.

use std::time::{Duration, Instant};

use moorline_core::{
    limit::Limit,
    options::{OptionErrorClass, Options, PlainValue, nearest},
};

fn map(entries: &[(&str, PlainValue)]) -> PlainValue {
    PlainValue::Map(
        entries
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect(),
    )
}

#[test]
fn a_bad_value_is_refused_with_its_path_and_reason() {
    let given = map(&[("poolSize", PlainValue::Number(0.0))]);
    let options = Options::new("options", &given).unwrap();
    let error = options.integer("poolSize", 5, 1..=1000).unwrap_err();
    assert_eq!(error.class, OptionErrorClass::Range);
    assert_eq!(
        error.message,
        "options.poolSize must be between 1 and 1000, got 0"
    );
}

#[test]
fn nan_is_in_no_range() {
    let given = map(&[("timeoutMs", PlainValue::Number(f64::NAN))]);
    let options = Options::new("options", &given).unwrap();
    assert!(options.ms("timeoutMs", Duration::ZERO, 0.0).is_err());
}

#[test]
fn any_finite_time_is_taken_and_what_is_refused_is_named_as_javascript_does() {
    let read = |ms: f64| {
        let given = map(&[("timeoutMs", PlainValue::Number(ms))]);
        let options = Options::new("options", &given).unwrap();
        options.ms("timeoutMs", Duration::ZERO, 1.0)
    };
    assert_eq!(read(30.0 * 864e5).unwrap(), Duration::from_hours(30 * 24));
    let longest = read(f64::MAX).unwrap();
    assert!(Instant::now().checked_add(2 * longest).is_some());
    let message = |ms| read(ms).unwrap_err().message;
    assert_eq!(
        message(f64::INFINITY),
        "options.timeoutMs must be ≥ 1 and finite, got Infinity"
    );
    assert_eq!(
        message(f64::NEG_INFINITY),
        "options.timeoutMs must be ≥ 1, got -Infinity"
    );
    assert_eq!(message(0.0), "options.timeoutMs must be ≥ 1, got 0");
    let given = map(&[("poolTimeout", PlainValue::Number(1e9))]);
    let options = Options::new("options", &given).unwrap();
    let seconds = options.seconds("poolTimeout", Duration::ZERO, 0.0).unwrap();
    assert_eq!(seconds, Duration::from_secs(1_000_000_000));
}

#[test]
fn both_ends_of_a_range_are_named_however_far_apart_they_are() {
    let given = map(&[("maxQueue", PlainValue::Number(5e9))]);
    let options = Options::new("options", &given).unwrap();
    let refused = options.integer("maxQueue", 1, 0..=u64::from(u32::MAX));
    assert_eq!(
        refused.unwrap_err().message,
        "options.maxQueue must be between 0 and 4294967295, got 5000000000"
    );
}

#[test]
fn unknown_keys_are_refused_naming_the_nearest() {
    let given = map(&[("poolsize", PlainValue::Number(3.0))]);
    let options = Options::new("options", &given).unwrap();
    options.integer("poolSize", 5, 1..=10).unwrap();
    let error = options.finish().unwrap_err();
    assert_eq!(
        error.message,
        "options.poolsize is not a known option; did you mean 'poolSize'?"
    );
}

#[test]
fn other_words_for_a_key_are_answered_with_ours() {
    for (given, known, meant) in [
        ("baseURL", &["url", "body"][..], Some("url")),
        ("BaseUrl", &["url"], Some("url")),
        ("json", &["body", "url"], Some("body")),
        ("params", &["query"], Some("query")),
        ("params", &["sql", "args"], Some("args")),
        ("retries", &["retryCount"], Some("retryCount")),
        ("headers", &["customHeaders"], Some("customHeaders")),
        ("headers", &["url"], None),
        ("elsewhere", &["url"], None),
        (
            "subprotocol",
            &["customOptions.protocols"],
            Some("customOptions.protocols"),
        ),
        (
            "lastEventID",
            &["url", "customOptions.lastEventId"],
            Some("customOptions.lastEventId"),
        ),
        (
            "connections",
            &["poolSize", "maxConnections"],
            Some("maxConnections"),
        ),
    ] {
        assert_eq!(nearest(given, known), meant, "{given}");
    }
}

#[test]
fn a_call_s_own_timeout_is_named_as_its_option() {
    let second = PlainValue::Number(1000.0);
    let off = PlainValue::Number(f64::INFINITY);
    assert_eq!(Options::call_timeout(&PlainValue::Undefined), Ok(None));
    assert_eq!(Options::call_timeout(&off), Ok(Some(Limit::Off)));
    let limit = Limit::At(Duration::from_secs(1));
    assert_eq!(Options::call_timeout(&second), Ok(Some(limit)));
    for wrong in [
        PlainValue::Number(-1.0),
        PlainValue::Number(f64::NAN),
        PlainValue::Null,
    ] {
        let error = Options::call_timeout(&wrong).unwrap_err();
        let path = "options.timeoutMs must be ";
        assert!(error.message.starts_with(path), "{error}");
    }
}

#[test]
fn undefined_means_absent_and_infinity_turns_a_limit_off() {
    let given = map(&[
        ("a", PlainValue::Undefined),
        ("b", PlainValue::Number(f64::INFINITY)),
    ]);
    let options = Options::new("options", &given).unwrap();
    let second = Limit::At(Duration::from_secs(1));
    assert_eq!(options.ms_limit("a", second, 0.0).unwrap(), second);
    assert_eq!(options.ms_limit("b", second, 0.0).unwrap(), Limit::Off);
    options.finish().unwrap();
}
