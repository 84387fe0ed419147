//! One HTTP exchange with the service: address, key, headers, body, reply.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use bytes::Bytes;
use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    limit::Limit,
};
use reqwest::{
    Body, Method, Request,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::Value as Json;
use tokio::time;
use url::Url;

use super::{
    config::NixtlaConfig,
    error::{Idempotency, refusal_failure},
    payload::Payload,
};
use moorline_net::http::ApiClient;

/// The version of the vendor's client whose wire format this is; the service selects its format by it.
const CLIENT_VERSION: &str = "0.9.0";
/// The limit of a response body, above the largest that the largest request can have.
const MAX_RESPONSE_BYTES: usize = 256 << 20;
/// The limit of the body of an error response; the rest is not read.
const MAX_REFUSAL_BYTES: usize = 1 << 20;

/// One HTTP request to the service.
pub(super) struct Exchange<'a> {
    pub(super) method: Method,
    /// Path and query, relative to the base URL.
    pub(super) path: &'a str,
    pub(super) model: Option<&'a str>,
    pub(super) payload: Option<&'a Payload>,
    pub(super) idempotency: Idempotency,
}

impl<'a> Exchange<'a> {
    pub(super) const fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            model: None,
            payload: None,
            idempotency: Idempotency::Idempotent,
        }
    }
}

/// The HTTP client of the service, with its address and key.
#[derive(Debug)]
pub(super) struct Transport {
    config: Arc<NixtlaConfig>,
    http: Arc<ApiClient>,
    requests: AtomicU64,
}

impl Transport {
    pub(super) fn new(config: Arc<NixtlaConfig>) -> Self {
        Self {
            http: ApiClient::with(config.http.clone()),
            config,
            requests: AtomicU64::new(0),
        }
    }

    /// The number of HTTP requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Makes one exchange and returns the body of a successful response. Each adds one to `count`.
    pub(super) async fn exchange(
        &self,
        exchange: &Exchange<'_>,
        count: &AtomicU32,
        timeout: Limit<time::Duration>,
    ) -> Outcome<Bytes> {
        let request = self.request(exchange)?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        count.fetch_add(1, Ordering::Relaxed);
        let work = self.send(request, exchange.idempotency);
        let Some(timeout) = timeout.get() else {
            return work.await;
        };
        time::timeout(timeout, work).await.unwrap_or_else(|_| {
            let message = format!("Request timeout after {}ms", timeout.as_millis());
            let failure = Failure::timed_out(Kind::Timeout, message, "timeout");
            Err(exchange.idempotency.decide_retryable(failure))
        })
    }

    async fn send(&self, request: Request, idempotency: Idempotency) -> Outcome<Bytes> {
        let decide_retryable = |failure| idempotency.decide_retryable(failure);
        let response = self.http.send(request).await.map_err(decide_retryable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            let body = ApiClient::read_body(response, MAX_RESPONSE_BYTES).await;
            return body.map_err(decide_retryable);
        }
        // Of a refusal whose text is lost the status is still known.
        let body = ApiClient::read_body(response, MAX_REFUSAL_BYTES).await;
        let body = body.unwrap_or_default();
        let mut said = String::from_utf8_lossy(&body);
        if let Some(key) = &self.config.api_key {
            said = key.hidden_in(&said).into_owned().into();
        }
        Err(refusal_failure(
            status,
            &headers,
            said.as_bytes(),
            idempotency,
        ))
    }

    fn request(&self, exchange: &Exchange<'_>) -> Outcome<Request> {
        let address = format!("{}{}", self.config.base_url, exchange.path);
        let url = Url::parse(&address).map_err(|error| unsendable(&error.to_string()))?;
        let mut request = Request::new(exchange.method.clone(), url);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization()?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        insert(headers, "nixtla-client-version", CLIENT_VERSION)?;
        if let Some(model) = exchange.model {
            insert(headers, "nixtla-model", model)?;
        }
        if let Some(payload) = exchange.payload {
            if payload.compressed {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
            }
            *request.body_mut() = Some(Body::from(payload.bytes.clone()));
        }
        Ok(request)
    }

    fn authorization(&self) -> Outcome<HeaderValue> {
        let key = self.config.api_key.as_ref().ok_or_else(missing_key)?;
        let value = [b"Bearer ", key.expose()].concat();
        let mut value =
            HeaderValue::from_bytes(&value).map_err(|error| unsendable(&error.to_string()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) -> Outcome<()> {
    let value = HeaderValue::from_str(value).map_err(|error| unsendable(&error.to_string()))?;
    headers.insert(name, value);
    Ok(())
}

/// The failure of every call without a key.
pub(super) fn missing_key() -> Failure {
    let message =
        "the Nixtla API requires a key: set apiKey or NIXTLA_API_KEY, or use fallback: 'local'";
    Failure::new(Kind::Auth, message)
        .with_delivery(Delivery::None)
        .with_attempts(0)
}

fn unsendable(reason: &str) -> Failure {
    Failure::new(Kind::Rejected, "the request cannot be sent")
        .with_delivery(Delivery::None)
        .with_cause(reason, None)
}

/// The JSON of a response body; an empty one (204) is null. Legacy and Azure deployments wrap it in `{"data": …}`.
pub(super) fn parse(body: &[u8]) -> Outcome<Json> {
    if body.is_empty() {
        return Ok(Json::Null);
    }
    let mut json: Json = serde_json::from_slice(body).map_err(|error| {
        Failure::new(Kind::Protocol, "the response of the Nixtla API is not JSON")
            .with_delivery(Delivery::Answered)
            .with_cause(error.to_string(), None)
    })?;
    match json.get_mut("data").map(Json::take) {
        Some(data) if !data.is_null() => Ok(data),
        _ => Ok(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_opened_and_anything_else_left_as_it_is() {
        let table = [
            (r#"{"data":{"mean":[1]}}"#, r#"{"mean":[1]}"#),
            (r#"{"mean":[1]}"#, r#"{"mean":[1]}"#),
            ("", "null"),
            ("[1]", "[1]"),
        ];
        for (body, expected) in table {
            assert_eq!(parse(body.as_bytes()).unwrap().to_string(), expected);
        }
        assert_eq!(parse(b"<html>").unwrap_err().kind, Kind::Protocol);
    }
}
