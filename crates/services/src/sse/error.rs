//! Failures of event streams, in the common taxonomy.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};
use moorline_core::{
    error::{Delivery, Failure, Kind},
    resilience::{idempotency, retry_after},
};

pub(super) const SERVICE: &str = "sse";
pub(super) const CONNECT: &str = "connect";
pub(super) const RECEIVE: &str = "receive";

/// An answer that is no stream.
pub(super) fn refusal_failure(status: StatusCode, headers: &HeaderMap) -> Failure {
    let code = status.as_u16();
    let failure = match code {
        204 => Failure::new(
            Kind::Rejected,
            "the server has stopped the event stream (status 204)",
        )
        .with_code("ERR_MOORLINE_STREAM_STOPPED"),
        200 => not_a_stream(headers),
        _ => Failure::new(
            kind_of(code),
            format!("the server refused the stream with status {code}"),
        ),
    };
    let failure = failure
        .with_delivery(Delivery::Answered)
        .with_retryable(idempotency::is_transient_status(code.into()))
        .with_detail("status", code)
        .during(SERVICE, CONNECT);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match retry_after::retry_after(
        text("retry-after"),
        text("retry-after-ms"),
        SystemTime::now(),
    ) {
        Some(after) => failure.with_retry_after(after),
        None => failure,
    }
}

fn not_a_stream(headers: &HeaderMap) -> Failure {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.map_or("nothing".into(), |it| {
        String::from_utf8_lossy(it.as_bytes())
    });
    let message =
        format!("the server responded with content type {kind} instead of text/event-stream");
    Failure::new(Kind::Protocol, message)
        .with_code("ERR_MOORLINE_CONTENT_TYPE")
        .with_detail("contentType", kind.as_ref())
}

const fn kind_of(status: u16) -> Kind {
    match status {
        401 | 403 | 407 => Kind::Auth,
        429 => Kind::RateLimited,
        _ => Kind::Rejected,
    }
}

/// Nothing came for too long.
pub(super) fn idle_failure(after: Duration) -> Failure {
    let ms = after.as_millis();
    let message = format!("no data received for {ms} ms");
    Failure::timed_out(Kind::Timeout, message, "keepAlive")
        .with_delivery(Delivery::Answered)
        .with_retryable(true)
        .during(SERVICE, RECEIVE)
}

/// The stream broke.
pub(super) fn broken_stream_failure(failure: Failure) -> Failure {
    let transient = matches!(failure.kind, Kind::Disconnected | Kind::Timeout);
    failure.with_retryable(transient).during(SERVICE, RECEIVE)
}

/// An event was too long to be kept.
pub(super) fn event_too_long(max_bytes: usize) -> Failure {
    let message = format!("an event is longer than {max_bytes} bytes (maxEventBytes)");
    Failure::new(Kind::Protocol, message)
        .with_code("ERR_MOORLINE_EVENT_TOO_LARGE")
        .with_delivery(Delivery::Answered)
        .with_retryable(false)
        .during(SERVICE, RECEIVE)
}

/// The id of the last event is nothing that HTTP can carry.
pub(super) fn unsendable_id() -> Failure {
    unsendable(
        "the id of the last event contains a character that is not allowed in a header, or is too long",
    )
    .during(SERVICE, CONNECT)
}

/// The same of an id that was stored. Nothing is wrong with the stream, which begins without it.
pub(super) fn unsendable_stored_id() -> Failure {
    unsendable("the stored id is ignored: it contains a character that is not allowed in a header, or is too long")
        .during(SERVICE, "load")
}

fn unsendable(message: &'static str) -> Failure {
    Failure::new(Kind::Protocol, message)
        .with_code("ERR_MOORLINE_EVENT_ID")
        .with_delivery(Delivery::None)
        .with_retryable(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_what_it_is_and_whether_to_come_again() {
        let table = [
            (204, Kind::Rejected, "ERR_MOORLINE_STREAM_STOPPED", false),
            (200, Kind::Protocol, "ERR_MOORLINE_CONTENT_TYPE", false),
            (206, Kind::Rejected, "ERR_MOORLINE_REJECTED", false),
            (304, Kind::Rejected, "ERR_MOORLINE_REJECTED", false),
            (401, Kind::Auth, "ERR_MOORLINE_AUTH", false),
            (403, Kind::Auth, "ERR_MOORLINE_AUTH", false),
            (407, Kind::Auth, "ERR_MOORLINE_AUTH", false),
            (404, Kind::Rejected, "ERR_MOORLINE_REJECTED", false),
            (408, Kind::Rejected, "ERR_MOORLINE_REJECTED", true),
            (429, Kind::RateLimited, "ERR_MOORLINE_RATE_LIMITED", true),
            (501, Kind::Rejected, "ERR_MOORLINE_REJECTED", false),
            (503, Kind::Rejected, "ERR_MOORLINE_REJECTED", true),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        headers.insert(header::CONTENT_TYPE, "text/html".parse().unwrap());
        for (status, kind, code, retryable) in table {
            let failure = refusal_failure(StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!(
                (failure.kind, failure.code.as_ref(), failure.retryable),
                (kind, code, retryable),
                "{status}"
            );
            assert_eq!(failure.detail["status"], status);
            assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
        }
    }
}
