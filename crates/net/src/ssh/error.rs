//! What ends a session, or keeps it from being made, as failures.

use std::{borrow::Cow, io, time::Duration};

use moorline_core::error::{Delivery, Failure, Kind};

use super::{
    message::{DISCONNECT_NO_MORE_AUTH_METHODS, DISCONNECT_PROTOCOL_ERROR, Disconnect},
    wire::Malformed,
};
use crate::dial::{chain, classify};

/// The phase in which a session failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionPhase {
    /// The server's version was awaited.
    Version,
    /// Keys were being exchanged, and the host's verified.
    KeyExchange,
    /// The user was being authenticated.
    Authentication,
    /// The session was open.
    Open,
}

impl SessionPhase {
    /// The word in `error.detail.phase`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::KeyExchange => "key-exchange",
            Self::Authentication => "authentication",
            Self::Open => "session",
        }
    }
}

/// Why a session ended, or did not come about.
#[derive(Debug)]
pub(crate) enum SessionError {
    /// The stream failed.
    Lost(io::Error),
    /// The server ended it with a message.
    Disconnected(Disconnect),
    /// The server broke the protocol.
    Violation(Cow<'static, str>),
    /// Anything that has its failure already.
    Refused(Failure),
}

impl SessionError {
    pub(crate) fn violation(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Violation(what.into())
    }

    pub(crate) fn closed() -> Self {
        Self::Lost(io::ErrorKind::UnexpectedEof.into())
    }

    /// The failure to connect, in its phase.
    pub(crate) fn while_connecting(self, phase: SessionPhase) -> Failure {
        let failure = match self {
            Self::Refused(failure) => failure,
            Self::Lost(error) => {
                let code = code_of(&error);
                let message = format!(
                    "the SSH server closed the connection in phase '{}' ({code})",
                    phase.as_str()
                );
                caused(Failure::new(Kind::Connect, message).with_code(code), &error)
            }
            Self::Disconnected(disconnect) => disconnect_failure(&disconnect, phase),
            Self::Violation(what) => violation_failure(&what),
        };
        failure
            .with_delivery(Delivery::None)
            .with_detail("phase", phase.as_str())
    }

    /// The failure that an open session ends with.
    pub(crate) fn into_failure(self) -> Failure {
        let failure = match self {
            Self::Refused(failure) => failure,
            Self::Lost(error) => {
                let code = code_of(&error);
                let message = format!("the SSH session was lost ({code})");
                let lost = Failure::new(Kind::Disconnected, message).with_code(code);
                caused(lost, &error)
            }
            Self::Disconnected(disconnect) => {
                let Disconnect {
                    reason,
                    description,
                } = disconnect;
                let message = format!("the SSH server ended the session: {description} ({reason})");
                Failure::new(Kind::Disconnected, message)
                    .with_code("ECONNRESET")
                    .with_detail("reason", reason)
            }
            Self::Violation(what) => violation_failure(&what),
        };
        failure.with_detail("phase", SessionPhase::Open.as_str())
    }

    /// The code of a DISCONNECT to send before closing, and its text.
    pub(crate) fn disconnect_text(&self) -> Option<&str> {
        match self {
            Self::Violation(what) => Some(what),
            _ => None,
        }
    }
}

impl From<Malformed> for SessionError {
    fn from(_: Malformed) -> Self {
        Self::violation("it sent a message that cannot be read")
    }
}

impl From<io::Error> for SessionError {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl From<Failure> for SessionError {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

fn code_of(error: &io::Error) -> &'static str {
    chain(error)
        .find_map(classify)
        .map_or("ECONNRESET", |class| class.code)
}

fn caused(failure: Failure, error: &io::Error) -> Failure {
    match chain(error).last() {
        Some(root) => failure.with_cause(root.to_string(), None),
        None => failure,
    }
}

fn violation_failure(what: &str) -> Failure {
    Failure::new(
        Kind::Protocol,
        format!("the SSH server broke the protocol: {what}"),
    )
}

/// A server that ends a connection while it is made says why: sshd has reason 2 for too many attempts to authenticate.
fn disconnect_failure(disconnect: &Disconnect, phase: SessionPhase) -> Failure {
    let Disconnect {
        reason,
        description,
    } = disconnect;
    let is_auth = phase == SessionPhase::Authentication
        && matches!(
            *reason,
            DISCONNECT_PROTOCOL_ERROR | DISCONNECT_NO_MORE_AUTH_METHODS
        );
    let kind = match *reason {
        _ if is_auth => Kind::Auth,
        DISCONNECT_PROTOCOL_ERROR => Kind::Protocol,
        _ => Kind::Connect,
    };
    let message = format!("the SSH server refused the connection: {description} ({reason})");
    let failure = Failure::new(kind, message).with_detail("reason", *reason);
    match kind {
        Kind::Auth => failure.with_code("ERR_SSH_AUTH_REFUSED"),
        Kind::Connect => failure.with_code("ECONNRESET"),
        _ => failure,
    }
}

/// The failure of a connection that was not made in time.
pub(crate) fn timeout_failure(phase: SessionPhase, after: Duration) -> Failure {
    let message = format!(
        "the SSH server did not finish phase '{}' within {} ms",
        phase.as_str(),
        after.as_millis()
    );
    Failure::timed_out(Kind::Connect, message, "connectTimeoutMs")
        .with_code("ETIMEDOUT")
        .with_detail("phase", phase.as_str())
}
