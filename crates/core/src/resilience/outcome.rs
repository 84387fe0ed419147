//! The outcome of an attempt or call, reduced to the inputs of the policies.

use std::time::Duration;

use super::idempotency::is_server_error;
use crate::error::{Delivery, Failure, Kind};

/// The outcome of an attempt, as a policy sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Success.
    Success,
    /// Failure.
    Failure(AttemptFailure),
}

/// A failure, as a policy sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptFailure {
    /// As how many failures a breaker counts it. Zero: it says nothing about the health of the service, and
    /// is neither a success nor a failure.
    pub weight: u32,
    /// Whether a repeat may succeed and does no harm.
    pub retryable: bool,
    /// The wait that the server asked for.
    pub retry_after: Option<Duration>,
}

impl AttemptFailure {
    /// A failure of the service that counts once.
    pub const fn counted(retryable: bool) -> Self {
        Self {
            weight: 1,
            retryable,
            retry_after: None,
        }
    }
}

impl From<&Failure> for AttemptFailure {
    fn from(failure: &Failure) -> Self {
        let status = failure
            .detail
            .get("status")
            .and_then(serde_json::Value::as_u64);
        // A 429 that no wait will cure is a used-up quota: the caller's account, not the service's health.
        let quota = failure.kind == Kind::RateLimited && !failure.retryable;
        let blamed = blames_service(failure.kind, failure.delivery, status);
        Self {
            weight: u32::from(blamed && !quota),
            retryable: failure.retryable,
            retry_after: failure.retry_after,
        }
    }
}

/// Whether a failure says that the service is unwell.
///
/// Our own refusals, the caller's mistakes and plain answers ("no such table", a 404) do not; a broken or silent
/// connection, a 5xx, and the two client statuses by which a server says "too much, too slow" (408, 429) do.
pub fn blames_service(kind: Kind, delivery: Delivery, status: Option<u64>) -> bool {
    match kind {
        Kind::Timeout | Kind::Connect | Kind::Tls | Kind::Disconnected | Kind::Protocol => true,
        Kind::RateLimited => delivery != Delivery::None,
        Kind::Rejected => status.is_some_and(status_blames_service),
        Kind::Connector => status.is_none_or(status_blames_service),
        Kind::Closed
        | Kind::CircuitOpen
        | Kind::Overloaded
        | Kind::PoolTimeout
        | Kind::Auth
        | Kind::Signature
        | Kind::Internal => false,
    }
}

/// Whether an HTTP status says that the service is unwell.
pub fn status_blames_service(status: u64) -> bool {
    is_server_error(status) || status == 408 || status == 429
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight_of_status(status: u16) -> u32 {
        let failure = Failure::new(Kind::Rejected, "x").with_detail("status", status);
        AttemptFailure::from(&failure).weight
    }

    #[test]
    fn client_errors_do_not_count_except_408_and_429() {
        for status in [400, 401, 403, 404, 409, 422] {
            assert_eq!(weight_of_status(status), 0, "{status}");
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(weight_of_status(status), 1, "{status}");
        }
    }

    #[test]
    fn own_refusals_do_not_count_and_the_servers_429_does() {
        let ours = Failure::new(Kind::RateLimited, "x").with_delivery(Delivery::None);
        let theirs = Failure::new(Kind::RateLimited, "x").with_delivery(Delivery::Answered);
        assert_eq!(AttemptFailure::from(&ours).weight, 0);
        assert_eq!(AttemptFailure::from(&theirs).weight, 1);
        assert_eq!(
            AttemptFailure::from(&theirs.with_retryable(false)).weight,
            0
        );
        for kind in [Kind::CircuitOpen, Kind::Overloaded, Kind::PoolTimeout] {
            assert_eq!(AttemptFailure::from(&Failure::new(kind, "x")).weight, 0);
        }
    }
}
