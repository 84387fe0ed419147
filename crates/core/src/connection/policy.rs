//! Retry and breaker policies of a connection: for its calls and for its recovery.
//!
//! No policy here has a budget or a time limit of its own. A connection is one caller, not many, and how long an
//! attempt may take is the transport's to know.

use std::time::Duration;

use super::config::ConnectionConfig;
use crate::{
    limit::Limit,
    resilience::{
        breaker::{BreakerConfig, Trip},
        config::{BREAKER, LIMITER_QUEUE, PolicyConfig, RETRY},
        limiter::{LimiterConfig, Rate},
        pipeline::{BreakerScope, PipelineConfig},
        retry::{Backoff, Jitter, RetryPolicy},
    },
};

/// The longest delay that grows by itself.
const MAX_DELAY: Duration = Duration::from_secs(30);
/// As long as a timer can wait.
const MAX_TIMER_DELAY: Duration = Duration::from_millis(i32::MAX as u64);
/// Reconnecting goes on until it succeeds, is told to stop, or is refused for good.
const UNLIMITED_RETRIES: u32 = 1_000_000;

/// The purpose of a policy of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Calls through a transport of ours, which keeps to `timeout` itself.
    Transport,
    /// Calls of a connection that a user has written.
    Custom,
    /// Opening it, where that is to be repeated.
    Connect,
    /// Bringing back what was lost.
    Reconnection,
    /// Bringing back what is unhealthy, on behalf of a manager.
    Recovery,
}

impl Purpose {
    /// Every purpose by its name.
    pub const CHOICES: [(&'static str, Self); 5] = [
        ("transport", Self::Transport),
        ("custom", Self::Custom),
        ("connect", Self::Connect),
        ("reconnection", Self::Reconnection),
        ("recovery", Self::Recovery),
    ];
}

impl ConnectionConfig {
    /// The policy for a purpose.
    pub fn policy(&self, purpose: Purpose) -> PolicyConfig {
        match purpose {
            Purpose::Transport => self.call_policy(Limit::Off),
            Purpose::Custom => self.call_policy(self.timeout),
            Purpose::Connect => retry_only(self.retry_policy(self.retry_count)),
            Purpose::Reconnection => retry_only(self.reconnection_policy()),
            // The attempt that finds it unhealthy still is the first.
            Purpose::Recovery => retry_only(RetryPolicy {
                jitter: Jitter::Symmetric(0.0),
                ..self.retry_policy(self.retry_count.saturating_sub(1))
            }),
        }
    }

    /// `retryCount` more attempts after the first, one breaker around the whole.
    fn call_policy(&self, attempt_timeout: Limit<Duration>) -> PolicyConfig {
        let retries = self.auto_retry && self.retry_count > 0;
        let breaker = BreakerConfig {
            trip: Trip::Consecutive {
                failures: self.circuit_breaker_threshold,
            },
            reset_timeout: self.circuit_breaker_timeout,
            max_reset_timeout: self.circuit_breaker_timeout,
            probe_timeout: self.timeout.get().unwrap_or(BREAKER.probe_timeout),
            ..BREAKER
        };
        let limiter = LimiterConfig {
            rate: Rate::Window {
                max: self.rate_limit_requests,
                window: self.rate_limit_window,
            },
            max_queue: LIMITER_QUEUE.0,
            max_wait: self.timeout.get().unwrap_or(MAX_TIMER_DELAY),
        };
        PolicyConfig {
            pipeline: PipelineConfig {
                timeout: Limit::Off,
                attempt_timeout,
                retry: retries.then(|| self.retry_policy(self.retry_count)),
                limiter: self.rate_limit.then_some(limiter),
                bulkhead: None,
            },
            budget: None,
            breaker: self
                .circuit_breaker
                .then_some((BreakerScope::Calls, breaker)),
        }
    }

    /// The retries of a reconnection, which honours any `Retry-After`: giving up would end it for good.
    fn reconnection_policy(&self) -> RetryPolicy {
        let once = self.recovery_strategy == "reconnect";
        RetryPolicy {
            max_retry_after: MAX_TIMER_DELAY,
            cut_retry_after: true,
            ..self.retry_policy(if once { 1 } else { UNLIMITED_RETRIES })
        }
    }

    fn retry_policy(&self, max_retries: u32) -> RetryPolicy {
        RetryPolicy {
            max_retries,
            base_delay: self.retry_delay,
            max_delay: MAX_DELAY.max(self.retry_delay),
            backoff: Backoff::Exponential {
                factor: self.backoff_multiplier,
            },
            ..RETRY
        }
    }
}

fn retry_only(retry: RetryPolicy) -> PolicyConfig {
    PolicyConfig {
        pipeline: PipelineConfig {
            timeout: Limit::Off,
            attempt_timeout: Limit::Off,
            retry: Some(retry),
            limiter: None,
            bulkhead: None,
        },
        budget: None,
        breaker: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        options::PlainValue,
        resilience::{outcome::AttemptFailure, retry::Retry},
    };

    fn config(given: &[(&str, PlainValue)]) -> ConnectionConfig {
        let given = given.iter().cloned();
        let given = PlainValue::Map(given.map(|(key, value)| (key.to_owned(), value)).collect());
        ConnectionConfig::read(&given, &PlainValue::Map(vec![]), Some("websocket")).unwrap()
    }

    fn retry_policy(config: &ConnectionConfig, purpose: Purpose) -> RetryPolicy {
        config.policy(purpose).pipeline.retry.unwrap()
    }

    #[test]
    fn delays_grow_up_to_half_a_minute_or_to_what_was_asked_for() {
        let long = Duration::from_mins(1);
        let asked = config(&[("retryDelay", PlainValue::Number(60_000.0))]);
        for (_, purpose) in Purpose::CHOICES {
            assert_eq!(retry_policy(&config(&[]), purpose).max_delay, MAX_DELAY);
            assert_eq!(retry_policy(&asked, purpose).max_delay, long);
            assert_eq!(config(&[]).policy(purpose).budget, None);
        }
    }

    #[test]
    fn reconnecting_waits_for_as_long_as_the_server_asks_and_never_ends() {
        let endless = retry_policy(&config(&[]), Purpose::Reconnection);
        for asked in [Duration::from_hours(24), MAX_TIMER_DELAY, Duration::MAX] {
            let fault = AttemptFailure {
                retry_after: Some(asked),
                ..AttemptFailure::counted(true)
            };
            let next = endless.next(1, &fault, &mut fastrand::Rng::new());
            assert_eq!(next, Retry::After(asked.min(MAX_TIMER_DELAY)));
        }
        assert_eq!(
            (endless.max_retries, endless.jitter),
            (UNLIMITED_RETRIES, Jitter::Full)
        );
        let strategy = ("recoveryStrategy", PlainValue::Text("reconnect".into()));
        assert_eq!(
            retry_policy(&config(&[strategy]), Purpose::Reconnection).max_retries,
            1
        );
        assert_eq!(retry_policy(&config(&[]), Purpose::Recovery).max_retries, 2);
        assert_eq!(retry_policy(&config(&[]), Purpose::Connect).max_retries, 3);
    }

    #[test]
    fn a_connection_without_a_time_limit_has_parts_that_need_one() {
        let limitless = config(&[
            ("timeout", PlainValue::Number(f64::INFINITY)),
            ("rateLimit", PlainValue::Bool(true)),
        ]);
        let policy = limitless.policy(Purpose::Custom);
        assert_eq!(policy.pipeline.attempt_timeout, Limit::Off);
        assert_eq!(policy.pipeline.limiter.unwrap().max_wait, MAX_TIMER_DELAY);
        assert_eq!(
            policy.breaker.unwrap().1.probe_timeout,
            BREAKER.probe_timeout
        );
    }

    #[test]
    fn a_part_that_is_off_is_not_there() {
        let off = config(&[
            ("autoRetry", PlainValue::Bool(false)),
            ("circuitBreaker", PlainValue::Bool(false)),
        ]);
        let policy = off.policy(Purpose::Transport);
        let parts = (
            policy.pipeline.retry,
            policy.pipeline.limiter,
            policy.breaker,
        );
        assert_eq!(parts, (None, None, None));
    }
}
