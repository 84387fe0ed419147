//! Clients and requests for the tests.

use std::sync::Arc;

use moorline_core::{
    error::{Failure, Outcome},
    options::{Options, PlainValue},
};
use moorline_services::nixtla::{
    call_limits::CallLimits, config::NixtlaConfig, request::Request, service::Nixtla,
};
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

use crate::test_server::{ReceivedRequest, Reply};

pub(crate) fn map(entries: &[(&str, PlainValue)]) -> PlainValue {
    let own = |(key, value): &(&str, PlainValue)| ((*key).to_owned(), value.clone());
    PlainValue::Map(entries.iter().map(own).collect())
}

pub(crate) fn text(value: &str) -> PlainValue {
    PlainValue::Text(value.to_owned())
}

pub(crate) fn number(value: f64) -> PlainValue {
    PlainValue::Number(value)
}

/// A client with a key and quick retries.
pub(crate) fn client(url: &str, more: &[(&str, PlainValue)]) -> Nixtla {
    let mut options = vec![("baseUrl", text(url)), ("baseDelayMs", number(1.0))];
    if !more.iter().any(|(key, _)| *key == "apiKey") {
        options.push(("apiKey", text("key")));
    }
    options.extend_from_slice(more);
    let options = map(&options);
    let options = Options::new("config", &options).unwrap();
    Nixtla::new(NixtlaConfig::read(options, |_| None).unwrap())
}

/// Daily points with these values.
pub(crate) fn request(
    operation: &str,
    values: &[f64],
    more: &[(&str, PlainValue)],
) -> Arc<Request> {
    let day = 86_400_000.0;
    let points = values.iter().enumerate().map(|(k, value)| {
        map(&[
            ("timestamp", PlainValue::Date(k as f64 * day)),
            ("value", number(*value)),
        ])
    });
    let mut entries = vec![("timeseries", PlainValue::List(points.collect()))];
    entries.extend_from_slice(more);
    Arc::new(Request::read(operation, &map(&entries)).unwrap())
}

pub(crate) fn forecast() -> Arc<Request> {
    request("forecast", &[1.0, 2.0, 3.0], &[("horizon", number(2.0))])
}

pub(crate) fn limits() -> CallLimits {
    CallLimits::unlimited(CancellationToken::new())
}

pub(crate) async fn run(client: &Nixtla, request: Arc<Request>) -> Outcome<Json> {
    let result = client.run(request, limits()).await?;
    Ok(serde_json::to_value(result).unwrap())
}

pub(crate) fn failed(outcome: Outcome<Json>) -> Failure {
    outcome.unwrap_err()
}

/// Answers like the service: a window of 28 days, and the number of points of input as every mean.
pub(crate) fn service(asked: &ReceivedRequest) -> Reply {
    if asked.path.starts_with("/model_params") {
        return Reply::json(&json!({ "detail": { "input_size": 28, "horizon": 7 } }));
    }
    let body = asked.json();
    let series = body["series"]["sizes"].as_array().unwrap();
    let count = series.len() * body["h"].as_u64().unwrap_or(1) as usize;
    let means = vec![body["series"]["y"].as_array().unwrap().len(); count];
    Reply::json(&json!({ "mean": means, "input_tokens": 3, "output_tokens": 2 }))
}

pub(crate) fn is_forecast(asked: &ReceivedRequest) -> bool {
    asked.path == "/v2/forecast"
}
