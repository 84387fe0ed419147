//! Retries, the breaker, time, health and the local model.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use moorline_core::{
    error::{Delivery, Kind},
    options::PlainValue,
    resilience::breaker::CircuitState,
};
use serde_json::{Value as Json, json};

use crate::{
    client::{client, failed, forecast, limits, number, request, run, service, text},
    test_server::{Reply, TestServer},
};

#[tokio::test]
async fn a_transient_failure_and_a_truncated_response_are_retried() {
    let server = TestServer::start(|asked, before| match before {
        0 => Reply::status(503, "<html>busy</html>"),
        1 | 3 => service(asked),
        _ => Reply::CutOff,
    })
    .await;
    let client = client(&server.url, &[]);
    let answer = run(&client, forecast()).await.unwrap();
    assert_eq!(answer["modelInfo"]["requests"], 4);
    assert_eq!(client.breaker_state().failures, 0);
}

#[tokio::test]
async fn the_breaker_counts_calls_and_not_attempts() {
    let server = TestServer::start(|_, _| Reply::status(500, "")).await;
    let client = client(&server.url, &[("circuitBreakerResetMs", number(60_000.0))]);
    for calls in 1..=5 {
        let failure = failed(run(&client, forecast()).await);
        assert_eq!(
            failure.message,
            "Nixtla request failed after 4 attempts: Nixtla API error: 500 Internal Server Error"
        );
        assert_eq!(
            (failure.attempts, failure.delivery),
            (4, Delivery::Answered)
        );
        let opened = client.breaker_state().state == CircuitState::Open;
        assert_eq!(opened, calls == 5);
    }
    let failure = failed(run(&client, forecast()).await);
    assert_eq!(failure.kind, Kind::CircuitOpen);
    assert!(
        failure
            .message
            .starts_with("Circuit breaker is open. Next attempt at 2"),
        "{failure}"
    );
    assert_eq!(server.requests().len(), 20);
    assert!(client.breaker_state().next_attempt_ms.is_some());
    client.reset_breaker();
    let state = client.breaker_state();
    assert_eq!(
        (state.state, state.failures, state.last_failure_ms),
        (CircuitState::Closed, 0, None)
    );
}

#[tokio::test]
async fn a_wrong_request_is_neither_retried_nor_counted() {
    for (status, body, kind) in [
        (
            401,
            r#"{"message":"Invalid API key","code":"A12"}"#,
            Kind::Auth,
        ),
        (422, "{}", Kind::Rejected),
        (
            429,
            r#"{"message":"Too many requests","code":"A20"}"#,
            Kind::RateLimited,
        ),
    ] {
        let server = TestServer::start(move |_, _| Reply::status(status, body)).await;
        let client = client(&server.url, &[("fallback", text("local"))]);
        let failure = failed(run(&client, forecast()).await);
        assert_eq!((failure.kind, failure.retryable), (kind, false));
        assert!(
            failure.message.starts_with("Nixtla API error: "),
            "{failure}"
        );
        assert_eq!(server.requests().len(), 1, "{status}");
        assert_eq!(client.breaker_state().failures, 0);
    }
}

#[tokio::test]
async fn a_retry_waits_as_long_as_the_service_asks() {
    let server = TestServer::start(|asked, before| match before {
        0 => Reply::Answer(
            429,
            vec![("retry-after-ms", "80".to_owned())],
            String::new(),
        ),
        _ => service(asked),
    })
    .await;
    let started = Instant::now();
    run(&client(&server.url, &[]), forecast()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_retry_after_beyond_a_minute_fails_at_once() {
    let server = TestServer::start(|_, _| {
        Reply::Answer(429, vec![("retry-after", "3600".to_owned())], String::new())
    })
    .await;
    let failure = failed(run(&client(&server.url, &[]), forecast()).await);
    assert_eq!(failure.retry_after, Some(Duration::from_hours(1)));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_attempt_without_an_answer_times_out() {
    let server = TestServer::start(|_, _| Reply::Silence).await;
    // Each request has to arrive before, also on a machine that is busy.
    let more = [("timeout", number(1000.0)), ("maxRetries", number(1.0))];
    let failure = failed(run(&client(&server.url, &more), forecast()).await);
    assert_eq!(
        failure.message,
        "Nixtla request failed after 2 attempts: Request timeout after 1000ms (timeout)"
    );
    assert_eq!((failure.kind, &*failure.code), (Kind::Timeout, "ETIMEDOUT"));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn an_abort_ends_a_call_in_its_wait_for_a_retry() {
    let server = TestServer::start(|_, _| Reply::status(503, "")).await;
    let client = client(&server.url, &[("baseDelayMs", number(60_000.0))]);
    let limits = limits();
    let cancel = limits.cancel.clone();
    let started = Instant::now();
    let (outcome, ()) = tokio::join!(client.run(forecast(), limits), async {
        while server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    });
    assert_eq!(outcome.unwrap_err().kind, Kind::Closed);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(client.breaker_state().failures, 0);
}

#[tokio::test]
async fn a_health_check_is_one_request_past_the_breaker() {
    let server = TestServer::start(|asked, _| match asked.path.as_str() {
        "/validate_api_key" if asked.header("authorization") == Some("Bearer key") => {
            Reply::json(&json!({ "detail": "ok" }))
        }
        "/validate_api_key" => Reply::status(401, r#"{"code":"A12"}"#),
        _ => Reply::status(500, ""),
    })
    .await;
    let good = client(&server.url, &[("circuitBreakerThreshold", number(1.0))]);
    failed(run(&good, forecast()).await);
    assert_eq!(good.breaker_state().state, CircuitState::Open);
    assert!(good.health_check().await);
    assert!(
        !client(&server.url, &[("apiKey", text("wrong"))])
            .health_check()
            .await
    );
    assert_eq!(server.count("/validate_api_key"), 2);
    let unreachable = client("http://127.0.0.1:9", &[]);
    assert!(!unreachable.health_check().await);
    assert_eq!(unreachable.breaker_state().failures, 0);
}

#[tokio::test]
async fn a_local_model_answers_without_a_key_when_down_and_when_open() {
    let server = TestServer::start(|_, _| Reply::status(500, "")).await;
    let local = ("fallback", text("local"));
    let values: Vec<f64> = (0..40).map(|k| 10.0 + f64::from(k % 7)).collect();
    let forecast = request("forecast", &values, &[("horizon", number(7.0))]);
    let reason = |answer: &Json| {
        assert_eq!(answer["modelInfo"]["source"], "local");
        assert_eq!(answer["predictions"].as_array().unwrap().len(), 7);
        answer["modelInfo"]["fallbackReason"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let keyless = client(
        &server.url,
        &[("apiKey", PlainValue::Undefined), local.clone()],
    );
    assert_eq!(
        reason(&run(&keyless, Arc::clone(&forecast)).await.unwrap()),
        "auth"
    );
    assert!(server.requests().is_empty());
    let once = ("circuitBreakerThreshold", number(1.0));
    let down = client(&server.url, &[local, once]);
    assert_eq!(
        reason(&run(&down, Arc::clone(&forecast)).await.unwrap()),
        "rejected"
    );
    assert_eq!(reason(&run(&down, forecast).await.unwrap()), "circuit-open");
    assert_eq!(down.stats().local_answers, 2);
}

#[tokio::test]
async fn without_a_key_nothing_is_sent() {
    let server = TestServer::start(|_, _| Reply::status(200, "{}")).await;
    let client = client(&server.url, &[("apiKey", PlainValue::Undefined)]);
    let failure = failed(run(&client, forecast()).await);
    assert_eq!(
        (failure.kind, failure.delivery),
        (Kind::Auth, Delivery::None)
    );
    assert!(!client.health_check().await);
    assert!(server.requests().is_empty());
}
