//! Failures of WebSockets, in the common taxonomy.

use std::{io, time::Duration};

use moorline_core::error::{Delivery, Failure, Kind};
use tokio_tungstenite::tungstenite::Error;

use super::protocol_error::ProtocolError;
use moorline_net::dial::{FailureClass, chain, classify};

pub(super) const SERVICE: &str = "websocket";
/// The names of its times for a connection.
const TIMEOUT: &str = "timeout";
pub(super) const PING_TIMEOUT: &str = "healthCheckTimeout";

/// The handshake failed: what came is no answer to it, or was cut off.
pub(super) fn handshake_failure(error: Error) -> Failure {
    match error {
        Error::Io(error) => lost_during_handshake(&error),
        Error::Protocol(error) => {
            use tokio_tungstenite::tungstenite::error::ProtocolError;
            if error == ProtocolError::HandshakeIncomplete {
                return lost_during_handshake(&io::ErrorKind::UnexpectedEof.into());
            }
            unreadable_handshake(&error.to_string())
        }
        other => unreadable_handshake(&other.to_string()),
    }
}

/// The server's answer to the handshake is not one.
pub(super) fn unreadable_handshake(what: &str) -> Failure {
    Failure::new(
        Kind::Protocol,
        "the server's response to the handshake is invalid",
    )
    .with_cause(what, None)
    .with_delivery(Delivery::None)
    .during(SERVICE, "connect")
}

fn lost_during_handshake(error: &io::Error) -> Failure {
    // Only now a server of TLS 1.3 says what it has against our certificate.
    let class = chain(error)
        .find_map(classify)
        .filter(|class| class.kind == Kind::Auth)
        .unwrap_or(FailureClass::new(Kind::Connect, code_of(error)));
    let message = match class.kind {
        Kind::Auth => "the server rejected the client certificate",
        _ => "the connection ended before the handshake response",
    };
    Failure::new(class.kind, message)
        .with_code(class.code)
        .with_cause(error.to_string(), None)
        .during(SERVICE, "connect")
}

/// Nothing came in time.
pub(super) fn handshake_timed_out(after: Duration) -> Failure {
    let message = format!(
        "the connection was not open within {} ms",
        after.as_millis()
    );
    Failure::timed_out(Kind::Timeout, message, TIMEOUT)
        .with_delivery(Delivery::None)
        .with_retryable(true)
        .during(SERVICE, "connect")
}

/// An open connection broke.
pub(super) fn connection_lost(error: &io::Error) -> Failure {
    Failure::new(Kind::Disconnected, "the connection was lost")
        .with_code(code_of(error))
        .with_cause(error.to_string(), Some(code_of(error).to_owned()))
        .during(SERVICE, "receive")
}

/// An open connection ended without a close frame.
pub(super) fn connection_ended() -> Failure {
    Failure::new(
        Kind::Disconnected,
        "the server ended the connection without a close frame",
    )
    .with_code("ECONNRESET")
    .during(SERVICE, "receive")
}

/// Nothing came after a ping.
pub(super) fn peer_silent(after: Duration) -> Failure {
    let message = format!("no data received within {} ms of a ping", after.as_millis());
    Failure::timed_out(Kind::Disconnected, message, PING_TIMEOUT)
        .with_code("ETIMEDOUT")
        .during(SERVICE, "receive")
}

/// The close frame was not answered.
pub(super) fn unanswered_close(after: Duration) -> Failure {
    let ms = after.as_millis();
    let message = format!("the server did not respond to the close frame within {ms} ms");
    Failure::timed_out(Kind::Timeout, message, "closeTimeoutMs").during(SERVICE, "close")
}

/// The peer broke the protocol.
pub(super) fn protocol_failure(violation: ProtocolError) -> Failure {
    Failure::new(Kind::Protocol, violation.message)
        .with_code(violation.code)
        .with_detail("closeCode", violation.close_code)
        .during(SERVICE, "receive")
}

/// Closed on purpose, here or there.
pub(super) fn closed_failure(code: u16) -> Failure {
    Failure::new(Kind::Closed, "the WebSocket is closed")
        .with_detail("closeCode", code)
        .during(SERVICE, "send")
}

/// A message did not get onto its way in time.
pub(super) fn send_timed_out(after: Duration, delivery: Delivery) -> Failure {
    let message = format!(
        "the message was not written within {} ms",
        after.as_millis()
    );
    Failure::timed_out(Kind::Timeout, message, TIMEOUT)
        .with_delivery(delivery)
        .with_retryable(delivery == Delivery::None)
        .during(SERVICE, "send")
}

/// A ping was not answered in time.
pub(super) fn ping_timed_out(after: Duration, option: &str) -> Failure {
    let message = format!("no pong within {} ms", after.as_millis());
    Failure::timed_out(Kind::Timeout, message, option)
        .with_retryable(true)
        .during(SERVICE, "ping")
}

/// The failure of a ping whose answer may be behind messages that are not taken.
pub(super) fn messages_unread(after: Duration, option: &str) -> Failure {
    let ms = after.as_millis();
    let message = format!("the receive queue is full: no pong was read within {ms} ms");
    Failure::timed_out(Kind::Timeout, message, option)
        .with_code("ERR_MOORLINE_RECEIVE_QUEUE_FULL")
        .with_retryable(true)
        .during(SERVICE, "ping")
}

fn code_of(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "ECONNREFUSED",
        io::ErrorKind::BrokenPipe => "EPIPE",
        io::ErrorKind::TimedOut => "ETIMEDOUT",
        io::ErrorKind::HostUnreachable => "EHOSTUNREACH",
        io::ErrorKind::NetworkUnreachable => "ENETUNREACH",
        io::ErrorKind::NetworkDown => "ENETDOWN",
        _ => "ECONNRESET",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_has_the_code_node_gives() {
        assert_eq!(
            connection_lost(&io::ErrorKind::ConnectionReset.into()).code,
            "ECONNRESET"
        );
        assert_eq!(
            connection_lost(&io::ErrorKind::BrokenPipe.into()).code,
            "EPIPE"
        );
        assert_eq!(peer_silent(Duration::from_secs(1)).code, "ETIMEDOUT");
    }
}
