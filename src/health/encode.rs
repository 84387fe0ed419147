//! Results of health checks as the JSON texts that `lib/health/monitor.ts` reads.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use moorline_core::health::{CheckConfig, CheckResult, CompletedRun};
use serde_json::{Value as Json, json};

pub(crate) fn of_config(config: &CheckConfig) -> String {
    json!({
        "critical": config.critical,
        "timeoutMs": config.timeout.as_ms(),
        "intervalMs": config.interval.as_ms(),
        "initialDelayMs": ms(config.initial_delay),
        "degradedAboveMs": config.degraded_above.as_ms(),
        "fall": config.fall,
        "rise": config.rise,
        "historyCapacity": config.history_capacity,
    })
    .to_string()
}

pub(crate) fn of_completed(completed: &CompletedRun) -> String {
    let change = completed.change.map(|change| {
        let from = change.from.map_or("unknown", |status| status.as_str());
        json!({ "from": from, "to": change.to.as_str() })
    });
    json!({ "result": of_result(&completed.result), "change": change }).to_string()
}

pub(crate) fn of_results(results: &[Arc<CheckResult>]) -> Json {
    results.iter().map(|result| of_result(result)).collect()
}

pub(crate) fn of_result(result: &CheckResult) -> Json {
    json!({
        "name": &*result.name,
        "status": result.status.as_str(),
        "healthy": result.status.is_up(),
        "timestamp": epoch_ms(result.timestamp),
        "latencyMs": ms(result.latency),
        "error": result.error,
        "metadata": result.metadata,
    })
}

pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Whole milliseconds since the epoch, as a `Date` holds them.
pub(crate) fn epoch_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}
