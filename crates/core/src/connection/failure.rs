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
    /// The event that tells of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthenticationFailed => "authentication_failed",
            Self::ConnectionFailed => "connection_failed",
            Self::ConnectionLost => "connection_lost",
        }
    }
}

/// The facts that an error has about itself. One that is none of ours has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorFacts {
    /// Its kind.
    pub kind: Option<Kind>,
    /// The status of the answer.
    pub status: Option<u64>,
}

impl ErrorFacts {
    /// Which event tells of it. `context` is the verb it came from, or `connection` where it ended by itself.
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

    /// Whether another attempt may be received otherwise: who is not let in should not keep knocking.
    pub fn should_reconnect(self) -> bool {
        let answered = |status| is_server_error(status) || is_transient_status(status);
        self.kind.is_none_or(|kind| kind != Kind::Auth) && self.status.is_none_or(answered)
    }

    fn is_auth_failure(self) -> bool {
        self.kind == Some(Kind::Auth) || self.status.is_some_and(refuses_credentials)
    }
}

/// Whether a status says that we are not who we should be.
pub const fn refuses_credentials(status: u64) -> bool {
    matches!(status, 401 | 403 | 407)
}

/// Whether to stay away after a WebSocket was closed with `code`: it was finished, or is not wanted; or a message was
/// larger than we take (`by_us`), which it will be again.
pub const fn is_final_close(code: u16, by_us: bool) -> bool {
    matches!((code, by_us), (1000 | 1008, _) | (1009, true))
}

/// Whether a WebSocket that was closed with `code` came to its proper end. A server that gives no code (1005) says nothing
/// else.
pub const fn is_normal_close(code: u16) -> bool {
    matches!(code, 1000 | 1005)
}

/// An HTTP answer that counts as a failure, though it is what the caller gets in the end; `None` for every other.
pub fn status_failure(
    status: u16,
    replayable: bool,
    retry_after: Option<Duration>,
) -> Option<Failure> {
    let passes = is_transient_status(u64::from(status));
    if !is_server_error(status.into()) && !passes {
        return None;
    }
    let failure = rejection(status).with_retryable(replayable && passes);
    Some(match retry_after {
        Some(after) => failure.with_retry_after(after),
        None => failure,
    })
}

/// The failure of what a server answered with a status that is no success.
pub fn rejection(status: u16) -> Failure {
    Failure::new(Kind::Rejected, format!("the server answered {status}"))
        .with_delivery(Delivery::Answered)
        .with_detail("status", status)
        .during("http", "request")
}

/// [`status_failure`], with the headers as they came.
pub fn response_failure(
    status: u16,
    replayable: bool,
    retry_after: Option<&str>,
    retry_after_ms: Option<&str>,
    now: SystemTime,
) -> Option<Failure> {
    let asked = crate::resilience::retry_after::retry_after(retry_after, retry_after_ms, now);
    status_failure(status, replayable, asked)
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
    fn each_failure_is_told_by_the_event_it_means() {
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
    fn who_is_refused_for_good_does_not_come_again() {
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
    fn an_answer_is_unhappy_where_the_server_is() {
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
        let asked = response_failure(503, true, Some("2"), None, SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(asked.retry_after, Some(Duration::from_secs(2)));
        assert_eq!(asked.detail["status"], 503);
    }
}
