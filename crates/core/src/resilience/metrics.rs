//! The breakers of the process as metrics, written when somebody asks.

use super::{
    breaker::{CircuitState, Totals},
    registry::Registry,
};
use crate::metrics::{Page, Shape};

/// What each counter shows.
type Read = fn(&Totals) -> u64;

const COUNTERS: [(&str, &str, Read); 4] = [
    (
        "moorline_circuit_breaker_successes_total",
        "Calls through a circuit breaker that succeeded.",
        |totals| totals.successes,
    ),
    (
        "moorline_circuit_breaker_failures_total",
        "Calls through a circuit breaker that failed.",
        |totals| totals.failures,
    ),
    (
        "moorline_circuit_breaker_refused_total",
        "Calls that a circuit breaker refused.",
        |totals| totals.refused,
    ),
    (
        "moorline_circuit_breaker_state_changes_total",
        "Changes of state of a circuit breaker.",
        |totals| totals.changes,
    ),
];

/// Writes the state and the counters of each breaker.
pub fn write(registry: &Registry, page: &mut Page) {
    let breakers: Vec<_> = registry
        .all()
        .into_iter()
        .map(|breaker| (breaker.name().to_owned(), breaker.snapshot()))
        .collect();
    if breakers.is_empty() {
        return;
    }
    let state = "moorline_circuit_breaker_state";
    page.family(
        state,
        "1 for the state a circuit breaker is in, else 0.",
        Shape::Gauge,
    );
    for (name, snapshot) in &breakers {
        for one in CircuitState::ALL {
            let labels = [("breaker", name.as_str()), ("state", one.as_str())];
            page.sample(state, &labels, f64::from(u8::from(snapshot.state == one)));
        }
    }
    for (metric, help, read) in COUNTERS {
        page.family(metric, help, Shape::Counter);
        for (name, snapshot) in &breakers {
            page.sample(metric, &[("breaker", name)], read(&snapshot.totals) as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::resilience::config::BREAKER;

    #[test]
    fn every_breaker_shows_its_state_and_counters() {
        let registry = Registry::default();
        let now = Instant::now();
        let breaker = registry.join("db", BREAKER).breaker;
        breaker.with(|breaker| breaker.open(now));
        assert!(breaker.admit(now).is_err());
        let mut page = Page::new();
        write(&registry, &mut page);
        let text = page.into_text();
        for line in [
            "moorline_circuit_breaker_state{breaker=\"db\",state=\"open\"} 1\n",
            "moorline_circuit_breaker_state{breaker=\"db\",state=\"closed\"} 0\n",
            "moorline_circuit_breaker_refused_total{breaker=\"db\"} 1\n",
            "moorline_circuit_breaker_state_changes_total{breaker=\"db\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
