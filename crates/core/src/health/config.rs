//! The configuration of a health check.

use std::time::Duration;

use crate::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
};

/// Whether a check counts as critical.
const DEFAULT_CRITICAL: bool = true;
/// The time limit of a run.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// The interval between two runs of a check in a started monitor.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
/// The delay from registration to the first run.
const DEFAULT_INITIAL_DELAY: Duration = Duration::ZERO;
/// Failures in a row that make a check unhealthy, successes in a row that bring it back: at once, as the
/// specification has it; 3 and 2 are usual for probes that flap.
const DEFAULT_FALL: u64 = 1;
const DEFAULT_RISE: u64 = 1;
/// Results kept per name.
const DEFAULT_HISTORY_CAPACITY: u64 = 100;

/// The normalized options of one check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckConfig {
    /// Whether its failure makes the whole unhealthy, or only degraded. Default true.
    pub critical: bool,
    /// The time limit of a run. Default 5 s.
    pub timeout: Limit<Duration>,
    /// The interval from one run to the next in a started monitor, ±10 %. Default 30 s; off: never.
    pub interval: Limit<Duration>,
    /// The delay from registration to the first run. Default 0: at once.
    pub initial_delay: Duration,
    /// A healthy answer that took longer than this is degraded. Default off.
    pub degraded_above: Limit<Duration>,
    /// Failures in a row until the check is unhealthy. Default 1.
    pub fall: u32,
    /// Successes in a row until an unhealthy check is healthy again. Default 1.
    pub rise: u32,
    /// Results kept. Default 100.
    pub history_capacity: usize,
}

impl Default for CheckConfig {
    fn default() -> Self {
        Self {
            critical: DEFAULT_CRITICAL,
            timeout: Limit::At(DEFAULT_TIMEOUT),
            interval: Limit::At(DEFAULT_INTERVAL),
            initial_delay: DEFAULT_INITIAL_DELAY,
            degraded_above: Limit::Off,
            fall: DEFAULT_FALL as u32,
            rise: DEFAULT_RISE as u32,
            history_capacity: DEFAULT_HISTORY_CAPACITY as usize,
        }
    }
}

impl CheckConfig {
    /// Reads the options of a monitor or of one check; what is not given comes from `defaults`.
    ///
    /// A bare boolean stands for `{ critical }`.
    pub fn read(path: &str, value: &PlainValue, defaults: &Self) -> Read<Self> {
        if let PlainValue::Bool(critical) = value {
            return Ok(Self {
                critical: *critical,
                ..*defaults
            });
        }
        if !matches!(value, PlainValue::Undefined | PlainValue::Map(_)) {
            let expected = "a boolean or an object";
            return Err(OptionError::wrong_type(path, expected, value));
        }
        let options = Options::new(path, value)?;
        let config = Self {
            critical: options.flag("critical", defaults.critical)?,
            timeout: options.ms_limit("timeoutMs", defaults.timeout, 1.0)?,
            interval: options.ms_limit("intervalMs", defaults.interval, 1.0)?,
            initial_delay: options.ms("initialDelayMs", defaults.initial_delay, 0.0)?,
            degraded_above: options.ms_limit("degradedAboveMs", defaults.degraded_above, 0.0)?,
            fall: options.integer("fall", defaults.fall.into(), 1..=1000)? as u32,
            rise: options.integer("rise", defaults.rise.into(), 1..=1000)? as u32,
            history_capacity: options.integer(
                "historyCapacity",
                defaults.history_capacity as u64,
                1..=100_000,
            )? as usize,
        };
        options.finish()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_inherits_the_options_it_does_not_set() {
        let monitor = CheckConfig {
            fall: 3,
            critical: false,
            ..CheckConfig::default()
        };
        let given = PlainValue::Map(vec![("timeoutMs".to_owned(), PlainValue::Number(50.0))]);
        let check = CheckConfig::read("options", &given, &monitor).unwrap();
        assert_eq!(check.timeout, Limit::At(Duration::from_millis(50)));
        assert_eq!((check.fall, check.critical), (3, false));
        let critical = CheckConfig::read("options", &PlainValue::Bool(true), &monitor).unwrap();
        assert_eq!((critical.fall, critical.critical), (3, true));
    }

    #[test]
    fn what_is_neither_a_boolean_nor_options_is_refused() {
        let error = CheckConfig::read("options", &PlainValue::Number(1.0), &CheckConfig::default());
        assert_eq!(
            error.unwrap_err().message,
            "options must be a boolean or an object, got a number"
        );
    }
}
