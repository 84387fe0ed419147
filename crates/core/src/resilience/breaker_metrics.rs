//! Circuit breakers as metrics: one row of series for all breakers of one name.
//!
//! A breaker counts by itself; what has changed since the last time is carried over when the metrics are read, and
//! when the breaker is dropped.

use std::sync::Arc;

use super::breaker::{CircuitState, Snapshot, Totals};
use crate::metrics::{Counter, Gauge, MetricError, Registry};

/// The counters and what they show.
type Count = fn(&Totals) -> u64;

const COUNTERS: [(&str, &str, Count); 4] = [
    (
        "moorline_circuit_breaker_successes_total",
        "Calls through circuit breakers that succeeded.",
        |totals| totals.successes,
    ),
    (
        "moorline_circuit_breaker_failures_total",
        "Calls through circuit breakers that failed.",
        |totals| totals.failures,
    ),
    (
        "moorline_circuit_breaker_refused_total",
        "Calls that circuit breakers refused.",
        |totals| totals.refused,
    ),
    (
        "moorline_circuit_breaker_state_changes_total",
        "Changes of state of circuit breakers.",
        |totals| totals.changes,
    ),
];
const STATE: &str = "moorline_circuit_breaker_state";

/// The series of one breaker. Counters outlive it; it leaves the count of its state when it is dropped.
#[derive(Debug)]
pub struct BreakerSeries {
    counters: [Arc<Counter>; COUNTERS.len()],
    /// The totals that the counters have already.
    counted: Totals,
    states: [Arc<Gauge>; CircuitState::ALL.len()],
    state: Option<CircuitState>,
}

impl BreakerSeries {
    /// The series of a breaker.
    ///
    /// # Errors
    /// Another metric has one of the names.
    pub fn new(registry: &Registry, breaker: &str) -> Result<Self, MetricError> {
        let counter = |at: usize| {
            let (name, help, _) = COUNTERS[at];
            registry.counter(name, help, &[("breaker", breaker)])
        };
        let state = |state: CircuitState| {
            let help = "How many circuit breakers are in each state.";
            let labels = [("breaker", breaker), ("state", state.as_str())];
            registry.gauge(STATE, help, &labels)
        };
        let [closed, open, half_open] = CircuitState::ALL;
        Ok(Self {
            counters: [counter(0)?, counter(1)?, counter(2)?, counter(3)?],
            counted: Totals::default(),
            states: [state(closed)?, state(open)?, state(half_open)?],
            state: None,
        })
    }

    /// Carries over what has changed.
    pub fn update(&mut self, snapshot: &Snapshot) {
        for ((_, _, count), counter) in COUNTERS.iter().zip(&self.counters) {
            let more = count(&snapshot.totals).saturating_sub(count(&self.counted));
            counter.add(more as f64);
        }
        self.counted = snapshot.totals;
        self.leave();
        self.states[snapshot.state as usize].add(1.0);
        self.state = Some(snapshot.state);
    }

    fn leave(&mut self) {
        if let Some(state) = self.state.take() {
            self.states[state as usize].add(-1.0);
        }
    }
}

impl Drop for BreakerSeries {
    fn drop(&mut self) {
        self.leave();
    }
}
