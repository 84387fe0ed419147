//! The options of a pool of connections, which are documented in seconds.

use std::time::Duration;

use crate::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
    pool::LedgerConfig,
    resilience::retry::{Backoff, Jitter, RetryPolicy},
};

const MIN_SIZE: u64 = 0;
const MAX_IDLE_TIME: Limit<Duration> = Limit::At(Duration::from_mins(5));
const ACQUIRE_TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(10));
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const HEALTH_CHECK_INTERVAL: Limit<Duration> = Limit::At(Duration::from_mins(1));
const CLEANUP_INTERVAL: Limit<Duration> = Limit::At(Duration::from_mins(2));
const MAX_POOL_SIZE: u64 = 10_000;

/// The retries of a borrower whose connection could not be made, until its time is over.
const CREATION_RETRY: RetryPolicy = RetryPolicy {
    max_retries: u32::MAX,
    base_delay: Duration::from_millis(50),
    max_delay: Duration::from_secs(1),
    backoff: Backoff::Exponential { factor: 2.0 },
    jitter: Jitter::Symmetric(0.25),
    max_retry_after: Duration::from_mins(1),
    cut_retry_after: false,
};

/// The options of one pool, complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionPoolConfig {
    /// `maxSize`, `minSize` (0), `maxConnecting` (4), `maxIdleTime` (300 s), `acquireTimeout` (10 s), `maxLifetime` (30 min), `leakAfter`
    /// (30 s, in production off).
    pub ledger: LedgerConfig,
    /// `connectTimeout`: how long making a connection may take (30 s).
    pub connect_timeout: Duration,
    /// `releaseTimeout`: how long checking or closing one may take (5 s).
    pub release_timeout: Duration,
    /// `healthCheckInterval`: between two checks of the free connections (60 s).
    pub health_check_interval: Limit<Duration>,
    /// `cleanupInterval`: between two rounds that remove free connections which are no longer open (120 s).
    pub cleanup_interval: Limit<Duration>,
}

impl ConnectionPoolConfig {
    /// Reads a user's options; `max_size` is the default of `maxSize`.
    pub fn read(given: &PlainValue, max_size: u32, production: bool) -> Read<Self> {
        let options = Options::new("options", given)?;
        let defaults = LedgerConfig::defaults(production);
        let max = options.integer("maxSize", max_size.into(), 1..=MAX_POOL_SIZE)?;
        let min = options.integer("minSize", MIN_SIZE, 0..=MAX_POOL_SIZE)?;
        if min > max {
            return Err(OptionError::out_of_range(
                &options.path_of("minSize"),
                format!("≤ maxSize ({max})"),
                min,
            ));
        }
        let config = Self {
            ledger: LedgerConfig {
                max: max as u32,
                min: min as u32,
                idle_timeout: options.seconds_limit("maxIdleTime", MAX_IDLE_TIME, 0.001)?,
                acquire_timeout: options.seconds_limit("acquireTimeout", ACQUIRE_TIMEOUT, 0.0)?,
                max_lifetime: options.seconds_limit("maxLifetime", defaults.max_lifetime, 0.001)?,
                max_connecting: options.integer_limit(
                    "maxConnecting",
                    defaults.max_connecting,
                    1..=MAX_POOL_SIZE,
                )?,
                leak_after: options.seconds_limit("leakAfter", defaults.leak_after, 0.001)?,
                ..defaults
            },
            connect_timeout: options.seconds("connectTimeout", CONNECT_TIMEOUT, 0.001)?,
            release_timeout: options.seconds("releaseTimeout", RELEASE_TIMEOUT, 0.001)?,
            health_check_interval: options.seconds_limit(
                "healthCheckInterval",
                HEALTH_CHECK_INTERVAL,
                0.001,
            )?,
            cleanup_interval: options.seconds_limit("cleanupInterval", CLEANUP_INTERVAL, 0.001)?,
        };
        options.finish()?;
        Ok(config)
    }
}

/// The argument that says in seconds how long a borrower waits.
pub const TIMEOUT_SECONDS_KEY: &str = "timeoutSeconds";

/// The wait of one borrower, where it is given.
pub fn read_acquire_timeout(given: &PlainValue) -> Read<Option<Limit<Duration>>> {
    let entries = PlainValue::Map(vec![(TIMEOUT_SECONDS_KEY.to_owned(), given.clone())]);
    let options = Options::new("", &entries)?;
    if options.value(TIMEOUT_SECONDS_KEY).is_none() {
        return Ok(None);
    }
    let wait = options.seconds_limit(TIMEOUT_SECONDS_KEY, Limit::Off, 0.0)?;
    Ok(Some(wait))
}

/// The delay before a borrower tries to make a connection for the `retry`th time.
pub fn creation_backoff(retry: u32) -> Duration {
    CREATION_RETRY.delay(retry, &mut fastrand::Rng::new())
}
