//! Answers of a server that give no result.

use std::{borrow::Cow, time::SystemTime};

use http::{HeaderMap, StatusCode};
use moorline_core::{
    error::{Delivery, Failure, Kind},
    resilience::retry_after::retry_after,
    secret::{Secret, redact_text, redact_url},
};
use serde_json::Value as Json;

use crate::libsql::{error::SERVICE_ERROR_CODE, remote::pipeline::ServerError};

const STREAM_EXPIRED: &str = "STREAM_EXPIRED";

/// The reason why a request failed.
pub(in crate::libsql) enum Refusal {
    /// The server no longer knows the stream, and has executed nothing.
    StreamLost,
    /// Anything else.
    Failed(Failure),
}

impl Refusal {
    /// The same as a failure.
    pub(in crate::libsql) fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            // Everything the transaction did is undone, so nothing of it was delivered.
            Self::StreamLost => Failure::new(
                Kind::Disconnected,
                "the server ended the transaction: its stream expired or the server restarted",
            )
            .with_code("ERR_MOORLINE_TRANSACTION_LOST")
            .with_delivery(Delivery::None)
            .with_retryable(false),
        }
    }
}

/// An answer other than 200. With a baton, a 400 or 404 that is no error of the SQL means that the server
/// does not know the stream (expired, or the server was restarted): it has executed nothing.
pub(in crate::libsql) fn refusal_failure(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    had_baton: bool,
    token: Option<&Secret>,
) -> Refusal {
    let said: Json = serde_json::from_slice(body).unwrap_or_default();
    let code = said
        .get("code")
        .and_then(Json::as_str)
        .filter(|code| is_code(code));
    let gone = matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::GONE
    );
    if had_baton && gone && code.is_none_or(|code| code == STREAM_EXPIRED) {
        return Refusal::StreamLost;
    }
    let kind = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Kind::Auth,
        StatusCode::TOO_MANY_REQUESTS => Kind::RateLimited,
        _ => Kind::Rejected,
    };
    // A gateway answers in the server's place: whether that has acted is unknown.
    let delivery = match status {
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Delivery::Unknown,
        _ => Delivery::Answered,
    };
    let code = code.unwrap_or(SERVICE_ERROR_CODE);
    let mut failure = Failure::new(
        kind,
        format!("{code}: the server responded with status {status}"),
    )
    .with_code(code.to_owned())
    .with_delivery(delivery)
    .with_retryable(matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    ))
    .with_detail("status", status.as_u16());
    let text = redact_text(&text_of(&said, body), token);
    if !text.is_empty() {
        let message = format!("{}: {text}", failure.message);
        failure = failure.with_message(message);
    }
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let wait = retry_after(
        header("retry-after"),
        header("retry-after-ms"),
        SystemTime::now(),
    );
    Refusal::Failed(match wait {
        Some(wait) => failure.with_retry_after(wait),
        None => failure,
    })
}

/// The message of a refusal: the text in its JSON, or all of it when it is text, but no page of a proxy's.
fn text_of<'a>(said: &'a Json, body: &'a [u8]) -> Cow<'a, str> {
    let text = ["message", "error"]
        .into_iter()
        .find_map(|key| said.get(key)?.as_str());
    match text {
        Some(text) => text.into(),
        None if said.is_null() && !body.trim_ascii_start().starts_with(b"<") => {
            String::from_utf8_lossy(body)
        }
        None => "".into(),
    }
}

/// Whether the server's code can be one of ours: a short word.
fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An SQL error of the server.
pub(in crate::libsql) fn server_failure(error: &ServerError) -> Failure {
    let kind = match error.code.as_str() {
        "SQLITE_BUSY" | "SQLITE_LOCKED" => Kind::Overloaded,
        _ => Kind::Rejected,
    };
    let code = Some(error.code.as_str()).filter(|code| is_code(code));
    let code = code.unwrap_or(SERVICE_ERROR_CODE);
    Failure::new(kind, format!("{code}: {}", error.message))
        .with_code(code.to_owned())
        .with_delivery(Delivery::Answered)
        .with_retryable(kind == Kind::Overloaded)
}

pub(in crate::libsql) fn unreadable(reason: String) -> Failure {
    Failure::new(Kind::Protocol, "the server's response cannot be read")
        .with_code("HRANA_PROTO_ERROR")
        .with_delivery(Delivery::Answered)
        .with_cause(reason, None)
}

/// The server wants the stream to go on where the token must not go. The request itself was answered.
pub(in crate::libsql) fn foreign_continuation(base: &str) -> Failure {
    let message = format!(
        "the server continues the stream at {}, which is neither the original host nor a subdomain of it",
        redact_url(base)
    );
    Failure::new(Kind::Protocol, message)
        .with_code("HRANA_PROTO_ERROR")
        .with_delivery(Delivery::Answered)
}

pub(in crate::libsql) fn missing_result() -> Failure {
    Failure::new(Kind::Protocol, "the server's response lacks the result")
        .with_code("HRANA_PROTO_ERROR")
        .with_delivery(Delivery::Answered)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;

    fn failure(status: u16, body: &str, wait: Option<&'static str>) -> Failure {
        let mut headers = HeaderMap::new();
        if let Some(wait) = wait {
            headers.insert("retry-after", HeaderValue::from_static(wait));
        }
        let status = StatusCode::from_u16(status).unwrap();
        let token = Secret::new("hunter2");
        refusal_failure(status, &headers, body.as_bytes(), false, Some(&token)).into_failure()
    }

    #[test]
    fn what_the_server_says_is_in_the_message() {
        let table = [
            (
                429,
                "plan limit reached\n",
                "429 Too Many Requests: plan limit reached",
            ),
            (
                404,
                r#"{"error":"no such db"}"#,
                "404 Not Found: no such db",
            ),
            (
                500,
                r#"{"message":"slow down"}"#,
                "500 Internal Server Error: slow down",
            ),
            (500, r#"{"other":1}"#, "500 Internal Server Error"),
            (502, " <html>busy</html>", "502 Bad Gateway"),
            (
                401,
                "no hunter2 here",
                "401 Unauthorized: no [redacted] here",
            ),
            (413, "", "413 Payload Too Large"),
        ];
        for (status, body, message) in table {
            let expected = format!("SERVER_ERROR: the server responded with status {message}");
            assert_eq!(failure(status, body, None).message, expected);
        }
        let coded = failure(400, r#"{"message":"m","code":"SQLITE_BUSY"}"#, None);
        assert_eq!(coded.code, "SQLITE_BUSY");
        let odd = failure(400, r#"{"message":"m","code":"two words"}"#, None);
        assert_eq!(odd.code, SERVICE_ERROR_CODE);
        let long = failure(400, &"x".repeat(60_000), None);
        assert!(long.message.len() < 1000);
    }

    #[test]
    fn how_long_the_server_asks_to_wait_is_kept() {
        for status in [429, 503] {
            let waiting = failure(status, "", Some("7"));
            assert_eq!(waiting.retry_after, Some(Duration::from_secs(7)));
            assert!(waiting.retryable, "{status}");
        }
        for status in [400, 401, 404, 500, 502, 504] {
            assert!(!failure(status, "", None).retryable, "{status}");
        }
    }
}
