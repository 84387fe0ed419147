//! The Nixtla client against a server that speaks the service's wire format, and misbehaves on demand.

#![allow(clippy::unwrap_used)] // clippy spares the tests themselves, not what they call

mod double;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use double::{Asked, Double, Reply};
use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    limit::Limit,
    options::{Options, Plain},
    resilience::breaker::CircuitState,
};
use moorline_services::nixtla::{
    bounds::Bounds, config::NixtlaConfig, request::Request, service::Nixtla,
};
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

fn map(entries: &[(&str, Plain)]) -> Plain {
    let own = |(key, value): &(&str, Plain)| ((*key).to_owned(), value.clone());
    Plain::Map(entries.iter().map(own).collect())
}

fn text(value: &str) -> Plain {
    Plain::Text(value.to_owned())
}

fn number(value: f64) -> Plain {
    Plain::Number(value)
}

/// A client with a key and quick retries.
fn client(url: &str, more: &[(&str, Plain)]) -> Nixtla {
    let mut options = vec![("baseUrl", text(url)), ("baseDelayMs", number(1.0))];
    if !more.iter().any(|(key, _)| *key == "apiKey") {
        options.push(("apiKey", text("key")));
    }
    options.extend_from_slice(more);
    let options = map(&options);
    let options = Options::new("config", &options).unwrap();
    Nixtla::new(NixtlaConfig::from_options(options, |_| None).unwrap())
}

/// Daily points with these values.
fn request(operation: &str, values: &[f64], more: &[(&str, Plain)]) -> Arc<Request> {
    let day = 86_400_000.0;
    let points = values.iter().enumerate().map(|(k, value)| {
        map(&[
            ("timestamp", Plain::Date(k as f64 * day)),
            ("value", number(*value)),
        ])
    });
    let mut entries = vec![("timeseries", Plain::List(points.collect()))];
    entries.extend_from_slice(more);
    Arc::new(Request::read(operation, &map(&entries)).unwrap())
}

fn forecast() -> Arc<Request> {
    request("forecast", &[1.0, 2.0, 3.0], &[("horizon", number(2.0))])
}

fn bounds() -> Bounds {
    Bounds::unlimited(CancellationToken::new())
}

async fn run(client: &Nixtla, request: Arc<Request>) -> Outcome<Json> {
    let answer = client.run(request, bounds()).await?;
    Ok(serde_json::to_value(answer).unwrap())
}

fn failed(outcome: Outcome<Json>) -> Failure {
    outcome.unwrap_err()
}

/// Answers like the service: a window of 28 days, and the number of points of input as every mean.
fn service(asked: &Asked) -> Reply {
    if asked.path.starts_with("/model_params") {
        return Reply::json(&json!({ "detail": { "input_size": 28, "horizon": 7 } }));
    }
    let body = asked.json();
    let series = body["series"]["sizes"].as_array().unwrap();
    let count = series.len() * body["h"].as_u64().unwrap_or(1) as usize;
    let means = vec![body["series"]["y"].as_array().unwrap().len(); count];
    Reply::json(&json!({ "mean": means, "input_tokens": 3, "output_tokens": 2 }))
}

fn is_forecast(asked: &Asked) -> bool {
    asked.path == "/v2/forecast"
}

#[tokio::test]
async fn a_forecast_gets_times_values_intervals_and_its_account() {
    let double = Double::start(|asked, _| match asked.path.as_str() {
        "/v2/forecast" => {
            assert_eq!(asked.json()["level"], json!([80, 95]));
            let intervals =
                json!({ "lo-80": [3, 4], "hi-80": [5, 6], "lo-95.0": [2, 3], "hi-95.0": [6, 7] });
            // The envelope of older deployments.
            Reply::json(
                &json!({ "data": { "mean": [4, 5], "intervals": intervals, "input_tokens": 3 } }),
            )
        }
        _ => service(asked),
    })
    .await;
    let levels = Plain::List(vec![number(0.8), number(0.95)]);
    let more = [("horizon", number(2.0)), ("confidenceLevels", levels)];
    let client = client(&double.url, &[]);
    let answer = run(&client, request("forecast", &[1.0, 2.0, 3.0], &more))
        .await
        .unwrap();
    let point = |day: &str, value: f64| {
        json!({
            "timestamp": format!("1970-01-{day}T00:00:00.000Z"), "value": value, "intervals": {
                "0.8": { "lower": value - 1.0, "upper": value + 1.0 },
                "0.95": { "lower": value - 2.0, "upper": value + 2.0 },
            },
        })
    };
    let expected = json!({
        "predictions": [point("04", 4.0), point("05", 5.0)],
        "modelInfo": {
            "source": "service", "model": "timegpt-1", "frequency": "D", "requests": 2, "inputTokens": 3,
        },
    });
    assert_eq!(answer, expected);
    assert_eq!(client.stats().input_tokens, 3);
    let asked = double.asked().into_iter().find(is_forecast).unwrap();
    assert_eq!(asked.header("authorization"), Some("Bearer key"));
    assert_eq!(asked.header("nixtla-model"), Some("timegpt-1"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert!(asked.header("nixtla-client-version").is_some());
}

#[tokio::test]
async fn the_window_of_a_model_is_asked_for_once_and_only_that_much_is_sent() {
    let double = Double::start(|asked, _| service(asked)).await;
    let client = client(&double.url, &[]);
    let values: Vec<f64> = (0..100).map(f64::from).collect();
    let request = request("forecast", &values, &[("horizon", number(1.0))]);
    for _ in 0..3 {
        let answer = run(&client, Arc::clone(&request)).await.unwrap();
        assert_eq!(answer["predictions"][0]["value"], json!(28.0));
    }
    assert_eq!(double.count("/model_params"), 1);
    assert_eq!(client.stats().requests, 4);
}

#[tokio::test]
async fn a_large_request_is_compressed() {
    let double = Double::start(|asked, _| {
        assert_eq!(asked.header("content-encoding"), Some("zstd"));
        let json = zstd::stream::decode_all(&asked.body[..]).unwrap();
        let body: Json = serde_json::from_slice(&json).unwrap();
        Reply::json(&json!({ "mean": [body["series"]["y"].as_array().unwrap().len()] }))
    })
    .await;
    let client = client(&double.url, &[("restrictInput", Plain::Bool(false))]);
    let values: Vec<f64> = (0..150_000).map(|k| f64::from(k) + 0.25).collect();
    let request = request("forecast", &values, &[("horizon", number(1.0))]);
    let answer = run(&client, request).await.unwrap();
    assert_eq!(answer["predictions"][0]["value"], json!(150_000.0));
}

#[tokio::test]
async fn what_passes_is_retried_and_a_cut_answer_too() {
    let double = Double::start(|asked, before| match before {
        0 => Reply::status(503, "<html>busy</html>"),
        1 | 3 => service(asked),
        _ => Reply::CutOff,
    })
    .await;
    let client = client(&double.url, &[]);
    let answer = run(&client, forecast()).await.unwrap();
    assert_eq!(answer["modelInfo"]["requests"], 4);
    assert_eq!(client.breaker_state().failures, 0);
}

#[tokio::test]
async fn the_breaker_counts_calls_and_not_attempts() {
    let double = Double::start(|_, _| Reply::status(500, "")).await;
    let client = client(&double.url, &[("circuitBreakerResetMs", number(60_000.0))]);
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
    assert_eq!(double.asked().len(), 20);
    assert!(client.breaker_state().next_attempt_ms.is_some());
    client.reset_breaker();
    let state = client.breaker_state();
    assert_eq!(
        (state.state, state.failures, state.last_failure_ms),
        (CircuitState::Closed, 0, None)
    );
}

#[tokio::test]
async fn the_callers_mistakes_are_neither_retried_nor_counted() {
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
        let double = Double::start(move |_, _| Reply::status(status, body)).await;
        let client = client(&double.url, &[("fallback", text("local"))]);
        let failure = failed(run(&client, forecast()).await);
        assert_eq!((failure.kind, failure.retryable), (kind, false));
        assert!(
            failure.message.starts_with("Nixtla API error: "),
            "{failure}"
        );
        assert_eq!(double.asked().len(), 1, "{status}");
        assert_eq!(client.breaker_state().failures, 0);
    }
}

#[tokio::test]
async fn a_retry_waits_as_long_as_the_service_asks() {
    let double = Double::start(|asked, before| match before {
        0 => Reply::Answer(
            429,
            vec![("retry-after-ms", "80".to_owned())],
            String::new(),
        ),
        _ => service(asked),
    })
    .await;
    let started = Instant::now();
    run(&client(&double.url, &[]), forecast()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_wait_beyond_a_minute_is_not_waited_for() {
    let double = Double::start(|_, _| {
        Reply::Answer(429, vec![("retry-after", "3600".to_owned())], String::new())
    })
    .await;
    let failure = failed(run(&client(&double.url, &[]), forecast()).await);
    assert_eq!(failure.retry_after, Some(Duration::from_hours(1)));
    assert_eq!(double.asked().len(), 1);
}

#[tokio::test]
async fn an_attempt_without_an_answer_times_out() {
    let double = Double::start(|_, _| Reply::Silence).await;
    let more = [("timeout", number(30.0)), ("maxRetries", number(1.0))];
    let failure = failed(run(&client(&double.url, &more), forecast()).await);
    assert_eq!(
        failure.message,
        "Nixtla request failed after 2 attempts: Request timeout after 30ms"
    );
    assert_eq!((failure.kind, &*failure.code), (Kind::Timeout, "ETIMEDOUT"));
    assert_eq!(double.asked().len(), 2);
}

#[tokio::test]
async fn an_abort_ends_a_call_in_its_wait_for_a_retry() {
    let double = Double::start(|_, _| Reply::status(503, "")).await;
    let client = client(&double.url, &[("baseDelayMs", number(60_000.0))]);
    let bounds = bounds();
    let cancel = bounds.cancel.clone();
    let started = Instant::now();
    let (outcome, ()) = tokio::join!(client.run(forecast(), bounds), async {
        while double.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    });
    assert_eq!(outcome.unwrap_err().kind, Kind::Closed);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(client.breaker_state().failures, 0);
}

#[tokio::test]
async fn health_is_one_question_past_the_breaker() {
    let double = Double::start(|asked, _| match asked.path.as_str() {
        "/validate_api_key" if asked.header("authorization") == Some("Bearer key") => {
            Reply::json(&json!({ "detail": "ok" }))
        }
        "/validate_api_key" => Reply::status(401, r#"{"code":"A12"}"#),
        _ => Reply::status(500, ""),
    })
    .await;
    let good = client(&double.url, &[("circuitBreakerThreshold", number(1.0))]);
    failed(run(&good, forecast()).await);
    assert_eq!(good.breaker_state().state, CircuitState::Open);
    assert!(good.health_check().await);
    assert!(
        !client(&double.url, &[("apiKey", text("wrong"))])
            .health_check()
            .await
    );
    assert_eq!(double.count("/validate_api_key"), 2);
    let nowhere = client("http://127.0.0.1:9", &[]);
    assert!(!nowhere.health_check().await);
    assert_eq!(nowhere.breaker_state().failures, 0);
}

#[tokio::test]
async fn a_local_model_answers_without_a_key_when_down_and_when_open() {
    let double = Double::start(|_, _| Reply::status(500, "")).await;
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
    let keyless = client(&double.url, &[("apiKey", Plain::Undefined), local.clone()]);
    assert_eq!(
        reason(&run(&keyless, Arc::clone(&forecast)).await.unwrap()),
        "auth"
    );
    assert!(double.asked().is_empty());
    let once = ("circuitBreakerThreshold", number(1.0));
    let down = client(&double.url, &[local, once]);
    assert_eq!(
        reason(&run(&down, Arc::clone(&forecast)).await.unwrap()),
        "rejected"
    );
    assert_eq!(reason(&run(&down, forecast).await.unwrap()), "circuit-open");
    assert_eq!(down.stats().local_answers, 2);
}

#[tokio::test]
async fn without_a_key_nothing_is_sent() {
    let double = Double::start(|_, _| Reply::status(200, "{}")).await;
    let client = client(&double.url, &[("apiKey", Plain::Undefined)]);
    let failure = failed(run(&client, forecast()).await);
    assert_eq!(
        (failure.kind, failure.delivery),
        (Kind::Auth, Delivery::None)
    );
    assert!(!client.health_check().await);
    assert!(double.asked().is_empty());
}

#[tokio::test]
async fn anomalies_are_scored_in_half_widths_and_unjudged_points_are_none() {
    let double = Double::start(|asked, _| {
        assert_eq!(asked.path, "/v2/anomaly_detection");
        assert_eq!(asked.json()["level"], json!(99));
        let intervals = json!({ "lo-99": [8, 8], "hi-99": [14, 14] });
        Reply::json(&json!({
            "mean": [10, 10], "sizes": [2], "anomaly": [false, true], "intervals": intervals,
        }))
    })
    .await;
    let request = request("detectAnomalies", &[10.0, 11.0, 9.0, 20.0], &[]);
    let answer = run(&client(&double.url, &[]), request).await.unwrap();
    let seen: Vec<(f64, bool)> = answer["anomalies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| {
            (
                point["score"].as_f64().unwrap(),
                point["isAnomaly"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [(0.0, false), (0.0, false), (0.5, false), (2.5, true)]
    );
}

#[tokio::test]
async fn a_cross_validation_names_the_cutoff_of_each_window() {
    let double = Double::start(|asked, _| match asked.path.as_str() {
        "/v2/cross_validation" => {
            let body = asked.json();
            assert_eq!(
                (&body["n_windows"], &body["step_size"]),
                (&json!(2), &json!(2))
            );
            // The window of the model: the last 1 + 2 + 2 of the six points.
            assert_eq!(body["series"]["sizes"], json!([5]));
            Reply::json(&json!({ "mean": [1, 2, 3, 4], "sizes": [4], "idxs": [1, 2, 3, 4] }))
        }
        _ => Reply::json(&json!({ "detail": { "input_size": 1, "horizon": 7 } })),
    })
    .await;
    let more = [("horizon", number(2.0)), ("windows", number(2.0))];
    let request = request("crossValidate", &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &more);
    let answer = run(&client(&double.url, &[]), request).await.unwrap();
    let row = |k: usize, member: &str| answer["forecasts"][k][member].clone();
    assert_eq!(row(0, "cutoff"), "1970-01-02T00:00:00.000Z");
    assert_eq!(row(3, "cutoff"), "1970-01-04T00:00:00.000Z");
    assert_eq!(row(3, "timestamp"), "1970-01-06T00:00:00.000Z");
    assert_eq!(
        (row(3, "actual"), row(3, "value")),
        (json!(5.0), json!(4.0))
    );
}

#[tokio::test]
async fn an_answer_that_does_not_fit_the_question_is_a_protocol_failure() {
    for body in [
        json!({ "mean": [1] }),
        json!({ "mean": ["a", "b"] }),
        json!([]),
    ] {
        let double = Double::start(move |asked, _| match asked.path.as_str() {
            "/v2/forecast" => Reply::json(&body),
            _ => service(asked),
        })
        .await;
        let failure = failed(run(&client(&double.url, &[]), forecast()).await);
        assert_eq!(
            (failure.kind, failure.delivery),
            (Kind::Protocol, Delivery::Answered)
        );
    }
}

/// A job server: the statuses in turn, then success.
async fn job_server(statuses: &'static [&'static str]) -> Double {
    Double::start(move |asked, _| match asked.path.as_str() {
        "/v2/forecast/async" => Reply::Answer(202, Vec::new(), r#"{"job_id":"j1"}"#.to_owned()),
        "/v2/async/jobs/j1/cancel" => Reply::status(409, ""),
        "/v2/forecast/jobs/j1" => {
            let status = statuses[0];
            Reply::json(&json!({ "job_id": "j1", "status": status, "result": { "mean": [4, 5] }, "error": "no luck" }))
        }
        _ => service(asked),
    })
    .await
}

#[tokio::test]
async fn a_job_is_submitted_asked_after_and_answered_like_the_call() {
    let double = job_server(&["succeeded"]).await;
    let client = client(&double.url, &[]);
    let job = client.submit(forecast(), &bounds()).await.unwrap();
    assert_eq!(
        client.job_status(&job, &bounds()).await.unwrap(),
        "succeeded"
    );
    let answer = client
        .job_result(&job, Limit::Off, &bounds())
        .await
        .unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["predictions"][1]["value"], json!(5.0));
    assert!(!client.cancel_job(&job, &bounds()).await.unwrap());
}

#[tokio::test]
async fn a_job_that_fails_or_takes_too_long_says_so() {
    let failing = job_server(&["failed"]).await;
    let here = client(&failing.url, &[]);
    let job = here.submit(forecast(), &bounds()).await.unwrap();
    let failure = here
        .job_result(&job, Limit::Off, &bounds())
        .await
        .unwrap_err();
    assert_eq!(&*failure.code, "ERR_MOORLINE_JOB_FAILED");
    assert_eq!(failure.cause.as_ref().unwrap().message, "no luck");

    let slow = job_server(&["simmering"]).await;
    let here = client(&slow.url, &[]);
    let job = here.submit(forecast(), &bounds()).await.unwrap();
    let wait = Limit::At(Duration::from_millis(100));
    let failure = here.job_result(&job, wait, &bounds()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout);
    assert!(failure.message.contains("was still simmering"), "{failure}");
    assert_eq!(slow.count("/v2/async/jobs/j1/cancel"), 1);
}

#[tokio::test]
async fn a_submission_that_may_have_been_accepted_is_not_repeated() {
    let timeout = [("timeout", number(30.0))];
    for more in [&timeout[..], &[]] {
        let silent = !more.is_empty();
        let double = Double::start(move |asked, _| match asked.path.as_str() {
            "/v2/forecast/async" if silent => Reply::Silence,
            "/v2/forecast/async" => Reply::status(503, ""),
            _ => service(asked),
        })
        .await;
        let client = client(&double.url, more);
        client.submit(forecast(), &bounds()).await.unwrap_err();
        assert_eq!(double.count("/v2/forecast/async"), 1);
    }
}

#[tokio::test]
async fn models_are_listed_and_deleted() {
    let double = Double::start(
        |asked, _| match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/v2/finetuned_models") => {
                Reply::json(&json!({ "finetuned_models": [{ "id": "m1" }] }))
            }
            ("DELETE", "/v2/finetuned_models/m1") => Reply::status(204, ""),
            ("GET", "/usage") => Reply::json(&json!({ "minute": {}, "month": {} })),
            _ => Reply::status(404, ""),
        },
    )
    .await;
    let client = client(&double.url, &[]);
    let bounds = bounds();
    assert_eq!(
        client.finetuned_models(&bounds).await.unwrap(),
        json!([{ "id": "m1" }])
    );
    assert!(client.delete_finetuned_model("m1", &bounds).await.unwrap());
    assert!(!client.delete_finetuned_model("m2", &bounds).await.unwrap());
    assert_eq!(
        client.usage(&bounds).await.unwrap(),
        json!({ "minute": {}, "month": {} })
    );
}
