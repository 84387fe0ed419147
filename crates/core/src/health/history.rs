//! The last results of one name, and what they add up to.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::check::CheckResult;

/// Figures over a check's history; all zero before the first result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Results since the name was first registered.
    pub total_checks: u64,
    /// Share of the kept results that were not unhealthy, 0 to 1.
    pub success_rate: f64,
    /// Mean latency of the kept results.
    pub avg_latency: Duration,
    /// Median latency of the kept results.
    pub p50_latency: Duration,
    /// 95th percentile.
    pub p95_latency: Duration,
    /// 99th percentile.
    pub p99_latency: Duration,
    /// Failures since the last success.
    pub consecutive_failures: u64,
    /// When the last result came.
    pub last_check: Option<SystemTime>,
    /// When the status last changed.
    pub last_change: Option<SystemTime>,
    /// Share of the observed time, 0 to 1, in which the status was not unhealthy.
    pub uptime_ratio: f64,
}

/// The kept results of one name. It survives the replacement of the checker.
#[derive(Debug, Default)]
pub(super) struct History {
    results: VecDeque<Arc<CheckResult>>,
    total: u64,
    consecutive_failures: u64,
    last_change: Option<SystemTime>,
    uptime: Uptime,
}

/// Time in which a status was known, and the part of it in which it was not unhealthy.
#[derive(Clone, Copy, Debug, Default)]
struct Uptime {
    observed: Duration,
    up: Duration,
    current: Option<(Instant, bool)>,
}

impl Uptime {
    /// Books the time up to `now` under the status so far.
    fn advanced_to(mut self, now: Instant) -> Self {
        if let Some((since, up)) = self.current {
            let span = now.saturating_duration_since(since);
            self.observed += span;
            self.up += if up { span } else { Duration::ZERO };
            self.current = Some((now.max(since), up));
        }
        self
    }

    fn ratio(self) -> f64 {
        if self.observed.is_zero() {
            return f64::from(u8::from(matches!(self.current, Some((_, true)))));
        }
        self.up.as_secs_f64() / self.observed.as_secs_f64()
    }
}

impl History {
    /// Keeps a result, forgets the oldest beyond `capacity`.
    pub(super) fn push(&mut self, result: Arc<CheckResult>, changed: bool, capacity: usize) {
        self.total += 1;
        if result.outcome.is_up() {
            self.consecutive_failures = 0;
        } else {
            self.consecutive_failures += 1;
        }
        if changed {
            self.last_change = Some(result.timestamp);
        }
        self.uptime = self.uptime.advanced_to(result.at);
        self.uptime.current = Some((result.at, result.status.is_up()));
        self.results.push_back(result);
        let surplus = self.results.len().saturating_sub(capacity);
        self.results.drain(..surplus);
    }

    /// From now on the status is unknown: time without a checker counts neither as up nor as down.
    pub(super) fn interrupt(&mut self, now: Instant) {
        self.uptime = self.uptime.advanced_to(now);
        self.uptime.current = None;
    }

    /// The kept results, oldest first.
    pub(super) fn results(&self) -> impl Iterator<Item = &Arc<CheckResult>> {
        self.results.iter()
    }

    pub(super) fn stats(&self, now: Instant) -> Stats {
        let Some(last) = self.results.back() else {
            return Stats::default();
        };
        let kept = self.results.len();
        let succeeded = self.results.iter().filter(|r| r.outcome.is_up()).count();
        let mut latencies: Vec<Duration> = self.results.iter().map(|r| r.latency).collect();
        latencies.sort_unstable();
        Stats {
            total_checks: self.total,
            success_rate: succeeded as f64 / kept as f64,
            avg_latency: latencies.iter().sum::<Duration>() / kept as u32,
            p50_latency: percentile(&latencies, 50),
            p95_latency: percentile(&latencies, 95),
            p99_latency: percentile(&latencies, 99),
            consecutive_failures: self.consecutive_failures,
            last_check: Some(last.timestamp),
            last_change: self.last_change,
            uptime_ratio: self.uptime.advanced_to(now).ratio(),
        }
    }
}

/// The smallest latency that at least `percent` of them do not exceed (nearest rank).
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}
