//! The configuration of every policy, with its defaults.
//!
//! A service reads `options.retry`, `options.breaker`, … with `read` and its own defaults; the public policy classes
//! read a whole pipeline with [`PolicyConfig::read`].

use std::time::Duration;

use super::{
    breaker::{BreakerConfig, Trip},
    budget::RetryBudgetConfig,
    bulkhead::BulkheadConfig,
    limiter::{LimiterConfig, Rate},
    pipeline::{BreakerScope, PipelineConfig},
    retry::{Backoff, Jitter, RetryPolicy},
};
use crate::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
};

/// A whole call, with its retries and waiting.
pub const TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(30));
/// One attempt.
pub const ATTEMPT_TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(10));

/// Three attempts in all, full jitter from 200 ms up to 20 s, a server's wish honoured up to a minute.
pub const RETRY: RetryPolicy = RetryPolicy {
    max_retries: 2,
    base_delay: Duration::from_millis(200),
    max_delay: Duration::from_secs(20),
    backoff: Backoff::Exponential { factor: 2.0 },
    jitter: Jitter::Full,
    max_retry_after: Duration::from_mins(1),
    cut_retry_after: false,
};

/// One retry for five calls, and ten a second in reserve.
pub const BUDGET: RetryBudgetConfig = RetryBudgetConfig {
    ratio: 0.2,
    reserve_per_second: 10.0,
    ttl: Duration::from_secs(10),
};

/// Five failures in a row, a minute, one success.
pub const BREAKER: BreakerConfig = BreakerConfig {
    trip: Trip::Consecutive { failures: 5 },
    reset_timeout: Duration::from_mins(1),
    max_reset_timeout: Duration::from_mins(1),
    success_threshold: 1,
    half_open_max_calls: 3,
    probe_timeout: Duration::from_secs(30),
};

/// Half of at least ten calls within 30 seconds: the ratio mode, where an option of it is given.
pub const RATIO: (f64, u32, Duration) = (0.5, 10, Duration::from_secs(30));

/// The number of calls that may wait for a token, and their longest wait.
pub const LIMITER_QUEUE: (u32, Duration) = (1_000, Duration::from_secs(30));

/// 64 at once, 256 in line.
pub const BULKHEAD: BulkheadConfig = BulkheadConfig {
    max_concurrent: 64,
    max_queue: 256,
};

/// The ± fraction that `jitter: true` stands for.
pub const JITTER: f64 = 0.1;

/// The widest rate: a token a microsecond.
const MAX_PER_SECOND: f64 = 1_000_000.0;
const MAX_COUNT: u64 = u32::MAX as u64;

/// Everything a pipeline is made of, as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyConfig {
    /// The parts of its own.
    pub pipeline: PipelineConfig,
    /// The budget of its retries, if they have one.
    pub budget: Option<RetryBudgetConfig>,
    /// Its breaker and what that counts, if it has one.
    pub breaker: Option<(BreakerScope, BreakerConfig)>,
}

impl PolicyConfig {
    /// A breaker and nothing else: no timeouts, no retries.
    pub const fn breaker_only(scope: BreakerScope, breaker: BreakerConfig) -> Self {
        Self {
            pipeline: PipelineConfig {
                timeout: Limit::Off,
                attempt_timeout: Limit::Off,
                retry: None,
                limiter: None,
                bulkhead: None,
            },
            budget: None,
            breaker: Some((scope, breaker)),
        }
    }

    /// Reads `timeoutMs attemptTimeoutMs retry breaker rateLimit bulkhead`. Only the timeouts apply unasked; the
    /// others are on with `true` (the defaults) or an object, and off with `false` or nothing.
    pub fn read(options: &Options<'_>) -> Read<Self> {
        let timeout = options.ms_limit("timeoutMs", TIMEOUT, 1.0)?;
        let attempt_timeout = options.ms_limit("attemptTimeoutMs", ATTEMPT_TIMEOUT, 1.0)?;
        let limits = PipelineConfig {
            timeout,
            attempt_timeout,
            retry: None,
            limiter: None,
            bulkhead: None,
        };
        let own = Self::read_within(options, limits)?;
        Ok(Self {
            pipeline: PipelineConfig {
                limiter: part(options, "rateLimit", LimiterConfig::read)?,
                bulkhead: part(options, "bulkhead", |part| {
                    BulkheadConfig::read(part, BULKHEAD)
                })?,
                ..own.pipeline
            },
            ..own
        })
    }

    /// Reads `retry breaker` alone, for a service that bounds its calls by itself.
    pub fn read_unbounded(options: &Options<'_>) -> Read<Self> {
        let limits = PipelineConfig {
            timeout: Limit::Off,
            attempt_timeout: Limit::Off,
            retry: None,
            limiter: None,
            bulkhead: None,
        };
        Self::read_within(options, limits)
    }

    fn read_within(options: &Options<'_>, limits: PipelineConfig) -> Read<Self> {
        let retry = part(options, "retry", |part| {
            RetryPolicy::read(part, RETRY, Some(BUDGET))
        })?;
        let breaker = part(options, "breaker", |part| {
            let around = [
                ("attempts", BreakerScope::Attempts),
                ("calls", BreakerScope::Calls),
            ];
            let scope = part.choice("counts", BreakerScope::Attempts, &around)?;
            // A probe needs no longer than what it stands for.
            let longest = match scope {
                BreakerScope::Attempts => limits.attempt_timeout,
                BreakerScope::Calls => limits.timeout,
            };
            let defaults = BreakerConfig {
                probe_timeout: longest.get().unwrap_or(BREAKER.probe_timeout),
                ..BREAKER
            };
            Ok((scope, BreakerConfig::read(part, defaults)?))
        })?;
        Ok(Self {
            pipeline: PipelineConfig {
                retry: retry.map(|(retry, _)| retry),
                ..limits
            },
            budget: retry.and_then(|(_, budget)| budget),
            breaker,
        })
    }
}

/// Reads the options object of one part, which `true` turns on with its defaults, and closes it.
fn part<T>(
    options: &Options<'_>,
    key: &'static str,
    read: impl FnOnce(&Options<'_>) -> Read<T>,
) -> Read<Option<T>> {
    let given = match options.value(key) {
        None | Some(PlainValue::Bool(false)) => return Ok(None),
        Some(PlainValue::Bool(true)) => &PlainValue::Undefined,
        Some(given) => given,
    };
    let part = Options::new(&options.path_of(key), given)?;
    let value = read(&part)?;
    part.finish()?;
    Ok(Some(value))
}

impl RetryPolicy {
    /// Reads `maxRetries baseDelayMs maxDelayMs maxRetryAfterMs backoff exponentialBase incrementMs jitter budget`.
    pub fn read(
        options: &Options<'_>,
        defaults: Self,
        budget_default: Option<RetryBudgetConfig>,
    ) -> Read<(Self, Option<RetryBudgetConfig>)> {
        let policy = Self {
            max_retries: count(options, "maxRetries", defaults.max_retries, 0)?,
            base_delay: options.ms("baseDelayMs", defaults.base_delay, 0.0)?,
            max_delay: options.ms("maxDelayMs", defaults.max_delay, 0.0)?,
            max_retry_after: options.ms("maxRetryAfterMs", defaults.max_retry_after, 0.0)?,
            cut_retry_after: defaults.cut_retry_after,
            backoff: backoff(options, defaults)?,
            jitter: jitter(options, defaults.jitter)?,
        };
        let budget = match options.value("budget") {
            None | Some(PlainValue::Bool(true)) => budget_default,
            Some(_) => part(options, "budget", |part| {
                RetryBudgetConfig::read(part, BUDGET)
            })?,
        };
        Ok((policy, budget))
    }
}

fn backoff(options: &Options<'_>, defaults: RetryPolicy) -> Read<Backoff> {
    let default_factor = match defaults.backoff {
        Backoff::Exponential { factor } => factor,
        Backoff::Fixed | Backoff::Linear { .. } => 2.0,
    };
    let default_increment = match defaults.backoff {
        Backoff::Linear { increment } => increment,
        Backoff::Fixed | Backoff::Exponential { .. } => defaults.base_delay,
    };
    let factor = options
        .number("exponentialBase", 1.0..=1000.0)?
        .unwrap_or(default_factor);
    let increment = options.ms("incrementMs", default_increment, 0.0)?;
    let choices = [
        ("exponential", Backoff::Exponential { factor }),
        ("linear", Backoff::Linear { increment }),
        ("fixed", Backoff::Fixed),
    ];
    let default = match defaults.backoff {
        Backoff::Exponential { .. } => choices[0].1,
        Backoff::Linear { .. } => choices[1].1,
        Backoff::Fixed => Backoff::Fixed,
    };
    options.choice("backoff", default, &choices)
}

fn jitter(options: &Options<'_>, default: Jitter) -> Read<Jitter> {
    match options.value("jitter") {
        None => Ok(default),
        Some(PlainValue::Bool(true)) => Ok(Jitter::Symmetric(JITTER)),
        Some(PlainValue::Bool(false)) => Ok(Jitter::Symmetric(0.0)),
        Some(PlainValue::Text(word)) if word == "full" => Ok(Jitter::Full),
        Some(PlainValue::Number(n)) if (0.0..=1.0).contains(n) => Ok(Jitter::Symmetric(*n)),
        Some(PlainValue::Number(n)) => Err(OptionError::out_of_range(
            &options.path_of("jitter"),
            "between 0 and 1",
            *n,
        )),
        Some(PlainValue::Text(word)) => Err(OptionError::bad_value(
            &options.path_of("jitter"),
            format!("must be a boolean, a fraction or 'full', got '{word}'"),
        )),
        Some(other) => Err(OptionError::wrong_type(
            &options.path_of("jitter"),
            "a boolean, a fraction or 'full'",
            other,
        )),
    }
}

impl RetryBudgetConfig {
    /// Reads `ratio reservePerSecond ttlMs`.
    pub fn read(options: &Options<'_>, defaults: Self) -> Read<Self> {
        Ok(Self {
            ratio: options
                .number("ratio", 0.0..=1.0)?
                .unwrap_or(defaults.ratio),
            reserve_per_second: options
                .number("reservePerSecond", 0.0..=MAX_PER_SECOND)?
                .unwrap_or(defaults.reserve_per_second),
            ttl: options.ms("ttlMs", defaults.ttl, 1.0)?,
        })
    }
}

impl BreakerConfig {
    /// Reads `failMax resetTimeoutMs maxResetTimeoutMs successThreshold halfOpenMaxCalls probeTimeoutMs`, and
    /// `failureRatio minCalls windowMs`, of which any selects the ratio mode.
    pub fn read(options: &Options<'_>, defaults: Self) -> Read<Self> {
        let reset_timeout = options.ms("resetTimeoutMs", defaults.reset_timeout, 1.0)?;
        let default_max = defaults.max_reset_timeout.max(reset_timeout);
        let constant = defaults.max_reset_timeout == defaults.reset_timeout;
        let max_reset_timeout = options.ms(
            "maxResetTimeoutMs",
            if constant { reset_timeout } else { default_max },
            1.0,
        )?;
        if max_reset_timeout < reset_timeout {
            return Err(OptionError::bad_value(
                &options.path_of("maxResetTimeoutMs"),
                "must not be less than resetTimeoutMs",
            ));
        }
        Ok(Self {
            trip: trip(options, defaults.trip)?,
            reset_timeout,
            max_reset_timeout,
            success_threshold: count(options, "successThreshold", defaults.success_threshold, 1)?,
            half_open_max_calls: count(
                options,
                "halfOpenMaxCalls",
                defaults.half_open_max_calls,
                1,
            )?,
            probe_timeout: options.ms("probeTimeoutMs", defaults.probe_timeout, 1.0)?,
        })
    }
}

fn trip(options: &Options<'_>, default: Trip) -> Read<Trip> {
    let fail_max = options.value("failMax").is_some();
    let ratio_keys = ["failureRatio", "minCalls", "windowMs"];
    let given = ratio_keys
        .into_iter()
        .find(|key| options.value(key).is_some());
    if let (true, Some(key)) = (fail_max, given) {
        return Err(OptionError::bad_value(
            &options.path_of(key),
            "cannot be combined with failMax: a breaker counts consecutive failures or a failure ratio",
        ));
    }
    let (ratio, min_calls, window) = match default {
        Trip::Ratio {
            ratio,
            min_calls,
            window,
        } => (ratio, min_calls, window),
        Trip::Consecutive { .. } => RATIO,
    };
    let failures = match default {
        Trip::Consecutive { failures } => failures,
        Trip::Ratio { .. } => 5,
    };
    let ratio = Trip::Ratio {
        // Zero would open on the first success.
        ratio: options
            .number("failureRatio", 0.000_001..=1.0)?
            .unwrap_or(ratio),
        min_calls: count(options, "minCalls", min_calls, 1)?,
        window: options.ms("windowMs", window, 1.0)?,
    };
    let consecutive = Trip::Consecutive {
        failures: count(options, "failMax", failures, 1)?,
    };
    let by_ratio = given.is_some() || (!fail_max && matches!(default, Trip::Ratio { .. }));
    Ok(if by_ratio { ratio } else { consecutive })
}

impl LimiterConfig {
    /// Reads a rate as `perSecond` or as `max` in each `windowMs` (default 1000), and `maxQueue maxWaitMs`. No stretch
    /// of that length sees more, unless `burst` makes it a token bucket.
    pub fn read(options: &Options<'_>) -> Read<Self> {
        let per_second = options.number("perSecond", 0.001..=MAX_PER_SECOND)?;
        let max = options.number("max", 1.0..=MAX_PER_SECOND)?;
        let window = options.ms("windowMs", Duration::from_secs(1), 1.0)?;
        if max.is_none() && options.value("windowMs").is_some() {
            let reason = "requires max: perSecond has a fixed window of 1000 ms";
            return Err(OptionError::bad_value(&options.path_of("windowMs"), reason));
        }
        let (rate, window) = match (per_second, max) {
            (Some(rate), None) => (rate, Duration::from_secs(1)),
            (None, Some(max)) => (max, window),
            _ => {
                return Err(OptionError::bad_value(
                    &options.path_of("perSecond"),
                    "or max (with windowMs) must be given, but not both",
                ));
            }
        };
        Ok(Self {
            rate: match options.value("burst") {
                None => Rate::window(rate, window),
                Some(_) => Rate::Bucket {
                    interval: Rate::interval_of(rate, window),
                    burst: count(options, "burst", 1, 1)?,
                },
            },
            max_queue: count(options, "maxQueue", LIMITER_QUEUE.0, 0)?,
            max_wait: options.ms("maxWaitMs", LIMITER_QUEUE.1, 0.0)?,
        })
    }
}

impl BulkheadConfig {
    /// Reads `maxConcurrent maxQueue`.
    pub fn read(options: &Options<'_>, defaults: Self) -> Read<Self> {
        Ok(Self {
            max_concurrent: count(options, "maxConcurrent", defaults.max_concurrent, 1)?,
            max_queue: count(options, "maxQueue", defaults.max_queue, 0)?,
        })
    }
}

fn count(options: &Options<'_>, key: &'static str, default: u32, min: u64) -> Read<u32> {
    Ok(options.integer(key, u64::from(default), min..=MAX_COUNT)? as u32)
}
