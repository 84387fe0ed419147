//! The description of normalized options, with every default filled in.
//!
//! The names are those that users wrote. `null` stands for a limit that is off.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{
    breaker::{BreakerConfig, Trip},
    budget::RetryBudgetConfig,
    config::PolicyConfig,
    limiter::{LimiterConfig, Rate},
    pipeline::BreakerScope,
    retry::{Backoff, Jitter, RetryPolicy},
};

/// A whole policy; a part that is off is `false`.
pub fn policy_json(config: &PolicyConfig) -> Json {
    let pipeline = &config.pipeline;
    json!({
        "timeoutMs": pipeline.timeout.get().map(ms),
        "attemptTimeoutMs": pipeline.attempt_timeout.get().map(ms),
        "retry": or_off(pipeline.retry.map(|policy| retry_json(&policy, config.budget))),
        "breaker": or_off(config.breaker.map(|(scope, config)| breaker_json(scope, &config))),
        "rateLimit": or_off(pipeline.limiter.map(rate_limit_json)),
        "bulkhead": or_off(pipeline.bulkhead.map(|bulkhead| json!({
            "maxConcurrent": bulkhead.max_concurrent,
            "maxQueue": bulkhead.max_queue,
        }))),
    })
}

fn rate_limit_json(config: LimiterConfig) -> Json {
    let mut shown = match config.rate {
        Rate::Window { max, window } => json!({ "max": max, "windowMs": ms(window) }),
        Rate::Bucket { interval, burst } => {
            json!({ "perSecond": 1.0 / interval.as_secs_f64(), "burst": burst })
        }
    };
    shown["maxQueue"] = json!(config.max_queue);
    shown["maxWaitMs"] = json!(ms(config.max_wait));
    shown
}

fn retry_json(policy: &RetryPolicy, budget: Option<RetryBudgetConfig>) -> Json {
    let mut shown = json!({
        "maxRetries": policy.max_retries,
        "baseDelayMs": ms(policy.base_delay),
        "maxDelayMs": ms(policy.max_delay),
        "maxRetryAfterMs": ms(policy.max_retry_after),
        "jitter": match policy.jitter {
            Jitter::Full => json!("full"),
            Jitter::Symmetric(fraction) => json!(fraction),
        },
        "budget": or_off(budget.map(|budget| json!({
            "ratio": budget.ratio,
            "reservePerSecond": budget.reserve_per_second,
            "ttlMs": ms(budget.ttl),
        }))),
    });
    match policy.backoff {
        Backoff::Fixed => shown["backoff"] = json!("fixed"),
        Backoff::Linear { increment } => {
            shown["backoff"] = json!("linear");
            shown["incrementMs"] = json!(ms(increment));
        }
        Backoff::Exponential { factor } => {
            shown["backoff"] = json!("exponential");
            shown["exponentialBase"] = json!(factor);
        }
    }
    shown
}

fn breaker_json(scope: BreakerScope, config: &BreakerConfig) -> Json {
    let mut shown = json!({
        "counts": match scope {
            BreakerScope::Attempts => "attempts",
            BreakerScope::Calls => "calls",
        },
        "resetTimeoutMs": ms(config.reset_timeout),
        "maxResetTimeoutMs": ms(config.max_reset_timeout),
        "successThreshold": config.success_threshold,
        "halfOpenMaxCalls": config.half_open_max_calls,
        "probeTimeoutMs": ms(config.probe_timeout),
    });
    match config.trip {
        Trip::Consecutive { failures } => shown["failMax"] = json!(failures),
        Trip::Ratio {
            ratio,
            min_calls,
            window,
        } => {
            shown["failureRatio"] = json!(ratio);
            shown["minCalls"] = json!(min_calls);
            shown["windowMs"] = json!(ms(window));
        }
    }
    shown
}

fn or_off(part: Option<Json>) -> Json {
    part.unwrap_or(Json::Bool(false))
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
