//! Errors of a server, and of what speaks with it, as failures.

use moorline_core::error::{Delivery, Failure, Kind, Outcome};
use moorline_net::dial::{FailureClass, chain, classify};
use serde_json::{Map, Value};

/// The service's name in failures and events.
pub const SERVICE: &str = "postgres";

/// The fields of an error or a notice that are shown, by their letter in the protocol
/// (<https://www.postgresql.org/docs/current/protocol-error-fields.html>) and by the name that `pg` gives them.
const FIELDS: [(u8, &str); 16] = [
    (b'V', "severity"),
    (b'D', "detail"),
    (b'H', "hint"),
    (b'P', "position"),
    (b'p', "internalPosition"),
    (b'q', "internalQuery"),
    (b'W', "where"),
    (b's', "schema"),
    (b't', "table"),
    (b'c', "column"),
    (b'd', "dataType"),
    (b'n', "constraint"),
    (b'F', "file"),
    (b'L', "line"),
    (b'R', "routine"),
    (b'S', "localizedSeverity"),
];

/// An error or a notice of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerMessage {
    /// The SQLSTATE.
    pub code: String,
    /// The message.
    pub message: String,
    /// The other fields that are there, by their names.
    pub fields: Vec<(&'static str, String)>,
}

impl ServerMessage {
    /// Reads the body of an error or a notice; `None` where it is broken.
    pub(super) fn parse(mut body: &[u8]) -> Option<Self> {
        let mut parsed = Self::default();
        loop {
            let (&letter, rest) = body.split_first()?;
            if letter == 0 {
                return rest.is_empty().then_some(parsed);
            }
            let end = memchr::memchr(0, rest)?;
            // A server that speaks another encoding before it knows ours is not a reason to lose its message.
            let value = String::from_utf8_lossy(&rest[..end]).into_owned();
            body = &rest[end + 1..];
            match letter {
                b'C' => parsed.code = value,
                b'M' => parsed.message = value,
                _ => {
                    let known = FIELDS.iter().find(|(known, _)| *known == letter);
                    parsed.fields.extend(known.map(|(_, name)| (*name, value)));
                }
            }
        }
    }

    /// The same, where a broken one is a failure.
    pub(super) fn read(body: &[u8]) -> Outcome<Self> {
        Self::parse(body)
            .ok_or_else(|| protocol_failure("The server sent an error that cannot be read"))
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the server ends the connection after it.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(self.field("severity"), Some("FATAL" | "PANIC"))
    }

    /// The failure of the call that it answers.
    pub fn into_failure(self) -> Failure {
        let class = ErrorClass::of_message(&self);
        let fields: Map<_, _> = self
            .fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect();
        Failure::new(class.kind, self.message)
            .with_code(self.code)
            .with_retryable(class.retryable)
            .with_delivery(Delivery::Answered)
            .with_attempts(1)
            .with_detail("server", Value::Object(fields))
    }
}

/// The meaning of a SQLSTATE for a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ErrorClass {
    pub(super) kind: Kind,
    /// Whether the same call may succeed when it is repeated.
    pub(super) retryable: bool,
}

/// The code of a statement that was cancelled: by its time limit, or by somebody.
const CANCELED: &str = "57014";

/// The codes and the classes of codes that are more than a refusal
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>); the longest that matches counts.
const CLASSES: [(&str, Kind, bool); 17] = [
    ("08", Kind::Connect, true),
    ("08P01", Kind::Protocol, false),
    ("28", Kind::Auth, false),
    ("3D000", Kind::Rejected, false),
    // A transaction that can be done again as a whole.
    ("40001", Kind::Rejected, true),
    ("40P01", Kind::Rejected, true),
    ("53", Kind::Overloaded, true),
    // A full disk does not empty itself.
    ("53100", Kind::Overloaded, false),
    ("55P03", Kind::Overloaded, true),
    ("57014", Kind::Timeout, false),
    ("57P01", Kind::Disconnected, true),
    ("57P02", Kind::Disconnected, true),
    ("57P03", Kind::Connect, true),
    ("57P04", Kind::Rejected, false),
    ("57P05", Kind::Disconnected, true),
    ("58", Kind::Internal, false),
    ("XX", Kind::Internal, false),
];

impl ErrorClass {
    fn of_message(message: &ServerMessage) -> Self {
        // The code is that of a time limit, too, and nothing but the text tells them apart.
        if message.code == CANCELED && message.message.contains("user request") {
            return Self {
                kind: Kind::Rejected,
                retryable: false,
            };
        }
        Self::of(&message.code)
    }

    pub(super) fn of(code: &str) -> Self {
        let matching = CLASSES
            .iter()
            .filter(|(prefix, ..)| code.starts_with(prefix));
        let (kind, retryable) = matching
            .max_by_key(|(prefix, ..)| prefix.len())
            .map_or((Kind::Rejected, false), |(_, kind, retryable)| {
                (*kind, *retryable)
            });
        Self { kind, retryable }
    }
}

/// The failure of a connection on which something came that is no Postgres.
pub(super) fn protocol_failure(message: &str) -> Failure {
    Failure::new(Kind::Protocol, message).with_code("ERR_POSTGRES_PROTOCOL")
}

/// The same, with a beginning of what came instead.
pub(super) fn unexpected(what: &str, bytes: &[u8]) -> Failure {
    const SHOWN: usize = 60;
    let shown = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    protocol_failure(&format!("{what}, but '{shown}'"))
}

/// The failure of a connection that ended while an answer was waited for.
pub(super) fn lost(cause: Option<&std::io::Error>) -> Failure {
    let failure = Failure::new(
        Kind::Disconnected,
        "The connection to the server ended unexpectedly",
    )
    .with_code("ECONNRESET");
    match cause {
        Some(error) => failure.with_cause(error.to_string(), None),
        None => failure,
    }
}

/// The failure of a connection that ended before a session had begun on it.
pub(super) fn ended(cause: Option<&std::io::Error>) -> Failure {
    let message = "The server ended the connection before the session began";
    let failure = Failure::new(Kind::Connect, message).with_code("ECONNRESET");
    let Some(error) = cause else {
        return failure;
    };
    // With TLS 1.3 a server refuses our certificate when the handshake is over for us.
    let class = chain(error).find_map(classify);
    let failure = match class.filter(|class| matches!(class.kind, Kind::Tls | Kind::Auth)) {
        Some(FailureClass { kind, code }) => {
            Failure::new(kind, "The server ended the TLS session").with_code(code)
        }
        None => failure,
    };
    failure.with_cause(error.to_string(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_the_kind_that_a_caller_acts_on() {
        let table = [
            ("08000", Kind::Connect, true),
            ("08001", Kind::Connect, true),
            ("08003", Kind::Connect, true),
            ("08004", Kind::Connect, true),
            ("08006", Kind::Connect, true),
            ("08007", Kind::Connect, true),
            ("08P01", Kind::Protocol, false),
            ("28000", Kind::Auth, false),
            ("28P01", Kind::Auth, false),
            ("3D000", Kind::Rejected, false),
            ("23505", Kind::Rejected, false),
            ("25006", Kind::Rejected, false),
            ("25P02", Kind::Rejected, false),
            ("40001", Kind::Rejected, true),
            ("40002", Kind::Rejected, false),
            ("40P01", Kind::Rejected, true),
            ("42P01", Kind::Rejected, false),
            ("53300", Kind::Overloaded, true),
            ("53100", Kind::Overloaded, false),
            ("55P03", Kind::Overloaded, true),
            ("57014", Kind::Timeout, false),
            ("0A000", Kind::Rejected, false),
            ("57P01", Kind::Disconnected, true),
            ("57P02", Kind::Disconnected, true),
            ("57P04", Kind::Rejected, false),
            ("57P05", Kind::Disconnected, true),
            ("57P03", Kind::Connect, true),
            ("XX000", Kind::Internal, false),
            ("", Kind::Rejected, false),
        ];
        for (code, kind, retryable) in table {
            assert_eq!(
                ErrorClass::of(code),
                ErrorClass { kind, retryable },
                "{code}"
            );
        }
    }

    #[test]
    fn who_has_cancelled_a_statement_is_told_by_the_text() {
        let kind = |text: &str| {
            let body = format!("SERROR\0VERROR\0C57014\0M{text}\0\0");
            let failure = ServerMessage::read(body.as_bytes()).unwrap().into_failure();
            (failure.kind, failure.retryable)
        };
        let by = |who: &str| kind(&format!("canceling statement due to {who}"));
        assert_eq!(by("statement timeout"), (Kind::Timeout, false));
        assert_eq!(by("user request"), (Kind::Rejected, false));
    }

    #[test]
    fn fields_have_the_names_that_pg_gives_them() {
        let body = b"SFEHLER\0VERROR\0C23505\0Mdup\0Dkey\0nusers_pkey\0Zunknown\0\0";
        let message = ServerMessage::parse(body).unwrap();
        assert_eq!(
            (message.code.as_str(), message.message.as_str()),
            ("23505", "dup")
        );
        assert_eq!(message.field("severity"), Some("ERROR"));
        assert_eq!(message.field("constraint"), Some("users_pkey"));
        let failure = message.into_failure();
        assert_eq!(failure.delivery, Delivery::Answered);
        assert_eq!(failure.detail["server"]["detail"], "key");
        for cut in 0..body.len() {
            assert_eq!(ServerMessage::parse(&body[..cut]), None, "{cut}");
        }
    }
}
