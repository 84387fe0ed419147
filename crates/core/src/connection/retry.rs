//! The retry strategies of a connection: options in seconds and attempts, read as retry policies.

use std::time::Duration;

use crate::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
    resilience::{
        config::PolicyConfig,
        pipeline::PipelineConfig,
        retry::{Backoff, Jitter, RetryPolicy},
    },
};

/// The number of attempts, the first included.
const MAX_ATTEMPTS: u64 = 3;
const BASE_DELAY: Duration = Duration::from_secs(1);
const MULTIPLIER: f64 = 2.0;
const INCREMENT: Duration = Duration::from_secs(1);
const JITTER_FACTOR: f64 = 0.1;
/// The cap of a growing delay, unless the first delay is longer.
const MAX_DELAY: Duration = Duration::from_millis(i32::MAX as u64);
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);

/// Reads `maxAttempts`, `baseDelay` in seconds and, by `kind`, `multiplier` (`exponential`), `increment` in seconds
/// (`linear`) or `jitterFactor` (`jitter`).
///
/// No time limits: the retried function sets its own.
pub fn read_policy(kind: &str, given: &PlainValue) -> Read<PolicyConfig> {
    let options = Options::new("", given)?;
    let attempts = options.integer("maxAttempts", MAX_ATTEMPTS, 1..=u64::from(u32::MAX))?;
    let base_delay = options.seconds("baseDelay", BASE_DELAY, 0.0)?;
    let (backoff, jitter) = match kind {
        "exponential" => {
            let given = options.number("multiplier", 1.0..=1000.0)?;
            let factor = given.unwrap_or(MULTIPLIER);
            (Backoff::Exponential { factor }, 0.0)
        }
        "linear" => {
            let increment = options.seconds("increment", INCREMENT, 0.0)?;
            (Backoff::Linear { increment }, 0.0)
        }
        "jitter" => {
            let given = options.number("jitterFactor", 0.0..=1.0)?;
            let factor = MULTIPLIER;
            (
                Backoff::Exponential { factor },
                given.unwrap_or(JITTER_FACTOR),
            )
        }
        _ => {
            return Err(OptionError::bad_value(
                "kind",
                "is not a known retry strategy",
            ));
        }
    };
    options.finish()?;
    Ok(PolicyConfig {
        pipeline: PipelineConfig {
            timeout: Limit::Off,
            attempt_timeout: Limit::Off,
            retry: Some(RetryPolicy {
                max_retries: (attempts - 1) as u32,
                base_delay,
                max_delay: MAX_DELAY.max(base_delay),
                backoff,
                jitter: Jitter::Symmetric(jitter),
                max_retry_after: MAX_RETRY_AFTER,
                cut_retry_after: false,
            }),
            limiter: None,
            bulkhead: None,
        },
        budget: None,
        breaker: None,
    })
}
