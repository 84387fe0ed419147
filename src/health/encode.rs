//! Results of health checks as the JSON texts that `lib/health/monitor.ts` reads.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use moorline_core::health::{CheckConfig, CheckResult, CompletedRun, Report, Stats};
use serde_json::{Value as Json, json};

pub(super) fn encode_config(config: &CheckConfig) -> String {
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

pub(super) fn encode_completed(completed: &CompletedRun) -> String {
    let change = completed.change.map(|change| {
        let from = change.from.map_or("unknown", |status| status.as_str());
        json!({ "from": from, "to": change.to.as_str() })
    });
    json!({ "result": encode_result(&completed.result), "change": change }).to_string()
}

pub(super) fn encode_results(results: &[Arc<CheckResult>]) -> Json {
    results.iter().map(|result| encode_result(result)).collect()
}

pub(super) fn encode_result(result: &CheckResult) -> Json {
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

pub(super) fn encode_report(report: &Report) -> Json {
    json!({
        "status": report.status.as_str(),
        "checks": encode_results(&report.checks),
        "summary": {
            "total": report.summary.total,
            "healthy": report.summary.healthy,
            "degraded": report.summary.degraded,
            "unhealthy": report.summary.unhealthy,
        },
    })
}

pub(super) fn encode_stats(name: &str, stats: &Stats) -> Json {
    json!({
        "name": name,
        "totalChecks": stats.total_checks,
        "successRate": stats.success_rate,
        "avgLatencyMs": ms(stats.avg_latency),
        "p50LatencyMs": ms(stats.p50_latency),
        "p95LatencyMs": ms(stats.p95_latency),
        "p99LatencyMs": ms(stats.p99_latency),
        "consecutiveFailures": stats.consecutive_failures,
        "uptimeRatio": stats.uptime_ratio,
        "lastCheck": stats.last_check.map(epoch_ms),
        "lastChange": stats.last_change.map(epoch_ms),
    })
}

pub(super) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The whole milliseconds since the epoch, as a `Date` holds them.
fn epoch_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}
