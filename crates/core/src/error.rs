//! The one error taxonomy: every operational failure of every service is a [`Failure`].
//!
//! A failure is a record; it becomes a thrown `MoorlineError` only in `lib/`, where the caller's stack is.
//! Programmer mistakes are not failures: they are [`crate::options::OptionError`]s and throw at once.

use std::{borrow::Cow, fmt, time::Duration};

/// The longest delay of a timer of Node's.
const LONGEST_TIMER: Duration = Duration::from_millis(i32::MAX as u64);

/// The kinds of failures, a closed set: the field to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The object was closed, drained or released by its owner.
    Closed,
    /// A circuit breaker refused the call.
    CircuitOpen,
    /// A rate limit refused the call, ours or the server's (429).
    RateLimited,
    /// A bounded queue or bulkhead was full, or the system refused a thread.
    Overloaded,
    /// No pooled connection became free in time.
    PoolTimeout,
    /// A deadline passed while the operation ran.
    Timeout,
    /// No connection could be made.
    Connect,
    /// The TLS handshake or a certificate check failed.
    Tls,
    /// Credentials are missing or were refused.
    Auth,
    /// An established connection was lost.
    Disconnected,
    /// The server answered, and the answer is no (an SQL error, a 4xx or 5xx).
    Rejected,
    /// The peer broke the protocol, or its answer cannot be read.
    Protocol,
    /// A webhook signature does not verify.
    Signature,
    /// A connector's provider failed in a way of its own.
    Connector,
    /// A defect in moorline.
    Internal,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 15] = [
        Self::Closed,
        Self::CircuitOpen,
        Self::RateLimited,
        Self::Overloaded,
        Self::PoolTimeout,
        Self::Timeout,
        Self::Connect,
        Self::Tls,
        Self::Auth,
        Self::Disconnected,
        Self::Rejected,
        Self::Protocol,
        Self::Signature,
        Self::Connector,
        Self::Internal,
    ];

    /// The string users see in `error.kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::CircuitOpen => "circuit-open",
            Self::RateLimited => "rate-limited",
            Self::Overloaded => "overloaded",
            Self::PoolTimeout => "pool-timeout",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Disconnected => "disconnected",
            Self::Rejected => "rejected",
            Self::Protocol => "protocol",
            Self::Signature => "signature",
            Self::Connector => "connector",
            Self::Internal => "internal",
        }
    }

    /// The code used where the usual client of a service has none of its own.
    pub const fn default_code(self) -> &'static str {
        match self {
            Self::Closed => "ERR_MOORLINE_CLOSED",
            Self::CircuitOpen => "ERR_MOORLINE_CIRCUIT_OPEN",
            Self::RateLimited => "ERR_MOORLINE_RATE_LIMITED",
            Self::Overloaded => "ERR_MOORLINE_OVERLOADED",
            Self::PoolTimeout | Self::Timeout => "ETIMEDOUT",
            Self::Connect => "ERR_MOORLINE_CONNECT",
            Self::Tls => "ERR_MOORLINE_TLS",
            Self::Auth => "ERR_MOORLINE_AUTH",
            Self::Disconnected => "ERR_MOORLINE_DISCONNECTED",
            Self::Rejected => "ERR_MOORLINE_REJECTED",
            Self::Protocol => "ERR_MOORLINE_PROTOCOL",
            Self::Signature => "ERR_MOORLINE_SIGNATURE",
            Self::Connector => "ERR_MOORLINE_CONNECTOR",
            Self::Internal => "ERR_MOORLINE_INTERNAL",
        }
    }

    /// The delivery of a failure that says nothing else: `None` where the kind proves it.
    pub const fn default_delivery(self) -> Delivery {
        match self {
            Self::Closed
            | Self::CircuitOpen
            | Self::Overloaded
            | Self::PoolTimeout
            | Self::Connect
            | Self::Tls => Delivery::None,
            _ => Delivery::Unknown,
        }
    }

    /// Whether the reason may pass, so that a repeat that does no harm may succeed.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Timeout | Self::Disconnected) || self.default_retryable()
    }

    /// Whether a failure that says nothing else is retryable: after a timeout or a loss a repeat may do harm.
    pub const fn default_retryable(self) -> bool {
        matches!(
            self,
            Self::CircuitOpen
                | Self::RateLimited
                | Self::Overloaded
                | Self::PoolTimeout
                | Self::Connect
        )
    }
}

/// The progress of an operation, which decides whether a repeat can do harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Provably nothing reached the server: a repeat is safe.
    None,
    /// The server may have acted on it.
    Unknown,
    /// A response began: the server did act on it.
    Answered,
}

impl Delivery {
    /// The string users see in `error.delivery`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unknown => "unknown",
            Self::Answered => "answered",
        }
    }
}

/// The error below a failure, reduced to what can cross to JavaScript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The text of the underlying error.
    pub message: String,
    /// Its code where it has one (`ECONNREFUSED`, `SQLITE_BUSY`).
    pub code: Option<String>,
}

/// Additional facts for `error.detail`: an HTTP status, a constraint's name, the elapsed time.
pub type Detail = serde_json::Map<String, serde_json::Value>;

/// An operational failure with all of its fields. One word wide, because it travels in every `Result`.
#[derive(Clone, PartialEq)]
pub struct Failure(Box<Fields>);

/// The fields of a [`Failure`], readable through `Deref`.
#[derive(Clone, PartialEq)]
pub struct Fields {
    /// The kind, which is the field to branch on.
    pub kind: Kind,
    /// The code the usual client of the service gives, else `ERR_MOORLINE_…`.
    pub code: Cow<'static, str>,
    /// One sentence for a person. Never contains a secret.
    pub message: String,
    /// The service (`libsql`, `nixtla`, …).
    pub service: &'static str,
    /// The operation (`execute`, `forecast`, …).
    pub operation: Cow<'static, str>,
    /// The progress of the operation.
    pub delivery: Delivery,
    /// Whether a repeat may succeed and does no harm.
    pub retryable: bool,
    /// The number of attempts; 0 for a call that was refused before its first.
    pub attempts: u32,
    /// The wait that the server or the breaker asks for.
    pub retry_after: Option<Duration>,
    /// Further facts.
    pub detail: Detail,
    /// The error below.
    pub cause: Option<Cause>,
}

impl Failure {
    /// A failure of `kind` with that kind's usual code, delivery and retryability; refine it with the
    /// `with_…` methods.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Fields {
            kind,
            code: Cow::Borrowed(kind.default_code()),
            message: message.into(),
            service: "moorline",
            operation: Cow::Borrowed(""),
            delivery: kind.default_delivery(),
            retryable: kind.default_retryable(),
            attempts: 1,
            retry_after: None,
            detail: Detail::new(),
            cause: None,
        }))
    }

    /// A wait was over. The message ends with the option that bounds it, which is `detail.limit`, too.
    pub fn timed_out(kind: Kind, message: impl fmt::Display, limit: &str) -> Self {
        Self::new(kind, format!("{message} ({limit})")).with_detail("limit", limit)
    }

    /// The caller gave the call up. `lib/` shows the signal's own reason instead of this record.
    pub fn aborted() -> Self {
        Self::new(Kind::Closed, "the caller aborted the call")
            .with_code("ABORT_ERR")
            .with_delivery(Delivery::Unknown)
    }

    /// A panic or a broken promise of moorline's own code stopped the call, which may have reached the server.
    pub fn defect() -> Self {
        Self::new(Kind::Internal, "the call was ended by a defect in moorline")
    }

    /// The system granted no thread, so nothing was done. A later call may find one.
    pub fn refused_thread() -> Self {
        Self::new(Kind::Overloaded, "the system could not create a thread").with_code("EAGAIN")
    }

    /// The sentence, where a service has its own for it.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// The code of the service's usual client.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = code.into();
        self
    }

    /// The service and its operation that failed.
    #[must_use]
    pub fn during(
        mut self,
        service: &'static str,
        operation: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.0.service = service;
        self.0.operation = operation.into();
        self
    }

    /// The progress of the operation.
    #[must_use]
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.0.delivery = delivery;
        self
    }

    /// Whether a repeat may succeed and does no harm.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// The number of attempts in all.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// The wait before a repeat makes sense; at most the longest that a timer of Node's can wait, as it takes
    /// anything longer as a millisecond.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after.min(LONGEST_TIMER));
        self
    }

    /// One more fact for `error.detail`.
    #[must_use]
    pub fn with_detail(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.0.detail.insert(name.to_owned(), value.into());
        self
    }

    /// The error below.
    #[must_use]
    pub fn with_cause(mut self, message: impl Into<String>, code: Option<String>) -> Self {
        self.0.cause = Some(Cause {
            message: message.into(),
            code,
        });
        self
    }

    /// The fields, for the bridge that takes them over to JavaScript.
    pub fn into_fields(self) -> Fields {
        *self.0
    }
}

impl std::ops::Deref for Failure {
    type Target = Fields;
    fn deref(&self) -> &Fields {
        &self.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Failure({} {} {}.{}: {})",
            self.kind.as_str(),
            self.code,
            self.service,
            self.operation,
            self.message
        )
    }
}

impl std::error::Error for Failure {}

/// The result of a service's operation.
pub type Outcome<T> = Result<T, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_fail_after_it_was_sent_is_no_proof_that_nothing_was() {
        for kind in [Kind::Timeout, Kind::Disconnected, Kind::Rejected] {
            let failure = Failure::new(kind, "x");
            assert_ne!(failure.delivery, Delivery::None, "{failure:?}");
        }
    }

    #[test]
    fn a_repeat_after_a_timeout_or_a_loss_may_succeed_and_do_harm() {
        let is_doubtful = |kind: &Kind| kind.is_transient() && !Failure::new(*kind, "x").retryable;
        let doubtful: Vec<_> = Kind::ALL.into_iter().filter(is_doubtful).collect();
        assert_eq!(doubtful, [Kind::Timeout, Kind::Disconnected]);
        assert!(!Kind::Closed.is_transient() && !Kind::Tls.is_transient());
    }

    #[test]
    fn a_defect_proves_nothing_about_delivery_and_is_not_retryable() {
        let failure = Failure::defect();
        assert_eq!(failure.kind, Kind::Internal);
        assert_eq!(failure.delivery, Delivery::Unknown);
        assert!(!failure.retryable);
    }

    #[test]
    fn kinds_are_distinct_kebab_case_words() {
        let mut seen = std::collections::HashSet::new();
        for kind in Kind::ALL {
            assert!(seen.insert(kind.as_str()));
            assert!(
                kind.as_str()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-')
            );
        }
    }

    #[test]
    fn a_failure_is_one_word_wide() {
        assert_eq!(size_of::<Outcome<()>>(), size_of::<usize>());
    }
}
