//! Refusals and timeouts of a pool, as the failures users see.

use std::time::Duration;

use crate::{
    error::{Failure, Kind},
    limit::TimeLimit,
};

/// Why an acquire was refused at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The pool shuts down and waits for its last borrowers.
    Draining,
    /// The pool is shut down.
    Closed,
    /// The queue is full.
    Overloaded,
}

impl Refusal {
    /// The failure a borrower sees.
    pub fn failure(self) -> Failure {
        match self {
            Self::Draining | Self::Closed => Failure::new(Kind::Closed, "Pool is shutting down"),
            Self::Overloaded => Failure::new(
                Kind::Overloaded,
                "Too many callers are waiting for a connection",
            ),
        }
        .with_attempts(0)
    }
}

/// The failure of a borrower whose time in the queue ran out: kind `pool-timeout`, code `ETIMEDOUT`.
pub fn acquire_timed_out(TimeLimit { time, option }: TimeLimit) -> Failure {
    let ms = time.as_ms().round();
    let message = format!("Connection timeout after {ms}ms");
    Failure::timed_out(Kind::PoolTimeout, message, option).with_attempts(0)
}

/// The failure of a connection that took too long to be made.
pub fn connect_timed_out(after: Duration, option: &str) -> Failure {
    let message = format!("Connecting took longer than {}ms", after.as_millis());
    Failure::timed_out(Kind::Connect, message, option).with_code("ETIMEDOUT")
}

/// The failure of a connection that took too long to be closed.
pub fn close_timed_out(after: Duration, option: &str) -> Failure {
    let message = format!(
        "Closing a connection took longer than {}ms",
        after.as_millis()
    );
    Failure::timed_out(Kind::Timeout, message, option)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Limit;

    #[test]
    fn a_timeout_names_its_milliseconds_and_its_option_and_carries_the_usual_code() {
        let ms = Duration::from_millis;
        let failure = acquire_timed_out(TimeLimit {
            time: Limit::At(ms(250)),
            option: "acquireTimeoutMs",
        });
        assert_eq!(
            failure.message,
            "Connection timeout after 250ms (acquireTimeoutMs)"
        );
        let failures = [
            (
                connect_timed_out(ms(5), "connectTimeoutMs"),
                "took longer than 5ms (connectTimeoutMs)",
            ),
            (
                close_timed_out(ms(7), "releaseTimeout"),
                "took longer than 7ms (releaseTimeout)",
            ),
        ];
        for (failure, end) in failures {
            assert!(failure.message.ends_with(end), "{failure}");
            assert_eq!(failure.code, "ETIMEDOUT");
        }
        assert_eq!(failure.code, "ETIMEDOUT");
        assert_eq!((failure.kind, failure.attempts), (Kind::PoolTimeout, 0));
    }

    #[test]
    fn a_pool_that_shuts_down_says_so_before_and_after_its_last_borrower_left() {
        for refusal in [Refusal::Draining, Refusal::Closed] {
            assert_eq!(refusal.failure().message, "Pool is shutting down");
            let failure = refusal.failure();
            assert_eq!((failure.kind, failure.attempts), (Kind::Closed, 0));
        }
    }
}
