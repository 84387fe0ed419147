//! Classification of failures for connections: lifecycle events and recovery.

use std::time::{Duration, SystemTime};

use crate::{
    error::{Delivery, Failure, Kind},
    resilience::idempotency::{is_server_error, is_transient_status},
};

/// The lifecycle event that a failure causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// The other side refused the credentials.
    AuthenticationFailed,
    /// The connection could not be opened.
    ConnectionFailed,
    /// An established connection was lost.
    ConnectionLost,
}

impl LifecycleEvent {
    /// The name of the event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthenticationFailed => "authentication_failed",
            Self::ConnectionFailed => "connection_failed",
            Self::ConnectionLost => "connection_lost",
        }
    }
}

/// The properties of an error that decide about recovery. An error that is not moorline's has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorFacts {
    /// The kind of failure.
    pub kind: Option<Kind>,
    /// The status of the HTTP response.
    pub status: Option<u64>,
}

impl ErrorFacts {
    /// The event that the error causes. `context` is the operation that failed, or `connection` for the loss of an open
    /// one.
    pub fn event_for(self, context: &str) -> Option<LifecycleEvent> {
        match self.kind {
            _ if context == "connection" => Some(LifecycleEvent::ConnectionLost),
            Some(_) if self.is_auth_failure() => Some(LifecycleEvent::AuthenticationFailed),
            Some(Kind::Connect | Kind::Tls) => Some(LifecycleEvent::ConnectionFailed),
            _ if context == "connect" => Some(LifecycleEvent::ConnectionFailed),
            Some(Kind::Disconnected) => Some(LifecycleEvent::ConnectionLost),
            _ => None,
        }
    }

    /// Whether the other side could not be reached at all, or its breaker is open: another address may serve.
    pub fn is_unreachable(self) -> bool {
        let broken = [
            Kind::Connect,
            Kind::Tls,
            Kind::Timeout,
            Kind::Disconnected,
            Kind::CircuitOpen,
        ];
        self.kind.is_some_and(|kind| broken.contains(&kind))
            || self.status.is_some_and(is_server_error)
    }

    /// Whether a new attempt may succeed. Refused credentials and a wrong request stay refused.
    pub fn should_reconnect(self) -> bool {
        let answered = |status| is_server_error(status) || is_transient_status(status);
        self.kind.is_none_or(|kind| kind != Kind::Auth) && self.status.is_none_or(answered)
    }

    fn is_auth_failure(self) -> bool {
        self.kind == Some(Kind::Auth) || self.status.is_some_and(refuses_credentials)
    }
}

/// Whether a status says that credentials are missing or refused.
pub const fn refuses_credentials(status: u64) -> bool {
    matches!(status, 401 | 403 | 407)
}

/// Whether a WebSocket closed with `code` must not be reconnected: the work is done (1000), the server refuses the
/// client (1008), or a message exceeded the limit here (1009, sent `by_us`), as it would again.
pub const fn is_final_close(code: u16, by_us: bool) -> bool {
    matches!((code, by_us), (1000 | 1008, _) | (1009, true))
}

/// Whether a WebSocket closed with `code` ended normally. A close frame without a code (1005) reports no error.
pub const fn is_normal_close(code: u16) -> bool {
    matches!(code, 1000 | 1005)
}

/// The failure for an HTTP response that retries, breakers and metrics count as one; `None` for any other response.
pub fn status_failure(
    status: u16,
    replayable: bool,
    retry_after: Option<Duration>,
) -> Option<Failure> {
    let transient = is_transient_status(u64::from(status));
    if !is_server_error(status.into()) && !transient {
        return None;
    }
    let failure = rejection(status).with_retryable(replayable && transient);
    Some(match retry_after {
        Some(after) => failure.with_retry_after(after),
        None => failure,
    })
}

/// The failure for a status other than success.
pub fn rejection(status: u16) -> Failure {
    Failure::new(
        Kind::Rejected,
        format!("the server responded with status {status}"),
    )
    .with_delivery(Delivery::Answered)
    .with_detail("status", status)
    .during("http", "request")
}

/// [`status_failure`] with the texts of the `retry-after` headers.
pub fn response_failure(
    status: u16,
    replayable: bool,
    retry_after: Option<&str>,
    retry_after_ms: Option<&str>,
    now: SystemTime,
) -> Option<Failure> {
    let wait = crate::resilience::retry_after::retry_after(retry_after, retry_after_ms, now);
    status_failure(status, replayable, wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn facts(kind: Kind) -> ErrorFacts {
        ErrorFacts {
            kind: Some(kind),
            status: None,
        }
    }

    fn answered(status: u64) -> ErrorFacts {
        ErrorFacts {
            status: Some(status),
            ..facts(Kind::Rejected)
        }
    }

    #[test]
    fn each_failure_causes_its_event() {
        use LifecycleEvent::{AuthenticationFailed, ConnectionFailed, ConnectionLost};
        let table = [
            (facts(Kind::Auth), "connection", Some(ConnectionLost)),
            (facts(Kind::Auth), "connect", Some(AuthenticationFailed)),
            (answered(401), "connect", Some(AuthenticationFailed)),
            (answered(503), "connect", Some(ConnectionFailed)),
            (answered(503), "send", None),
            (facts(Kind::Tls), "send", Some(ConnectionFailed)),
            (facts(Kind::Disconnected), "send", Some(ConnectionLost)),
            (facts(Kind::Disconnected), "connect", Some(ConnectionFailed)),
            (ErrorFacts::default(), "connect", Some(ConnectionFailed)),
            (ErrorFacts::default(), "send", None),
        ];
        for (facts, context, event_for) in table {
            assert_eq!(facts.event_for(context), event_for, "{facts:?} {context}");
        }
    }

    #[test]
    fn another_address_may_serve_where_this_one_does_not() {
        assert!(facts(Kind::Connect).is_unreachable() && facts(Kind::CircuitOpen).is_unreachable());
        assert!(answered(502).is_unreachable());
        assert!(!answered(429).is_unreachable() && !facts(Kind::Closed).is_unreachable());
        assert!(!ErrorFacts::default().is_unreachable());
    }

    #[test]
    fn a_final_refusal_is_not_reconnected() {
        for status in [408, 425, 429, 500, 501, 503] {
            assert!(answered(status).should_reconnect(), "{status}");
        }
        for status in [204, 400, 401, 404, 410] {
            assert!(!answered(status).should_reconnect(), "{status}");
        }
        assert!(!facts(Kind::Auth).should_reconnect() && facts(Kind::Tls).should_reconnect());
        for (code, by_us, is_final) in [
            (1000, false, true),
            (1008, false, true),
            (1001, false, false),
            (1009, true, true),
            (1009, false, false),
            (1002, true, false),
        ] {
            assert_eq!(is_final_close(code, by_us), is_final, "{code} {by_us}");
        }
        assert!(is_normal_close(1000) && is_normal_close(1005) && !is_normal_close(1008));
    }

    #[test]
    fn server_errors_and_transient_statuses_are_failures() {
        for status in [200, 304, 400, 401, 404, 409] {
            assert_eq!(status_failure(status, true, None), None, "{status}");
        }
        for (status, retryable) in [
            (408, true),
            (425, true),
            (429, true),
            (500, true),
            (501, false),
        ] {
            assert_eq!(
                status_failure(status, true, None).unwrap().retryable,
                retryable,
                "{status}"
            );
            assert!(!status_failure(status, false, None).unwrap().retryable);
        }
        let failure = response_failure(503, true, Some("2"), None, SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(failure.retry_after, Some(Duration::from_secs(2)));
        assert_eq!(failure.detail["status"], 503);
    }
}
