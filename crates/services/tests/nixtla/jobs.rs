//! Jobs: requests that the service runs in the background.

use std::time::Duration;

use moorline_core::{error::Kind, limit::Limit};
use serde_json::json;

use crate::{
    client::{client, forecast, limits, number, service},
    test_server::{Reply, TestServer},
};

/// A server of one job with these statuses in turn, then success.
async fn job_server(statuses: &'static [&'static str]) -> TestServer {
    TestServer::start(move |asked, _| match asked.path.as_str() {
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
async fn a_job_is_submitted_polled_and_has_the_result_of_the_call() {
    let server = job_server(&["succeeded"]).await;
    let client = client(&server.url, &[]);
    let job = client.submit(forecast(), &limits()).await.unwrap();
    assert_eq!(
        client.job_status(&job, &limits()).await.unwrap(),
        "succeeded"
    );
    let answer = client
        .job_result(&job, Limit::Off, &limits())
        .await
        .unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["predictions"][1]["value"], json!(5.0));
    assert!(!client.cancel_job(&job, &limits()).await.unwrap());
}

#[tokio::test]
async fn a_job_that_fails_or_takes_too_long_is_a_failure() {
    let failing = job_server(&["failed"]).await;
    let nixtla = client(&failing.url, &[]);
    let job = nixtla.submit(forecast(), &limits()).await.unwrap();
    let failure = nixtla
        .job_result(&job, Limit::Off, &limits())
        .await
        .unwrap_err();
    assert_eq!(&*failure.code, "ERR_MOORLINE_JOB_FAILED");
    assert_eq!(failure.cause.as_ref().unwrap().message, "no luck");

    let slow = job_server(&["simmering"]).await;
    let nixtla = client(&slow.url, &[]);
    let job = nixtla.submit(forecast(), &limits()).await.unwrap();
    let wait = Limit::At(Duration::from_millis(100));
    let failure = nixtla.job_result(&job, wait, &limits()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout);
    assert!(failure.message.contains("was still simmering"), "{failure}");
    assert_eq!(slow.count("/v2/async/jobs/j1/cancel"), 1);
}

#[tokio::test]
async fn a_submission_that_may_have_been_accepted_is_not_repeated() {
    let timeout = [("timeout", number(30.0))];
    for more in [&timeout[..], &[]] {
        let silent = !more.is_empty();
        let server = TestServer::start(move |asked, _| match asked.path.as_str() {
            "/v2/forecast/async" if silent => Reply::Silence,
            "/v2/forecast/async" => Reply::status(503, ""),
            _ => service(asked),
        })
        .await;
        let client = client(&server.url, more);
        client.submit(forecast(), &limits()).await.unwrap_err();
        assert_eq!(server.count("/v2/forecast/async"), 1);
    }
}

#[tokio::test]
async fn any_job_id_is_one_segment_of_the_path() {
    let server = TestServer::start(move |asked, _| match asked.path.as_str() {
        "/v2/forecast/async" => {
            let id = json!({ "job_id": "../../admin?x=#%2e" });
            Reply::Answer(202, Vec::new(), id.to_string())
        }
        "/v2/forecast/jobs/..%2F..%2Fadmin%3Fx%3D%23%252e" => {
            Reply::json(&json!({ "status": "running" }))
        }
        "/v2/async/jobs/..%2F..%2Fadmin%3Fx%3D%23%252e/cancel" => Reply::json(&json!({})),
        _ => service(asked),
    })
    .await;
    let client = client(&server.url, &[]);
    let job = client.submit(forecast(), &limits()).await.unwrap();
    assert_eq!(job.id(), "../../admin?x=#%2e");
    let status = client.job_status(&job, &limits()).await;
    assert_eq!(status.unwrap(), "running");
    assert!(client.cancel_job(&job, &limits()).await.unwrap());
}

#[tokio::test]
async fn a_job_id_that_no_path_can_hold_is_refused() {
    for id in ["", ".", ".."] {
        let server = TestServer::start(move |asked, _| match asked.path.as_str() {
            "/v2/forecast/async" => {
                Reply::Answer(202, Vec::new(), json!({ "job_id": id }).to_string())
            }
            _ => service(asked),
        })
        .await;
        let client = client(&server.url, &[]);
        let failure = client.submit(forecast(), &limits()).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Protocol, "{id}");
    }
}
