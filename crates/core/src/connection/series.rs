//! Connections as metrics: one row of series for all connections of one name and type.

use std::sync::Arc;

use crate::metrics::{Counter, Gauge, HTTP_SECONDS, Histogram, MetricError, Registry};

const REQUESTS: &str = "moorline_connection_requests_total";
const DURATION: &str = "moorline_connection_request_duration_seconds";
const STATE: &str = "moorline_connections";

/// What one connection counts. Counters outlive it, as a counter must never go back; it leaves the count of its state
/// when it is dropped.
#[derive(Debug)]
pub struct Series {
    registry: &'static Registry,
    name: String,
    kind: String,
    succeeded: Arc<Counter>,
    failed: Arc<Counter>,
    took: Arc<Histogram>,
    state: Option<Arc<Gauge>>,
}

impl Series {
    /// The series of a connection.
    ///
    /// # Errors
    /// Another metric has one of the names.
    pub fn new(registry: &'static Registry, name: &str, kind: &str) -> Result<Self, MetricError> {
        let labels = [("connection", name), ("type", kind)];
        let requests = |outcome| {
            let labels = [labels[0], labels[1], ("outcome", outcome)];
            registry.counter(REQUESTS, "Requests of connections that ended.", &labels)
        };
        Ok(Self {
            registry,
            name: name.to_owned(),
            kind: kind.to_owned(),
            succeeded: requests("success")?,
            failed: requests("failure")?,
            took: registry.histogram(
                DURATION,
                "How long requests of connections took.",
                &labels,
                &HTTP_SECONDS,
            )?,
            state: None,
        })
    }

    /// Counts a request that ended.
    pub fn record(&self, took_ms: f64, ok: bool) {
        if ok {
            self.succeeded.increment();
        } else {
            self.failed.increment();
        }
        self.took.observe(took_ms / 1000.0);
    }

    /// It is in `state` now.
    pub fn enter(&mut self, state: &str) {
        self.leave();
        let labels = [
            ("connection", self.name.as_str()),
            ("type", self.kind.as_str()),
            ("state", state),
        ];
        let help = "How many connections are in each state.";
        self.state = self.registry.gauge(STATE, help, &labels).ok();
        if let Some(state) = &self.state {
            state.add(1.0);
        }
    }

    fn leave(&mut self) {
        if let Some(state) = self.state.take() {
            state.add(-1.0);
        }
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Page;

    fn registry() -> &'static Registry {
        Box::leak(Box::default())
    }

    fn text(registry: &Registry) -> String {
        let mut page = Page::new();
        registry.write(&mut page);
        page.into_text()
    }

    #[test]
    fn connections_of_one_name_are_counted_together_and_counters_outlive_them() {
        let registry = registry();
        let mut first = Series::new(registry, "api", "http").unwrap();
        let mut second = Series::new(registry, "api", "http").unwrap();
        first.record(20.0, true);
        second.record(2000.0, false);
        second.record(1.0, true);
        first.enter("connecting");
        first.enter("connected");
        second.enter("connected");
        drop(second);
        let text = text(registry);
        for line in [
            "moorline_connection_requests_total{connection=\"api\",type=\"http\",outcome=\"success\"} 2\n",
            "moorline_connection_requests_total{connection=\"api\",type=\"http\",outcome=\"failure\"} 1\n",
            "moorline_connection_request_duration_seconds_bucket{connection=\"api\",type=\"http\",le=\"0.025\"} 2\n",
            "moorline_connection_request_duration_seconds_count{connection=\"api\",type=\"http\"} 3\n",
            "moorline_connections{connection=\"api\",type=\"http\",state=\"connected\"} 1\n",
            "moorline_connections{connection=\"api\",type=\"http\",state=\"connecting\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn names_that_are_ids_do_not_grow_the_page_for_ever() {
        let registry = registry();
        for id in 0..3_000 {
            let mut series = Series::new(registry, &format!("user-{id}"), "websocket").unwrap();
            series.enter("connected");
            series.record(1.0, true);
        }
        let text = text(registry);
        let rows = |metric: &str| text.lines().filter(|line| line.starts_with(metric)).count();
        assert!(rows("moorline_connections{") <= 1_001);
        assert!(rows("moorline_connection_requests_total{") <= 1_001);
        assert!(rows("moorline_connection_request_duration_seconds_count{") <= 1_001);
        let open = text
            .lines()
            .filter(|line| line.starts_with("moorline_connections{") && !line.ends_with("} 0"));
        assert_eq!(open.count(), 0, "what was dropped is in no state");
    }
}
