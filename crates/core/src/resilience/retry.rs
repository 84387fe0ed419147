//! The retry policy: when to repeat, and after which delay.

use std::time::Duration;

use super::outcome::AttemptFailure;

/// The growth of the delay from one retry to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Backoff {
    /// The base delay each time.
    Fixed,
    /// The base delay plus `increment` for each earlier retry.
    Linear {
        /// The increment of each retry.
        increment: Duration,
    },
    /// The base delay times `factor` to the power of the earlier retries.
    Exponential {
        /// At least 1.
        factor: f64,
    },
}

/// The spread of the delay, so that many clients do not retry at the same moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// ± this fraction (0 to 1) of the capped delay; 0 is no jitter.
    Symmetric(f64),
    /// Anything between zero and the capped delay.
    Full,
}

/// A retry policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Extra attempts after the first.
    pub max_retries: u32,
    /// The delay before the first retry.
    pub base_delay: Duration,
    /// The cap of the delay, before jitter.
    pub max_delay: Duration,
    /// The growth.
    pub backoff: Backoff,
    /// The spread.
    pub jitter: Jitter,
    /// The longest wait a server may ask for. When it asks for more the call fails at once: coming back
    /// early would only add to its load.
    pub max_retry_after: Duration,
    /// Whether a longer one is cut to it instead: for what must never be given up.
    pub cut_retry_after: bool,
}

/// The decision after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Try again after this long.
    After(Duration),
    /// Fail with the error of this attempt.
    GiveUp(GiveUp),
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// A repeat cannot help, or could do harm.
    NotRetryable,
    /// All attempts were made.
    Exhausted,
    /// The server asked for a longer wait than is allowed.
    RetryAfterTooLong,
    /// The shared budget is used up.
    Budget,
    /// The call's deadline would pass before the next attempt.
    Deadline,
    /// The breaker opened and stays open past the delay.
    CircuitOpen,
}

impl RetryPolicy {
    /// Decides after attempt number `attempt` (from 1) failed with `failure`.
    pub fn next(&self, attempt: u32, failure: &AttemptFailure, rng: &mut fastrand::Rng) -> Retry {
        if !failure.retryable {
            return Retry::GiveUp(GiveUp::NotRetryable);
        }
        if attempt > self.max_retries {
            return Retry::GiveUp(GiveUp::Exhausted);
        }
        match failure.retry_after {
            Some(asked) if asked > self.max_retry_after && !self.cut_retry_after => {
                Retry::GiveUp(GiveUp::RetryAfterTooLong)
            }
            // The server knows best, and is never asked sooner than it said. A moment that is here already, by its
            // clock, says nothing of how often it wants to be asked.
            Some(asked) if !asked.is_zero() => Retry::After(asked.min(self.max_retry_after)),
            _ => Retry::After(self.delay(attempt, rng)),
        }
    }

    /// The delay before retry number `retry` (from 1): grown, then capped, then spread.
    pub fn delay(&self, retry: u32, rng: &mut fastrand::Rng) -> Duration {
        let earlier = retry.saturating_sub(1);
        let base = self.base_delay.as_secs_f64();
        let grown = match self.backoff {
            Backoff::Fixed => base,
            Backoff::Linear { increment } => base + increment.as_secs_f64() * f64::from(earlier),
            // A zero base must stay zero: 0 × ∞ is not a number.
            Backoff::Exponential { .. } if base == 0.0 => 0.0,
            Backoff::Exponential { factor } => {
                base * factor.powi(i32::try_from(earlier).unwrap_or(i32::MAX))
            }
        };
        let capped = grown.min(self.max_delay.as_secs_f64());
        let spread = match self.jitter {
            Jitter::Full => capped * rng.f64(),
            Jitter::Symmetric(fraction) => capped * (1.0 + fraction * (2.0 * rng.f64() - 1.0)),
        };
        Duration::try_from_secs_f64(spread).unwrap_or(self.max_delay)
    }
}
