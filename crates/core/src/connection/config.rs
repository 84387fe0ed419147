//! The options of a connection, with their environment variables and defaults.
//!
//! Argument, then `VITE_<PROTOCOL>_<SUFFIX>`, then `VITE_CONNECTION_<SUFFIX>`, then the default. Everything that is a
//! time is in milliseconds, however large or small the number.

use std::{ops::RangeInclusive, time::Duration};

use serde_json::{Value as Json, json};
use url::Url;

use super::{
    security::SecurityLevel,
    transport::{TransportOptions, check_misplaced, check_transport, paths_elsewhere},
    variables::fallbacks,
};
use crate::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
};

const TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(30));
const RETRY_COUNT: u64 = 3;
const RETRY_DELAY: Duration = Duration::from_secs(1);
const BACKOFF_MULTIPLIER: f64 = 2.0;
const MAX_CONNECTIONS: u64 = 10;
const KEEP_ALIVE: Limit<Duration> = Limit::At(Duration::from_mins(1));
/// Between two pings: well within the minute after which usual proxies forget a connection on which nothing is said.
const PING_INTERVAL: Limit<Duration> = Limit::At(Duration::from_secs(25));
const HEALTH_CHECK_INTERVAL: Limit<Duration> = Limit::At(Duration::from_secs(30));
const HEALTH_CHECK_TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(5));
const CIRCUIT_BREAKER_THRESHOLD: u64 = 5;
const CIRCUIT_BREAKER_TIMEOUT: Duration = Duration::from_mins(1);
const RATE_LIMIT_REQUESTS: u64 = 100;
const RATE_LIMIT_WINDOW: Duration = Duration::from_mins(1);

const COUNTS: RangeInclusive<u64> = 1..=1_000_000;
const MULTIPLIERS: RangeInclusive<f64> = 1.0..=1000.0;

/// The types of connections, the default first.
const TYPES: [&str; 11] = [
    "http",
    "websocket",
    "sse",
    "internet",
    "backend",
    "authentication",
    "service",
    "realtime",
    "filesystem",
    "database",
    "external",
];
const RECOVERY: [&str; 5] = [
    "reconnect_backoff",
    "none",
    "reconnect",
    "fallback",
    "graceful_degradation",
];
const LOG_LEVELS: [&str; 4] = ["debug", "info", "warn", "error"];

/// Keys of an earlier library that did the same, and what they are called here.
const RENAMED: [(&str, &str); 3] = [
    ("circuitBreakerEnabled", "circuitBreaker"),
    ("rateLimitEnabled", "rateLimit"),
    ("monitoringEnabled", "monitoring"),
];

/// The options of one connection, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionConfig {
    /// `name`, if it has one.
    pub name: Option<String>,
    /// `connectionType`: what was said, else the type it was resolved for.
    pub connection_type: Option<&'static str>,
    /// `url`, which may hold credentials.
    pub url: Option<String>,
    /// `timeout`: one attempt (30 000 ms).
    pub timeout: Limit<Duration>,
    /// `retryCount`: attempts after the first (3).
    pub retry_count: u32,
    /// `retryDelay`: before the first retry (1000 ms).
    pub retry_delay: Duration,
    /// `backoffMultiplier`: from one delay to the next (2).
    pub backoff_multiplier: f64,
    /// `maxConnections`: at once (10).
    pub max_connections: u32,
    /// `keepAlive` (60 000 ms, of a WebSocket 25 000 ms).
    pub keep_alive: Limit<Duration>,
    /// `compression` (true).
    pub compression: bool,
    /// `encryption`; unset, the URL decides.
    pub encryption: Option<bool>,
    /// `securityLevel` (basic).
    pub security_level: SecurityLevel,
    /// `healthCheckInterval` (30 000 ms).
    pub health_check_interval: Limit<Duration>,
    /// `healthCheckTimeout` (5000 ms).
    pub health_check_timeout: Limit<Duration>,
    /// `autoReconnect` (true).
    pub auto_reconnect: bool,
    /// `autoRetry` (true).
    pub auto_retry: bool,
    /// `circuitBreaker` (true).
    pub circuit_breaker: bool,
    /// `circuitBreakerThreshold`: failures in a row (5).
    pub circuit_breaker_threshold: u32,
    /// `circuitBreakerTimeout` (60 000 ms).
    pub circuit_breaker_timeout: Duration,
    /// `rateLimit` (false).
    pub rate_limit: bool,
    /// `rateLimitRequests`: in each window (100).
    pub rate_limit_requests: u32,
    /// `rateLimitWindow` (60 000 ms).
    pub rate_limit_window: Duration,
    /// `auditLogging` (true).
    pub audit_logging: bool,
    /// `monitoring` (true).
    pub monitoring: bool,
    /// `recoveryStrategy` (reconnect_backoff).
    pub recovery_strategy: &'static str,
    /// `fallbackUrl`, which may hold credentials.
    pub fallback_url: Option<String>,
    /// `debug` (false).
    pub debug: bool,
    /// `logLevel` (info, with `debug` debug).
    pub log_level: &'static str,
    /// The options that its transport reads, as given.
    pub transport: TransportOptions,
}

impl ConnectionConfig {
    /// Reads a user's options for a connection of type `kind`; `variables` are environment variables by name.
    pub fn read(given: &PlainValue, variables: &PlainValue, kind: Option<&str>) -> Read<Self> {
        let kind = kind.and_then(|kind| TYPES.into_iter().find(|one| *one == kind));
        let fallbacks = fallbacks(variables, kind)?;
        let options = Options::new("options", given)?.with_fallbacks(&fallbacks);
        check_renamed(&options)?;
        let debug = options.flag("debug", false)?;
        let default_level = if debug { "debug" } else { "info" };
        let count = |key, default| Ok(options.integer(key, default, COUNTS)? as u32);
        let ms = |key, default| options.ms(key, default, 1.0);
        let limit = |key, default| options.ms_limit(key, default, 1.0);
        let config = Self {
            name: options.text("name")?.map(str::to_owned),
            connection_type: match options.value("connectionType") {
                None => kind,
                Some(_) => Some(word(&options, "connectionType", TYPES[0], &TYPES)?),
            },
            url: url(&options, "url", kind)?,
            timeout: limit("timeout", TIMEOUT)?,
            retry_count: options.integer("retryCount", RETRY_COUNT, 0..=*COUNTS.end())? as u32,
            retry_delay: options.ms("retryDelay", RETRY_DELAY, 0.0)?,
            backoff_multiplier: options
                .number("backoffMultiplier", MULTIPLIERS)?
                .unwrap_or(BACKOFF_MULTIPLIER),
            max_connections: options.integer("maxConnections", MAX_CONNECTIONS, 1..=10_000)? as u32,
            keep_alive: match kind {
                Some("websocket") => limit("keepAlive", PING_INTERVAL)?,
                _ => limit("keepAlive", KEEP_ALIVE)?,
            },
            compression: options.flag("compression", true)?,
            encryption: match options.value("encryption") {
                None => None,
                Some(_) => Some(options.flag("encryption", true)?),
            },
            security_level: options.choice(
                "securityLevel",
                SecurityLevel::default(),
                &SecurityLevel::CHOICES,
            )?,
            health_check_interval: limit("healthCheckInterval", HEALTH_CHECK_INTERVAL)?,
            health_check_timeout: limit("healthCheckTimeout", HEALTH_CHECK_TIMEOUT)?,
            auto_reconnect: options.flag("autoReconnect", true)?,
            auto_retry: options.flag("autoRetry", true)?,
            circuit_breaker: options.flag("circuitBreaker", true)?,
            circuit_breaker_threshold: count("circuitBreakerThreshold", CIRCUIT_BREAKER_THRESHOLD)?,
            circuit_breaker_timeout: ms("circuitBreakerTimeout", CIRCUIT_BREAKER_TIMEOUT)?,
            rate_limit: options.flag("rateLimit", false)?,
            rate_limit_requests: count("rateLimitRequests", RATE_LIMIT_REQUESTS)?,
            rate_limit_window: ms("rateLimitWindow", RATE_LIMIT_WINDOW)?,
            audit_logging: options.flag("auditLogging", true)?,
            monitoring: options.flag("monitoring", true)?,
            recovery_strategy: word(&options, "recoveryStrategy", RECOVERY[0], &RECOVERY)?,
            fallback_url: url(&options, "fallbackUrl", kind)?,
            debug,
            log_level: word(&options, "logLevel", default_level, &LOG_LEVELS)?,
            transport: TransportOptions::given(&options),
        };
        check_bags(&options)?;
        check_transport(&options, kind)?;
        check_misplaced(&options, kind)?;
        options.finish_with(&paths_elsewhere(kind))?;
        Ok(config)
    }

    /// As JavaScript has it. A limit that is off is `null`, what is not set is missing.
    pub fn describe(&self) -> Json {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let limit = |limit: Limit<Duration>| limit.get().map(ms);
        let mut described = json!({
            "timeout": limit(self.timeout),
            "retryCount": self.retry_count,
            "retryDelay": ms(self.retry_delay),
            "backoffMultiplier": self.backoff_multiplier,
            "maxConnections": self.max_connections,
            "keepAlive": limit(self.keep_alive),
            "compression": self.compression,
            "securityLevel": self.security_level.as_str(),
            "healthCheckInterval": limit(self.health_check_interval),
            "healthCheckTimeout": limit(self.health_check_timeout),
            "autoReconnect": self.auto_reconnect,
            "autoRetry": self.auto_retry,
            "circuitBreaker": self.circuit_breaker,
            "circuitBreakerThreshold": self.circuit_breaker_threshold,
            "circuitBreakerTimeout": ms(self.circuit_breaker_timeout),
            "rateLimit": self.rate_limit,
            "rateLimitRequests": self.rate_limit_requests,
            "rateLimitWindow": ms(self.rate_limit_window),
            "auditLogging": self.audit_logging,
            "monitoring": self.monitoring,
            "recoveryStrategy": self.recovery_strategy,
            "debug": self.debug,
            "logLevel": self.log_level,
        });
        let texts = [
            ("name", self.name.as_deref()),
            ("connectionType", self.connection_type),
            ("url", self.url.as_deref()),
            ("fallbackUrl", self.fallback_url.as_deref()),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                described[key] = text.into();
            }
        }
        if let Some(encryption) = self.encryption {
            described["encryption"] = encryption.into();
        }
        described
    }
}

/// Refuses the keys of an earlier library by telling their names here.
fn check_renamed(options: &Options<'_>) -> Read<()> {
    for (old, new) in RENAMED {
        if options.value(old).is_some() {
            let reason = format!("is not a known option; use {new}");
            return Err(OptionError::bad_value(&options.path_of(old), reason));
        }
    }
    Ok(())
}

fn word(
    options: &Options<'_>,
    key: &'static str,
    default: &'static str,
    words: &[&'static str],
) -> Read<&'static str> {
    let choices: Vec<_> = words.iter().map(|word| (*word, *word)).collect();
    options.choice(key, default, &choices)
}

/// A URL that the type can use. It may hold a password, so no message shows it.
fn url(options: &Options<'_>, key: &'static str, kind: Option<&str>) -> Read<Option<String>> {
    let Some(url) = options.text(key)?.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let schemes: &[&str] = match kind {
        Some("http" | "sse") => &["http", "https"],
        Some("websocket") => &["ws", "wss", "http", "https"],
        _ => &[],
    };
    // What we never connect to ourselves need not be a URL that we can read.
    let can_be_reached = || Url::parse(url).is_ok_and(|url| url.has_host());
    let fits = url.split_once("://").is_some_and(|(scheme, rest)| {
        let known = |one: &&str| one.eq_ignore_ascii_case(scheme);
        !rest.is_empty() && (schemes.is_empty() || schemes.iter().any(known) && can_be_reached())
    });
    if fits {
        return Ok(Some(url.to_owned()));
    }
    let expected = match schemes {
        [] => "a URL with a scheme".to_owned(),
        schemes => format!("a URL that begins with {}://", schemes.join(":// or ")),
    };
    let reason = format!("must be {expected}");
    Err(OptionError::bad_value(&options.path_of(key), reason))
}

/// Checks what stays in JavaScript: `customHeaders` and `customSecurityOptions`.
fn check_bags(options: &Options<'_>) -> Read<()> {
    if let Some(value) = options.value("customHeaders") {
        let path = options.path_of("customHeaders");
        let PlainValue::Map(headers) = value else {
            return Err(OptionError::wrong_type(&path, "an object", value));
        };
        for (name, value) in headers {
            check_header(&format!("{path}.{name}"), name, value)?;
        }
    }
    if let Some(security) = options.nested("customSecurityOptions")? {
        for (index, host) in security
            .list("allowedHosts")?
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            if !matches!(host, PlainValue::Text(host) if !host.is_empty()) {
                let path = format!("{}[{index}]", security.path_of("allowedHosts"));
                return Err(OptionError::wrong_type(&path, "a host", host));
            }
        }
        security.finish()?;
    }
    Ok(())
}

/// A value may be a secret, so no message shows it.
fn check_header(path: &str, name: &str, value: &PlainValue) -> Read<()> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err(OptionError::bad_value(path, "is not a valid header name"));
    }
    match value {
        PlainValue::Text(text) if text.chars().any(|c| c.is_control() && c != '\t') => Err(
            OptionError::bad_value(path, "contains a line break or another control character"),
        ),
        PlainValue::Text(_) => Ok(()),
        other => Err(OptionError::wrong_type(path, "a string", other)),
    }
}
