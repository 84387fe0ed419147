//! Policies as metrics: one row of series for all policies of one name.

use std::sync::Arc;

use super::refusal::Refusal;
use crate::metrics::{Counter, MetricError, Registry};

const CALLS: &str = "moorline_policy_calls_total";
const ATTEMPTS: &str = "moorline_policy_attempts_total";
const RETRIES: &str = "moorline_policy_retries_total";
const TIMEOUTS: &str = "moorline_policy_attempt_timeouts_total";
const REFUSALS: &str = "moorline_policy_refusals_total";

/// The series of the policies of one name.
#[derive(Debug)]
pub struct PolicySeries {
    succeeded: Arc<Counter>,
    failed: Arc<Counter>,
    cancelled: Arc<Counter>,
    attempts: Arc<Counter>,
    retries: Arc<Counter>,
    timeouts: Arc<Counter>,
    open: Arc<Counter>,
    limited: Arc<Counter>,
    overloaded: Arc<Counter>,
    late: Arc<Counter>,
}

impl PolicySeries {
    /// The series of a policy.
    ///
    /// # Errors
    /// Another metric has one of the names.
    pub fn new(registry: &Registry, policy: &str) -> Result<Self, MetricError> {
        let own = ("policy", policy);
        let calls = |outcome| {
            let help = "Calls under a policy that ended, with all their attempts.";
            registry.counter(CALLS, help, &[own, ("outcome", outcome)])
        };
        let refusals = |reason| {
            let help = "Attempts that a policy refused before they began.";
            registry.counter(REFUSALS, help, &[own, ("reason", reason)])
        };
        Ok(Self {
            succeeded: calls("success")?,
            failed: calls("failure")?,
            cancelled: calls("cancelled")?,
            attempts: registry.counter(ATTEMPTS, "Attempts under a policy that began.", &[own])?,
            retries: registry.counter(RETRIES, "Retries that a policy decided on.", &[own])?,
            timeouts: registry.counter(
                TIMEOUTS,
                "Attempts under a policy that took too long.",
                &[own],
            )?,
            open: refusals("circuit-open")?,
            limited: refusals("rate-limited")?,
            overloaded: refusals("overloaded")?,
            late: refusals("timeout")?,
        })
    }

    /// An attempt begins.
    pub fn attempt(&self) {
        self.attempts.increment();
    }

    /// A failed attempt will be repeated.
    pub fn retry(&self) {
        self.retries.increment();
    }

    /// An attempt took too long.
    pub fn time_out(&self) {
        self.timeouts.increment();
    }

    /// A call ended by its last attempt.
    pub fn end(&self, ok: bool) {
        if ok {
            self.succeeded.increment();
        } else {
            self.failed.increment();
        }
    }

    /// A call was given up by its caller.
    pub fn cancel(&self) {
        self.cancelled.increment();
    }

    /// A call ended because an attempt was refused.
    pub fn refuse(&self, refusal: &Refusal) {
        self.failed.increment();
        match refusal {
            Refusal::CircuitOpen { .. } => &self.open,
            Refusal::RateLimited { .. } => &self.limited,
            Refusal::Overloaded => &self.overloaded,
            Refusal::DeadlinePassed => &self.late,
        }
        .increment();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::TextExposition;

    #[test]
    fn calls_attempts_and_refusals_are_counted_by_name() {
        let registry = Registry::new();
        let first = PolicySeries::new(&registry, "crm").unwrap();
        let second = PolicySeries::new(&registry, "crm").unwrap();
        first.attempt();
        first.time_out();
        first.retry();
        first.attempt();
        first.end(true);
        second.refuse(&Refusal::Overloaded);
        second.cancel();
        let mut exposition = TextExposition::new();
        registry.write(&mut exposition);
        let text = exposition.into_text();
        for line in [
            "moorline_policy_calls_total{policy=\"crm\",outcome=\"success\"} 1\n",
            "moorline_policy_calls_total{policy=\"crm\",outcome=\"failure\"} 1\n",
            "moorline_policy_calls_total{policy=\"crm\",outcome=\"cancelled\"} 1\n",
            "moorline_policy_attempts_total{policy=\"crm\"} 2\n",
            "moorline_policy_retries_total{policy=\"crm\"} 1\n",
            "moorline_policy_attempt_timeouts_total{policy=\"crm\"} 1\n",
            "moorline_policy_refusals_total{policy=\"crm\",reason=\"overloaded\"} 1\n",
            "moorline_policy_refusals_total{policy=\"crm\",reason=\"circuit-open\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
