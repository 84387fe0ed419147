//! Rules shared by connections of every protocol: figures, retries, environment options.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::time::{Duration, Instant};

use moorline_core::{
    connection::{
        config::ConnectionConfig,
        retry,
        tracker::{CompletedRequest, Tracker},
    },
    limit::Limit,
    options::PlainValue,
};

fn map(entries: &[(&str, PlainValue)]) -> PlainValue {
    let owned = |(key, value): &(&str, PlainValue)| ((*key).to_owned(), value.clone());
    PlainValue::Map(entries.iter().map(owned).collect())
}

fn numbers(entries: &[(&str, f64)]) -> PlainValue {
    let number = |(key, value): &(&str, f64)| ((*key).to_owned(), PlainValue::Number(*value));
    PlainValue::Map(entries.iter().map(number).collect())
}

fn texts(entries: &[(&str, &str)]) -> PlainValue {
    let text =
        |(key, value): &(&str, &str)| ((*key).to_owned(), PlainValue::Text((*value).to_owned()));
    PlainValue::Map(entries.iter().map(text).collect())
}

/// The waits of a strategy, in seconds.
fn waits(kind: &str, given: &[(&str, f64)]) -> Vec<f64> {
    let policy = retry::read_policy(kind, &numbers(given)).unwrap();
    let retry = policy.pipeline.retry.unwrap();
    let mut rng = fastrand::Rng::with_seed(7);
    (1..=retry.max_retries)
        .map(|number| retry.delay(number, &mut rng).as_secs_f64())
        .collect()
}

#[test]
fn n_attempts_have_one_wait_less() {
    let exponential = [
        ("maxAttempts", 5.0),
        ("baseDelay", 1.0),
        ("multiplier", 2.0),
    ];
    assert_eq!(waits("exponential", &exponential), [1.0, 2.0, 4.0, 8.0]);
    let linear = [("maxAttempts", 3.0), ("baseDelay", 1.0), ("increment", 2.0)];
    assert_eq!(waits("linear", &linear), [1.0, 3.0]);
    assert_eq!(waits("exponential", &[]), [1.0, 2.0]);
    assert_eq!(waits("linear", &[]), [1.0, 2.0]);
    assert!(waits("exponential", &[("maxAttempts", 1.0)]).is_empty());
}

#[test]
fn jitter_spreads_a_wait_up_and_down() {
    let given = [
        ("maxAttempts", 1001.0),
        ("baseDelay", 1.0),
        ("jitterFactor", 0.5),
    ];
    let policy = retry::read_policy("jitter", &numbers(&given)).unwrap();
    let retry = policy.pipeline.retry.unwrap();
    let mut rng = fastrand::Rng::with_seed(7);
    let waits: Vec<_> = (0..1000)
        .map(|_| retry.delay(3, &mut rng).as_secs_f64() / 4.0)
        .collect();
    assert!(waits.iter().all(|factor| (0.5..=1.5).contains(factor)));
    assert!(waits.iter().any(|factor| *factor < 0.6));
    assert!(waits.iter().any(|factor| *factor > 1.4));
}

#[test]
fn a_wait_grows_no_longer_than_a_timer_can_wait() {
    let given = [("maxAttempts", 40.0), ("multiplier", 1000.0)];
    let longest = f64::from(i32::MAX) / 1000.0;
    let waits = waits("exponential", &given);
    assert!(waits.iter().all(|wait| *wait <= longest));
    assert_eq!(waits.last(), Some(&longest));
}

fn completed_request(bytes: u64) -> CompletedRequest<'static> {
    CompletedRequest {
        took_ms: 5.0,
        attempt_ms: Some(5.0),
        ok: true,
        error_type: None,
        status: None,
        bytes: Some(bytes),
    }
}

#[test]
fn attempts_are_timed_by_themselves_and_with_their_request() {
    let now = Instant::now();
    let mut tracker = Tracker::new(10, now);
    tracker.attempt(20.0, Some(503));
    tracker.attempt(30.0, None);
    let request = CompletedRequest {
        took_ms: 200.0,
        attempt_ms: Some(10.0),
        ..completed_request(0)
    };
    tracker.record(&request, now);
    let figures = tracker.figures(now);
    assert_eq!(
        (figures.requests, figures.attempts, figures.errors),
        (1, 3, 0)
    );
    assert!((figures.average_response_ms - 20.0).abs() < 1e-9);
    assert!((figures.average_request_ms - 200.0).abs() < 1e-9);
    assert!((figures.latency_ms - 10.0).abs() < 1e-9);
}

#[test]
fn received_messages_count_towards_the_bandwidth() {
    let now = Instant::now();
    let mut tracker = Tracker::new(10, now);
    tracker.record(&completed_request(60), now);
    tracker.receive(3, 540, now);
    let figures = tracker.figures(now);
    assert_eq!(figures.requests, 1, "a message is no request");
    assert!((figures.bandwidth - 10.0).abs() < 1e-9);
}

#[test]
fn throughput_is_of_the_span_that_is_asked_for() {
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let mut tracker = Tracker::new(10, start);
    for ms in (0..120_000).step_by(500) {
        tracker.record(&completed_request(100), at(ms));
    }
    let now = at(119_999);
    let figures = tracker.figures(now);
    assert_eq!(figures.requests, 240);
    assert!((figures.throughput - 2.0).abs() < 1e-9);
    assert!((figures.bandwidth - 200.0).abs() < 1e-9);
    assert!((tracker.throughput(Some(10.0), now).unwrap() - 2.0).abs() < 1e-9);
    let idle = at(119_999) + Duration::from_secs(30);
    assert!((tracker.throughput(Some(60.0), idle).unwrap() - 1.0).abs() < 1e-9);
    let long_after = at(119_999) + Duration::from_secs(10_000);
    assert!(tracker.figures(long_after).throughput.abs() < 1e-9);
    tracker.record(&completed_request(0), long_after);
    assert!((tracker.throughput(Some(1.0), long_after).unwrap() - 1.0).abs() < 1e-9);
}

#[test]
fn a_protocols_own_variable_comes_before_that_of_all_connections() {
    let variables = texts(&[
        ("VITE_CONNECTION_TIMEOUT", "1"),
        ("VITE_HTTP_TIMEOUT", "2"),
        ("VITE_SSE_TIMEOUT", ""),
    ]);
    let timeout = |given: &PlainValue, kind| {
        let read = ConnectionConfig::read(given, &variables, kind).unwrap();
        read.timeout
    };
    let ms = |ms| Limit::At(Duration::from_millis(ms));
    assert_eq!(timeout(&PlainValue::Undefined, Some("http")), ms(2));
    assert_eq!(timeout(&PlainValue::Undefined, Some("sse")), ms(1));
    assert_eq!(timeout(&PlainValue::Undefined, Some("backend")), ms(1));
    assert_eq!(timeout(&PlainValue::Undefined, None), ms(1));
    let given = map(&[("timeout", PlainValue::Number(f64::INFINITY))]);
    assert_eq!(timeout(&given, Some("http")), Limit::Off);
}

#[test]
fn no_message_shows_what_may_be_a_secret() {
    let url = map(&[("url", PlainValue::Text("ftp://me:hunter2@host".to_owned()))]);
    let header = texts(&[("Authorization", "Bearer hunter2\n")]);
    let headers = map(&[("customHeaders", header)]);
    for given in [url, headers] {
        let error =
            ConnectionConfig::read(&given, &PlainValue::Undefined, Some("http")).unwrap_err();
        assert!(!error.message.contains("hunter2"), "{error}");
    }
}
