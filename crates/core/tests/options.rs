//! What the options reader refuses, and how it says so.

use std::time::Duration;

use moorline_core::{
    limit::Limit,
    options::{OptionErrorClass, Options, Plain, nearest},
};

fn map(entries: &[(&str, Plain)]) -> Plain {
    Plain::Map(
        entries
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect(),
    )
}

#[test]
fn a_bad_value_is_refused_with_its_path_and_reason() {
    let given = map(&[("poolSize", Plain::Number(0.0))]);
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
    let given = map(&[("timeoutMs", Plain::Number(f64::NAN))]);
    let options = Options::new("options", &given).unwrap();
    assert!(options.ms("timeoutMs", Duration::ZERO, 0.0).is_err());
}

#[test]
fn unknown_keys_are_refused_naming_the_nearest() {
    let given = map(&[("poolsize", Plain::Number(3.0))]);
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
    ] {
        assert_eq!(nearest(given, known), meant, "{given}");
    }
}

#[test]
fn undefined_means_absent_and_infinity_turns_a_limit_off() {
    let given = map(&[("a", Plain::Undefined), ("b", Plain::Number(f64::INFINITY))]);
    let options = Options::new("options", &given).unwrap();
    let second = Limit::At(Duration::from_secs(1));
    assert_eq!(options.ms_limit("a", second, 0.0).unwrap(), second);
    assert_eq!(options.ms_limit("b", second, 0.0).unwrap(), Limit::Off);
    options.finish().unwrap();
}
