//! Health checks as metrics: one row of series for all checks of one name.

use std::sync::Arc;

use super::{CheckResult, Status};
use crate::metrics::{Counter, Gauge, HTTP_SECONDS, Histogram, MetricError, Registry};

const RUNS: &str = "moorline_health_check_runs_total";
const DURATION: &str = "moorline_health_check_duration_seconds";
const CHECKS: &str = "moorline_health_checks";

const ALL: [Status; 3] = [Status::Healthy, Status::Degraded, Status::Unhealthy];

/// The series of one check. Counters outlive it; it leaves the count of its status when it is dropped.
#[derive(Debug)]
pub struct CheckSeries {
    runs: [Arc<Counter>; 3],
    took: Arc<Histogram>,
    checks: [Arc<Gauge>; 3],
    status: Option<Status>,
}

impl CheckSeries {
    /// The series of a check.
    ///
    /// # Errors
    /// Another metric has one of the names.
    pub fn new(registry: &Registry, check: &str) -> Result<Self, MetricError> {
        let labels = |status: Status| [("check", check), ("status", status.as_str())];
        let runs = |status| {
            let help = "Runs of health checks, by what they found.";
            registry.counter(RUNS, help, &labels(status))
        };
        let checks = |status| {
            let help = "How many health checks are in each status.";
            registry.gauge(CHECKS, help, &labels(status))
        };
        let [healthy, degraded, unhealthy] = ALL;
        Ok(Self {
            runs: [runs(healthy)?, runs(degraded)?, runs(unhealthy)?],
            took: registry.histogram(
                DURATION,
                "How long runs of health checks took.",
                &[("check", check)],
                &HTTP_SECONDS,
            )?,
            checks: [checks(healthy)?, checks(degraded)?, checks(unhealthy)?],
            status: None,
        })
    }

    /// Counts a run, by what it found, and moves the check to the status that it has since.
    pub fn record(&mut self, result: &CheckResult) {
        self.runs[result.outcome as usize].increment();
        self.took.observe(result.latency.as_secs_f64());
        self.leave();
        self.checks[result.status as usize].add(1.0);
        self.status = Some(result.status);
    }

    fn leave(&mut self) {
        if let Some(status) = self.status.take() {
            self.checks[status as usize].add(-1.0);
        }
    }
}

impl Drop for CheckSeries {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use super::*;
    use crate::metrics::TextExposition;

    fn result(status: Status, outcome: Status) -> CheckResult {
        CheckResult {
            name: "db".into(),
            status,
            outcome,
            at: Instant::now(),
            timestamp: SystemTime::now(),
            latency: Duration::from_millis(20),
            error: None,
            metadata: None,
        }
    }

    #[test]
    fn runs_are_counted_by_what_they_found_and_a_check_is_in_the_status_it_has() {
        let registry = Registry::new();
        let mut check = CheckSeries::new(&registry, "db").unwrap();
        check.record(&result(Status::Healthy, Status::Healthy));
        check.record(&result(Status::Healthy, Status::Unhealthy));
        let text = || {
            let mut exposition = TextExposition::new();
            registry.write(&mut exposition);
            exposition.into_text()
        };
        for line in [
            "moorline_health_check_runs_total{check=\"db\",status=\"healthy\"} 1\n",
            "moorline_health_check_runs_total{check=\"db\",status=\"unhealthy\"} 1\n",
            "moorline_health_check_duration_seconds_count{check=\"db\"} 2\n",
            "moorline_health_checks{check=\"db\",status=\"healthy\"} 1\n",
            "moorline_health_checks{check=\"db\",status=\"unhealthy\"} 0\n",
        ] {
            assert!(text().contains(line), "{line} in {}", text());
        }
        drop(check);
        assert!(!text().contains("moorline_health_checks"));
        assert!(text().contains("moorline_health_check_duration_seconds_count{check=\"db\"} 2\n"));
    }
}
