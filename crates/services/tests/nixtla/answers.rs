//! Requests as they are sent, and the answers made of the replies.

use std::sync::Arc;

use moorline_core::{
    error::{Delivery, Kind},
    options::PlainValue,
};
use serde_json::{Value as Json, json};

use crate::{
    client::{client, failed, forecast, is_forecast, limits, number, request, run, service},
    test_server::{Reply, TestServer},
};

#[tokio::test]
async fn a_forecast_gets_times_values_intervals_and_its_model_info() {
    let server = TestServer::start(|asked, _| match asked.path.as_str() {
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
    let levels = PlainValue::List(vec![number(0.8), number(0.95)]);
    let more = [("horizon", number(2.0)), ("confidenceLevels", levels)];
    let client = client(&server.url, &[]);
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
            "source": "service", "model": "timegpt-2.1", "frequency": "D", "requests": 2, "inputTokens": 3,
        },
    });
    assert_eq!(answer, expected);
    assert_eq!(client.stats().input_tokens, 3);
    let asked = server.requests().into_iter().find(is_forecast).unwrap();
    assert_eq!(asked.header("authorization"), Some("Bearer key"));
    assert_eq!(asked.header("nixtla-model"), Some("timegpt-2.1"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert!(asked.header("nixtla-client-version").is_some());
}

#[tokio::test]
async fn the_window_of_a_model_is_asked_for_once_and_only_that_much_is_sent() {
    let server = TestServer::start(|asked, _| service(asked)).await;
    let client = client(&server.url, &[]);
    let values: Vec<f64> = (0..100).map(f64::from).collect();
    let request = request("forecast", &values, &[("horizon", number(1.0))]);
    for _ in 0..3 {
        let answer = run(&client, Arc::clone(&request)).await.unwrap();
        assert_eq!(answer["predictions"][0]["value"], json!(28.0));
    }
    assert_eq!(server.count("/model_params"), 1);
    assert_eq!(client.stats().requests, 4);
}

#[tokio::test]
async fn a_large_request_is_compressed() {
    let server = TestServer::start(|asked, _| {
        assert_eq!(asked.header("content-encoding"), Some("zstd"));
        let json = zstd::stream::decode_all(&asked.body[..]).unwrap();
        let body: Json = serde_json::from_slice(&json).unwrap();
        Reply::json(&json!({ "mean": [body["series"]["y"].as_array().unwrap().len()] }))
    })
    .await;
    let client = client(&server.url, &[("restrictInput", PlainValue::Bool(false))]);
    let values: Vec<f64> = (0..150_000).map(|k| f64::from(k) + 0.25).collect();
    let request = request("forecast", &values, &[("horizon", number(1.0))]);
    let answer = run(&client, request).await.unwrap();
    assert_eq!(answer["predictions"][0]["value"], json!(150_000.0));
}

#[tokio::test]
async fn anomalies_are_scored_in_half_widths_and_unscored_points_are_none() {
    let server = TestServer::start(|asked, _| {
        assert_eq!(asked.path, "/v2/anomaly_detection");
        assert_eq!(asked.json()["level"], json!(99));
        let intervals = json!({ "lo-99": [8, 8], "hi-99": [14, 14] });
        Reply::json(&json!({
            "mean": [10, 10], "sizes": [2], "anomaly": [false, true], "intervals": intervals,
        }))
    })
    .await;
    let request = request("detectAnomalies", &[10.0, 11.0, 9.0, 20.0], &[]);
    let answer = run(&client(&server.url, &[]), request).await.unwrap();
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
    let server = TestServer::start(|asked, _| match asked.path.as_str() {
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
    let answer = run(&client(&server.url, &[]), request).await.unwrap();
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
        let server = TestServer::start(move |asked, _| match asked.path.as_str() {
            "/v2/forecast" => Reply::json(&body),
            _ => service(asked),
        })
        .await;
        let failure = failed(run(&client(&server.url, &[]), forecast()).await);
        assert_eq!(
            (failure.kind, failure.delivery),
            (Kind::Protocol, Delivery::Answered)
        );
    }
}

#[tokio::test]
async fn models_are_listed_and_deleted() {
    let server = TestServer::start(
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
    let client = client(&server.url, &[]);
    let limits = limits();
    assert_eq!(
        client.finetuned_models(&limits).await.unwrap(),
        json!([{ "id": "m1" }])
    );
    assert!(client.delete_finetuned_model("m1", &limits).await.unwrap());
    assert!(!client.delete_finetuned_model("m2", &limits).await.unwrap());
    assert_eq!(
        client.usage(&limits).await.unwrap(),
        json!({ "minute": {}, "month": {} })
    );
}

#[tokio::test]
async fn a_refusal_that_repeats_the_key_does_not_show_it() {
    let server = TestServer::start(|_, _| {
        let body = json!({ "message": "no hunter2", "details": ["hunter2"], "code": "A12" });
        Reply::status(401, &body.to_string())
    })
    .await;
    let key = PlainValue::Text("hunter2".to_owned());
    let client = client(&server.url, &[("apiKey", key)]);
    let failure = failed(run(&client, forecast()).await);
    assert_eq!(
        failure.message,
        "Nixtla API error: 401 Unauthorized: no [redacted]"
    );
    assert_eq!(failure.detail["details"], json!(["[redacted]"]));
}
