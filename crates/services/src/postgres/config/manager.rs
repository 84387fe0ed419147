//! What a manager does beside pooling.

use std::time::Duration;

use moorline_core::{
    environment::Form,
    limit::Limit,
    options::{Fallback, Options, PlainValue, Read},
    profile::Profile,
};

/// How long rows of the connection log are kept.
const LOG_RETENTION: Limit<Duration> = Limit::At(Duration::from_hours(30 * 24));

/// The variables that stand for options of a manager, beside libpq's.
const VARIABLES: [(&str, &str, Form); 8] = [
    ("POSTGRES_HOST", "host", Form::Text),
    ("POSTGRES_USER", "user", Form::Text),
    ("POSTGRES_PASSWORD", "password", Form::Text),
    ("POSTGRES_DB", "database", Form::Text),
    ("POSTGRES_MAX_CONNECTIONS", "max", Form::Number),
    ("POSTGRES_IDLE_TIMEOUT", "idleTimeoutMillis", Form::Number),
    (
        "POSTGRES_CONNECTION_TIMEOUT",
        super::CONNECTION_TIMEOUT,
        Form::Number,
    ),
    (
        "POSTGRES_HEALTH_CHECK_INTERVAL",
        "healthCheckIntervalMs",
        Form::Number,
    ),
];
/// Through a tunnel it is the tunnel's local port.
const PORT: (&str, &str, Form) = ("POSTGRES_PORT", "port", Form::Number);

/// The options of a manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManagerConfig {
    /// The interval of its health checks.
    pub health_check_interval: Limit<Duration>,
    /// Whether connections are used again.
    pub is_pooling: bool,
    /// Whether it measures and logs.
    pub is_monitoring: bool,
    /// Whether it keeps a log in the database.
    pub has_connection_log: bool,
    /// How long the rows of that are kept.
    pub connection_log_retention: Limit<Duration>,
}

impl ManagerConfig {
    /// Reads the options that are a manager's.
    pub(super) fn read(options: &Options<'_>, profile: Profile) -> Read<Self> {
        // Those of `lib/postgres`, which are known all the same.
        let _ = (options.value("types"), options.value("fallback"));
        let interval = Limit::At(profile.health_check_interval);
        Ok(Self {
            health_check_interval: options.ms_limit("healthCheckIntervalMs", interval, 1.0)?,
            is_pooling: options.flag("pooling", true)?,
            is_monitoring: options.flag("monitoring", true)?,
            has_connection_log: options.flag("connectionLog", false)?,
            connection_log_retention: options.ms_limit(
                "connectionLogRetentionMs",
                LOG_RETENTION,
                1.0,
            )?,
        })
    }
}

/// What stands in `variables` for options that are not given.
pub(super) fn fallbacks(variables: &PlainValue, is_tunnelled: bool) -> Read<Vec<Fallback>> {
    let PlainValue::Map(entries) = variables else {
        return Ok(Vec::new());
    };
    let lookup = |variable: &str| match entries.iter().find(|(name, _)| name == variable) {
        Some((_, PlainValue::Text(text))) => Some(text.as_str()),
        _ => None,
    };
    let port = (!is_tunnelled).then_some(PORT);
    let read = |(name, key, form): (&str, &'static str, Form)| {
        form.fallback(key, name.to_owned(), lookup).transpose()
    };
    VARIABLES.into_iter().chain(port).filter_map(read).collect()
}
