//! The environment variables that stand for options.

use crate::{
    environment::Form,
    options::{Fallback, PlainValue, Read},
};

/// The types that have environment variables of their own.
const PROTOCOLS: [&str; 5] = ["http", "websocket", "sse", "database", "external"];

/// The prefix of the variables of all connections.
const SHARED: &str = "VITE_CONNECTION_";

/// The suffix of a variable, its option and its form.
type Variable = (&'static str, &'static str, Form);

/// Those of a protocol alone, and those of all connections alone.
const URL: Variable = ("URL", "url", Form::Text);
const OWN_MAX_CONNECTIONS: Variable = ("MAX_CONNECTIONS", "maxConnections", Form::Number);
const SHARED_MAX_CONNECTIONS: Variable = ("MAX_POOL_SIZE", "maxConnections", Form::Number);
/// Those of both.
const VARIABLES: [Variable; 21] = [
    ("TIMEOUT", "timeout", Form::Number),
    ("RETRY_COUNT", "retryCount", Form::Number),
    ("RETRY_DELAY", "retryDelay", Form::Number),
    ("BACKOFF_MULTIPLIER", "backoffMultiplier", Form::Number),
    ("KEEP_ALIVE", "keepAlive", Form::Number),
    ("COMPRESSION", "compression", Form::Flag),
    ("ENCRYPTION", "encryption", Form::Flag),
    ("SECURITY_LEVEL", "securityLevel", Form::Word),
    ("HEALTH_CHECK_INTERVAL", "healthCheckInterval", Form::Number),
    ("HEALTH_CHECK_TIMEOUT", "healthCheckTimeout", Form::Number),
    ("AUTO_RECONNECT", "autoReconnect", Form::Flag),
    ("AUTO_RETRY", "autoRetry", Form::Flag),
    ("CIRCUIT_BREAKER", "circuitBreaker", Form::Flag),
    (
        "CIRCUIT_BREAKER_THRESHOLD",
        "circuitBreakerThreshold",
        Form::Number,
    ),
    (
        "CIRCUIT_BREAKER_TIMEOUT",
        "circuitBreakerTimeout",
        Form::Number,
    ),
    ("RATE_LIMIT", "rateLimit", Form::Flag),
    ("RATE_LIMIT_REQUESTS", "rateLimitRequests", Form::Number),
    ("RATE_LIMIT_WINDOW", "rateLimitWindow", Form::Number),
    ("AUDIT_LOGGING", "auditLogging", Form::Flag),
    ("MONITORING", "monitoring", Form::Flag),
    ("FALLBACK_URL", "fallbackUrl", Form::Text),
];

/// The protocols that have a variable of their own among `variables`.
pub fn configured(variables: &PlainValue) -> Vec<&'static str> {
    let PlainValue::Map(entries) = variables else {
        return Vec::new();
    };
    let has = |protocol: &&str| {
        let prefix = prefix(protocol);
        entries.iter().any(|(name, _)| name.starts_with(&prefix))
    };
    PROTOCOLS.into_iter().filter(has).collect()
}

fn prefix(protocol: &str) -> String {
    format!("VITE_{}_", protocol.to_ascii_uppercase())
}

/// The values of the environment: a protocol's own variables before those of all connections.
pub(super) fn fallbacks(variables: &PlainValue, kind: Option<&str>) -> Read<Vec<Fallback>> {
    let PlainValue::Map(entries) = variables else {
        return Ok(Vec::new());
    };
    let lookup = |name: &str| {
        let (_, value) = entries.iter().find(|(key, _)| key == name)?;
        match value {
            PlainValue::Text(text) => Some(text.as_str()),
            _ => None,
        }
    };
    let own = kind.filter(|kind| PROTOCOLS.contains(kind)).map(prefix);
    let mut wanted = Vec::new();
    if let Some(own) = &own {
        wanted.push((own.as_str(), &URL));
        wanted.push((own.as_str(), &OWN_MAX_CONNECTIONS));
        wanted.extend(VARIABLES.iter().map(|one| (own.as_str(), one)));
    }
    wanted.push((SHARED, &SHARED_MAX_CONNECTIONS));
    wanted.extend(VARIABLES.iter().map(|one| (SHARED, one)));
    let mut found = Vec::new();
    for (prefix, (suffix, key, form)) in wanted {
        found.extend(form.fallback(key, format!("{prefix}{suffix}"), lookup)?);
    }
    Ok(found)
}
