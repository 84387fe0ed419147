//! Refusals of calls by a policy: small and copied, as a refused call must cost little.

use std::time::Duration;

use crate::error::{Delivery, Failure, Kind};

/// A policy's no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The breaker is open, or has all its probes out.
    CircuitOpen {
        /// When it may let something through; unknown for one that was opened to stay open.
        retry_after: Option<Duration>,
    },
    /// Our own rate limit: too many wait already, or the wait would be too long.
    RateLimited {
        /// When a token is free.
        retry_after: Duration,
    },
    /// The bulkhead and its queue are full.
    Overloaded,
    /// The call's deadline passed before an attempt could start.
    DeadlinePassed,
}

impl Refusal {
    /// The failure it becomes; `breaker` is the name of the breaker in the pipeline.
    pub fn failure(self, breaker: &str) -> Failure {
        match self {
            Self::CircuitOpen { retry_after } => {
                let open = format!("Circuit breaker '{breaker}' is open");
                let failure = match retry_after.map(whole_ms) {
                    Some(after) => {
                        let message = format!("{open}; next attempt in {} ms", after.as_millis());
                        Failure::new(Kind::CircuitOpen, message).with_retry_after(after)
                    }
                    None => Failure::new(
                        Kind::CircuitOpen,
                        format!("{open} until it is closed manually"),
                    ),
                };
                failure.with_detail("breaker", breaker)
            }
            Self::RateLimited { retry_after } => Failure::new(
                Kind::RateLimited,
                "the queue of the rate limit is full, or the wait in it would be too long",
            )
            .with_delivery(Delivery::None)
            .with_retry_after(whole_ms(retry_after)),
            Self::Overloaded => Failure::new(
                Kind::Overloaded,
                "the limit of concurrent calls is reached and its queue is full",
            ),
            Self::DeadlinePassed => Failure::timed_out(
                Kind::Timeout,
                "the deadline passed before an attempt could start",
                "timeoutMs",
            )
            .with_delivery(Delivery::None),
        }
        .with_attempts(0)
    }
}

/// Rounded up: who comes back after whole milliseconds must not come too early.
fn whole_ms(after: Duration) -> Duration {
    let ms = after.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(retry_after: Option<Duration>) -> Failure {
        Refusal::CircuitOpen { retry_after }.failure("db")
    }

    #[test]
    fn an_open_breaker_says_when_it_lets_a_call_through() {
        let failure = open(Some(Duration::from_micros(29_874_001)));
        let message = "Circuit breaker 'db' is open; next attempt in 29875 ms";
        assert_eq!(failure.message, message);
        assert_eq!(failure.retry_after, Some(Duration::from_millis(29_875)));
    }

    #[test]
    fn one_that_was_opened_to_stay_open_knows_no_time() {
        let failure = open(None);
        let message = "Circuit breaker 'db' is open until it is closed manually";
        assert_eq!(
            (failure.message.as_str(), failure.retry_after),
            (message, None)
        );
    }
}
