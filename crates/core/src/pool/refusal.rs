//! Why a borrower gets nothing, as the failures users see.

use std::time::Duration;

use crate::error::{Failure, Kind};

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
                "Too many callers already wait for a connection",
            ),
        }
        .with_attempts(0)
    }
}

/// The failure of a borrower whose time in the queue ran out: kind `pool-timeout`, code `ETIMEDOUT`.
pub fn acquire_timed_out(after: Duration) -> Failure {
    let ms = (after.as_secs_f64() * 1000.0).round();
    Failure::new(
        Kind::PoolTimeout,
        format!("Connection timeout after {ms}ms"),
    )
    .with_attempts(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_names_its_milliseconds_and_carries_the_usual_code() {
        let failure = acquire_timed_out(Duration::from_millis(250));
        assert_eq!(failure.message, "Connection timeout after 250ms");
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
