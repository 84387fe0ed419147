//! Failures of the service, by its status codes and error bodies.
//!
//! Three shapes occur: the gateway's envelope `{"data":null,"message","details","code","requestID"}`, FastAPI's
//! `{"detail": …}` (a list of what is wrong where, or a text), and the HTML of a proxy.

use std::time::SystemTime;

use moorline_core::{
    error::{Delivery, Failure, Kind},
    resilience::retry_after::retry_after,
    secret::redact_text,
};
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value as Json;

/// The gateway's codes for a used-up quota: A20 for requests, A21 for want of a payment method.
const QUOTA_CODES: [&str; 2] = ["A20", "A21"];

/// Whether a request may be made twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idempotency {
    /// Computes or reads: a second one does no harm.
    Idempotent,
    /// Makes something (a job, a model): only a request that provably was not accepted is repeated.
    NotIdempotent,
}

impl Idempotency {
    /// Decides whether a failure of the transport or of time may be retried.
    pub(super) fn decide_retryable(self, failure: Failure) -> Failure {
        let passing = matches!(
            failure.kind,
            Kind::Connect | Kind::Timeout | Kind::Disconnected
        );
        let safe = self == Self::Idempotent || failure.delivery == Delivery::None;
        failure.with_retryable(passing && safe)
    }
}

/// The failure for an answer with a status other than success.
pub(super) fn refusal_failure(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    idempotency: Idempotency,
) -> Failure {
    let json = serde_json::from_slice::<Json>(body).unwrap_or_default();
    let code = json.get("code").and_then(Json::as_str);
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let wait = retry_after(
        header("retry-after"),
        header("retry-after-ms"),
        SystemTime::now(),
    );
    let kind = match status.as_u16() {
        401 | 403 => Kind::Auth,
        429 => Kind::RateLimited,
        _ => Kind::Rejected,
    };
    let mut failure = Failure::new(kind, error_message(status, &json))
        .with_delivery(Delivery::Answered)
        .with_retryable(is_retryable(status, code, wait.is_some(), idempotency))
        .with_detail("status", status.as_u16());
    if let Some(code) = code.filter(|code| !code.is_empty()) {
        failure = failure.with_code(code.to_owned());
    }
    if let Some(wait) = wait {
        failure = failure.with_retry_after(wait);
    }
    for (name, key) in [
        ("requestId", "requestID"),
        ("details", "details"),
        ("errors", "detail"),
    ] {
        if let Some(value) = json.get(key).filter(|value| !value.is_null()) {
            failure = failure.with_detail(name, value.clone());
        }
    }
    failure
}

fn is_retryable(
    status: StatusCode,
    code: Option<&str>,
    asks_to_wait: bool,
    idempotency: Idempotency,
) -> bool {
    match status.as_u16() {
        // A used-up quota does not come back in seconds, unless the service itself says when.
        429 => asks_to_wait || !code.is_some_and(|code| QUOTA_CODES.contains(&code)),
        408 | 500.. => idempotency == Idempotency::Idempotent,
        _ => false,
    }
}

fn error_message(status: StatusCode, json: &Json) -> String {
    let mut sentence = format!("Nixtla API error: {}", status.as_u16());
    if let Some(reason) = status.canonical_reason() {
        sentence = format!("{sentence} {reason}");
    }
    let said = match json.get("message").or_else(|| json.get("detail")) {
        Some(Json::String(text)) => Some(text.clone()),
        Some(Json::Array(items)) => items.first().and_then(validation_message),
        _ => None,
    };
    match said {
        Some(said) => format!("{sentence}: {}", redact_text(&said, None)),
        None => sentence,
    }
}

/// One item of FastAPI's list: what is wrong, and where.
fn validation_message(item: &Json) -> Option<String> {
    let message = item.get("msg")?.as_str()?;
    let place: Vec<String> = item
        .get("loc")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .map(|part| {
            part.as_str()
                .map_or_else(|| part.to_string(), str::to_owned)
        })
        .collect();
    Some(format!("{} {message}", place.join(".")).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use moorline_core::resilience::outcome::AttemptFailure;
    use reqwest::header::HeaderValue;

    use super::*;

    struct Row {
        status: u16,
        body: &'static str,
        retry_after: Option<&'static str>,
        kind: Kind,
        code: &'static str,
        retryable: bool,
        counted: bool,
    }

    const fn row(status: u16, body: &'static str, kind: Kind, code: &'static str) -> Row {
        Row {
            status,
            body,
            retry_after: None,
            kind,
            code,
            retryable: false,
            counted: false,
        }
    }

    impl Row {
        const fn retried(mut self) -> Self {
            self.retryable = true;
            self.counted = true;
            self
        }
    }

    const INVALID_KEY: &str = r#"{"data":null,"message":"Invalid API key","details":"Key not found","code":"A12","requestID":"r1","support":"s"}"#;
    const QUOTA: &str = r#"{"message":"Too many requests","code":"A20"}"#;

    fn rows() -> Vec<Row> {
        let rejected = "ERR_MOORLINE_REJECTED";
        vec![
            row(400, "{}", Kind::Rejected, rejected),
            row(401, INVALID_KEY, Kind::Auth, "A12"),
            row(403, "", Kind::Auth, "ERR_MOORLINE_AUTH"),
            row(404, "", Kind::Rejected, rejected),
            row(409, "", Kind::Rejected, rejected),
            row(422, r#"{"detail":[]}"#, Kind::Rejected, rejected),
            row(429, QUOTA, Kind::RateLimited, "A20"),
            row(429, r#"{"code":"A21"}"#, Kind::RateLimited, "A21"),
            row(408, "", Kind::Rejected, rejected).retried(),
            row(429, "", Kind::RateLimited, "ERR_MOORLINE_RATE_LIMITED").retried(),
            Row {
                retry_after: Some("7"),
                ..row(429, QUOTA, Kind::RateLimited, "A20").retried()
            },
            row(500, "", Kind::Rejected, rejected).retried(),
            row(503, "<html>busy</html>", Kind::Rejected, rejected).retried(),
        ]
    }

    fn failure_of(row: &Row, idempotency: Idempotency) -> Failure {
        let mut headers = HeaderMap::new();
        if let Some(wait) = row.retry_after {
            headers.insert("retry-after", HeaderValue::from_static(wait));
        }
        let status = StatusCode::from_u16(row.status).unwrap();
        refusal_failure(status, &headers, row.body.as_bytes(), idempotency)
    }

    #[test]
    fn each_refusal_has_its_kind_code_and_consequences() {
        for row in rows() {
            let failure = failure_of(&row, Idempotency::Idempotent);
            let name = format!("{} {}", row.status, row.body);
            assert_eq!(
                (failure.kind, &*failure.code),
                (row.kind, row.code),
                "{name}"
            );
            assert_eq!(failure.retryable, row.retryable, "{name}");
            assert_eq!(
                AttemptFailure::from(&failure).weight,
                u32::from(row.counted),
                "{name}"
            );
            assert_eq!(failure.detail["status"], row.status);
            let wait = row.retry_after.map(|_| Duration::from_secs(7));
            assert_eq!(failure.retry_after, wait);
        }
    }

    #[test]
    fn a_request_that_is_not_idempotent_is_repeated_only_after_a_429_or_unsent() {
        for row in rows() {
            let failure = failure_of(&row, Idempotency::NotIdempotent);
            assert_eq!(
                failure.retryable,
                row.retryable && row.status == 429,
                "{}",
                row.status
            );
        }
        let lost = Failure::new(Kind::Timeout, "x");
        assert!(
            Idempotency::Idempotent
                .decide_retryable(lost.clone())
                .retryable
        );
        assert!(!Idempotency::NotIdempotent.decide_retryable(lost).retryable);
        let unsent = Failure::new(Kind::Connect, "x");
        assert!(
            Idempotency::NotIdempotent
                .decide_retryable(unsent)
                .retryable
        );
    }

    #[test]
    fn the_message_says_what_the_service_said() {
        let table = [
            (
                401,
                INVALID_KEY,
                "Nixtla API error: 401 Unauthorized: Invalid API key",
            ),
            (
                422,
                r#"{"detail":[{"loc":["body","series","y",3],"msg":"Input should be a valid number","type":"float_type"}]}"#,
                "Nixtla API error: 422 Unprocessable Entity: body.series.y.3 Input should be a valid number",
            ),
            (
                404,
                r#"{"detail":"Not found"}"#,
                "Nixtla API error: 404 Not Found: Not found",
            ),
            (503, "<html>", "Nixtla API error: 503 Service Unavailable"),
        ];
        for (status, body, sentence) in table {
            let refused = failure_of(
                &row(status, body, Kind::Rejected, ""),
                Idempotency::Idempotent,
            );
            assert_eq!(refused.message, sentence);
        }
    }

    #[test]
    fn what_helps_the_support_is_in_the_details() {
        let failure = failure_of(
            &row(401, INVALID_KEY, Kind::Auth, "A12"),
            Idempotency::Idempotent,
        );
        assert_eq!(failure.detail["requestId"], "r1");
        assert_eq!(failure.detail["details"], "Key not found");
    }
}
