//! Why a call may not run. Small and copied, because a refused call must cost next to nothing.

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
                let message = format!("Circuit breaker '{breaker}' is open");
                let failure =
                    Failure::new(Kind::CircuitOpen, message).with_detail("breaker", breaker);
                match retry_after {
                    Some(after) => failure.with_retry_after(after),
                    None => failure,
                }
            }
            Self::RateLimited { retry_after } => Failure::new(
                Kind::RateLimited,
                "the rate limit's queue is full, or the wait in it too long",
            )
            .with_delivery(Delivery::None)
            .with_retry_after(retry_after),
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
