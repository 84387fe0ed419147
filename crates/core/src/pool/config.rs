//! The configuration of a pool's ledger: sizes and times.

use std::time::Duration;

use crate::{
    limit::Limit,
    options::{OptionError, Options, Read},
};

/// Connections at most.
const DEFAULT_MAX: u32 = 10;
/// Connections kept at least: none, so that an unused pool costs nothing.
const DEFAULT_MIN: u32 = 0;
/// Connections being made at once: a server that has just been restarted is not stormed.
const DEFAULT_MAX_CONNECTING: u64 = 4;
/// The wait of a borrower in the queue.
const DEFAULT_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Borrowers in the queue at most. Generous, since the acquire timeout bounds the wait already: it is
/// there so that a stalled server cannot take the whole memory.
const DEFAULT_MAX_WAITERS: u64 = 10_000;
/// The time for which an unused connection is kept.
const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_mins(5);
/// The lifetime of a connection, spread by ±25 % so that a pool does not renew itself all at once.
const DEFAULT_MAX_LIFETIME: Duration = Duration::from_mins(30);
/// A connection used less than this ago is trusted; one idle for longer is checked before it is handed out.
const DEFAULT_VALIDATE_AFTER: Duration = Duration::from_millis(500);
/// A lease held longer than this is reported, outside production.
const DEFAULT_LEAK_AFTER: Duration = Duration::from_secs(30);

const LARGEST_POOL: u64 = 10_000;
const LONGEST_QUEUE: u64 = 1_000_000;

/// The limits of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    /// Connections at most, including those being made and being closed (1 to 10 000).
    pub max: u32,
    /// Connections kept open at least, used or not.
    pub min: u32,
    /// Free connections kept at most (at least 1 and at least `min`); one returned beyond that is closed.
    pub max_idle: u32,
    /// Connections being made at once, at most.
    pub max_connecting: Limit<u64>,
    /// The longest wait of a borrower in the queue. Creating a connection is not part of it.
    pub acquire_timeout: Limit<Duration>,
    /// Borrowers in the queue at most.
    pub max_waiters: Limit<u64>,
    /// The longest time a connection may stay unused.
    pub idle_timeout: Limit<Duration>,
    /// The lifetime of a connection, ±25 %. It is never taken from a borrower for its age.
    pub max_lifetime: Limit<Duration>,
    /// From how much idle time on a connection is checked before it is handed out. Zero checks always, off
    /// checks never.
    pub validate_after: Limit<Duration>,
    /// From how long on a held lease is reported as a leak.
    pub leak_after: Limit<Duration>,
}

impl LedgerConfig {
    /// The documented defaults. In production nothing is reported as a leak.
    pub const fn defaults(production: bool) -> Self {
        Self {
            max: DEFAULT_MAX,
            min: DEFAULT_MIN,
            max_idle: u32::MAX,
            max_connecting: Limit::At(DEFAULT_MAX_CONNECTING),
            acquire_timeout: Limit::At(DEFAULT_ACQUIRE_TIMEOUT),
            max_waiters: Limit::At(DEFAULT_MAX_WAITERS),
            idle_timeout: Limit::At(DEFAULT_IDLE_TIMEOUT),
            max_lifetime: Limit::At(DEFAULT_MAX_LIFETIME),
            validate_after: Limit::At(DEFAULT_VALIDATE_AFTER),
            leak_after: if production {
                Limit::Off
            } else {
                Limit::At(DEFAULT_LEAK_AFTER)
            },
        }
    }

    /// Reads the user's options under `names`, over `defaults`.
    pub fn read(options: &Options, names: &OptionNames, defaults: Self) -> Read<Self> {
        let count = |key, default: u32, least| {
            let range = least..=LARGEST_POOL;
            options
                .integer(key, u64::from(default), range)
                .map(|n| n as u32)
        };
        let max = count(names.max, defaults.max, 1)?;
        let config = Self {
            max,
            min: count(names.min, defaults.min, 0)?,
            max_idle: count(names.max_idle, defaults.max_idle, 1)?,
            max_connecting: match names.max_connecting {
                Some(name) => {
                    options.integer_limit(name, defaults.max_connecting, 1..=LARGEST_POOL)?
                }
                None => defaults.max_connecting,
            },
            acquire_timeout: options.ms_limit(
                names.acquire_timeout,
                defaults.acquire_timeout,
                0.0,
            )?,
            max_waiters: options.integer_limit(
                names.max_waiters,
                defaults.max_waiters,
                0..=LONGEST_QUEUE,
            )?,
            idle_timeout: options.ms_limit(names.idle_timeout, defaults.idle_timeout, 1.0)?,
            max_lifetime: options.ms_limit(names.max_lifetime, defaults.max_lifetime, 1.0)?,
            validate_after: options.ms_limit(names.validate_after, defaults.validate_after, 0.0)?,
            leak_after: options.ms_limit(names.leak_after, defaults.leak_after, 1.0)?,
        };
        if config.min > max {
            return Err(OptionError::out_of_range(
                &options.path_of(names.min),
                format!("≤ {} ({max})", names.max),
                f64::from(config.min),
            ));
        }
        Ok(config)
    }
}

/// The name of the option of each limit; pools name them differently.
#[derive(Clone, Copy, Debug)]
pub struct OptionNames {
    /// For [`LedgerConfig::max`].
    pub max: &'static str,
    /// For [`LedgerConfig::min`].
    pub min: &'static str,
    /// For [`LedgerConfig::max_idle`].
    pub max_idle: &'static str,
    /// For [`LedgerConfig::max_connecting`], where it is an option.
    pub max_connecting: Option<&'static str>,
    /// For [`LedgerConfig::acquire_timeout`].
    pub acquire_timeout: &'static str,
    /// For [`LedgerConfig::max_waiters`].
    pub max_waiters: &'static str,
    /// For [`LedgerConfig::idle_timeout`].
    pub idle_timeout: &'static str,
    /// For [`LedgerConfig::max_lifetime`].
    pub max_lifetime: &'static str,
    /// For [`LedgerConfig::validate_after`].
    pub validate_after: &'static str,
    /// For [`LedgerConfig::leak_after`].
    pub leak_after: &'static str,
}

impl OptionNames {
    /// The usual names.
    pub const COMMON: Self = Self {
        max: "max",
        min: "min",
        max_idle: "maxIdle",
        max_connecting: Some("maxConnecting"),
        acquire_timeout: "acquireTimeoutMs",
        max_waiters: "maxWaiters",
        idle_timeout: "idleTimeoutMs",
        max_lifetime: "maxLifetimeMs",
        validate_after: "validateAfterMs",
        leak_after: "leakAfterMs",
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::PlainValue;

    fn ms(ms: u64) -> Limit<Duration> {
        Limit::At(Duration::from_millis(ms))
    }

    fn read(entries: &[(&str, f64)], names: &OptionNames) -> Read<LedgerConfig> {
        let entries = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), PlainValue::Number(*value)));
        let given = PlainValue::Map(entries.collect());
        let options = Options::new("options", &given)?;
        let config = LedgerConfig::read(&options, names, LedgerConfig::defaults(false))?;
        options.finish().map(|()| config)
    }

    #[test]
    fn nothing_given_gives_the_documented_defaults() {
        let config = read(&[], &OptionNames::COMMON).unwrap();
        assert_eq!(config, LedgerConfig::defaults(false));
        assert_eq!((config.max, config.min), (10, 0));
        assert_eq!(config.max_connecting, Limit::At(4));
        assert_eq!(config.acquire_timeout, ms(10_000));
        assert_eq!(config.max_waiters, Limit::At(10_000));
        assert_eq!(config.idle_timeout, ms(300_000));
        assert_eq!(config.max_lifetime, ms(1_800_000));
        assert_eq!(config.validate_after, ms(500));
        assert_eq!(config.leak_after, ms(30_000));
        assert_eq!(LedgerConfig::defaults(true).leak_after, Limit::Off);
    }

    #[test]
    fn a_specified_pool_keeps_its_own_names_and_only_those() {
        let names = OptionNames {
            max: "poolSize",
            acquire_timeout: "connectionTimeoutMs",
            ..OptionNames::COMMON
        };
        let config = read(&[("poolSize", 5.0), ("connectionTimeoutMs", 50.0)], &names).unwrap();
        assert_eq!(config.max, 5);
        assert_eq!(config.acquire_timeout, ms(50));
        assert!(read(&[("max", 5.0)], &names).is_err());
    }

    #[test]
    fn a_minimum_above_the_maximum_is_refused_by_name() {
        let error = read(&[("max", 2.0), ("min", 3.0)], &OptionNames::COMMON).unwrap_err();
        assert_eq!(error.message, "options.min must be ≤ max (2), got 3");
    }

    #[test]
    fn nan_and_zero_sizes_are_refused() {
        assert!(read(&[("max", f64::NAN)], &OptionNames::COMMON).is_err());
        assert!(read(&[("max", 0.0)], &OptionNames::COMMON).is_err());
        assert!(read(&[("idleTimeoutMs", f64::NAN)], &OptionNames::COMMON).is_err());
    }
}
