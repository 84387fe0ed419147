//! Connections as metrics: one row of series for all connections of one name and type.

use std::{collections::BTreeMap, sync::Arc};

use crate::metrics::{Counter, Gauge, HTTP_SECONDS, Histogram, MetricError, Registry};

const REQUESTS: (&str, &str) = (
    "moorline_connection_requests_total",
    "Requests of connections that ended, with all their attempts.",
);
const ATTEMPTS: (&str, &str) = (
    "moorline_connection_attempts_total",
    "Attempts of requests of connections that ended.",
);
const REQUEST_DURATION: &str = "moorline_connection_request_duration_seconds";
const ATTEMPT_DURATION: &str = "moorline_connection_attempt_duration_seconds";
const MESSAGES: &str = "moorline_connection_messages_total";
const BYTES: &str = "moorline_connection_bytes_total";
const STATE: &str = "moorline_connections";

/// The series of one connection. Counters outlive it, as a counter must never go back; it leaves the count of its state
/// when it is closed or dropped.
#[derive(Debug)]
pub struct ConnectionSeries {
    registry: &'static Registry,
    name: String,
    kind: String,
    requests: Outcomes,
    attempts: Outcomes,
    request_took: Arc<Histogram>,
    attempt_took: Arc<Histogram>,
    sent: Option<Traffic>,
    received: Option<Traffic>,
    /// The states that it has been in since it was opened, each with its gauge, and which of them it is in.
    states: BTreeMap<String, Arc<Gauge>>,
    state: Option<Arc<Gauge>>,
}

/// The counters of a family by outcome and status, made when one is first needed.
#[derive(Debug)]
struct Outcomes {
    family: (&'static str, &'static str),
    counters: BTreeMap<(bool, Option<u16>), Arc<Counter>>,
}

/// Messages and their bytes in one direction.
#[derive(Debug)]
struct Traffic {
    messages: Arc<Counter>,
    bytes: Arc<Counter>,
}

impl ConnectionSeries {
    /// The series of a connection.
    ///
    /// # Errors
    /// Another metric has one of the names.
    pub fn new(registry: &'static Registry, name: &str, kind: &str) -> Result<Self, MetricError> {
        let labels = [("connection", name), ("type", kind)];
        let histogram = |name, help| registry.histogram(name, help, &labels, &HTTP_SECONDS);
        let mut series = Self {
            registry,
            name: name.to_owned(),
            kind: kind.to_owned(),
            requests: Outcomes::of(REQUESTS),
            attempts: Outcomes::of(ATTEMPTS),
            request_took: histogram(
                REQUEST_DURATION,
                "How long requests of connections took, with all their attempts and the waiting between them.",
            )?,
            attempt_took: histogram(
                ATTEMPT_DURATION,
                "How long attempts of requests of connections took.",
            )?,
            sent: None,
            received: None,
            states: BTreeMap::new(),
            state: None,
        };
        // There before the first request, or the first failure could not be seen as an increase.
        for ok in [true, false] {
            series.requests.counter(registry, name, kind, (ok, None))?;
        }
        Ok(series)
    }

    /// Counts a request that ended.
    pub fn record(&mut self, took_ms: f64, ok: bool, status: Option<u16>) {
        self.request_took.observe(took_ms / 1000.0);
        self.requests
            .count(self.registry, &self.name, &self.kind, (ok, status));
    }

    /// Counts an attempt that ended.
    pub fn attempt(&mut self, took_ms: f64, ok: bool, status: Option<u16>) {
        self.attempt_took.observe(took_ms / 1000.0);
        self.attempts
            .count(self.registry, &self.name, &self.kind, (ok, status));
    }

    /// Counts a message that was sent.
    pub fn send(&mut self, bytes: u64) {
        if self.sent.is_none() {
            self.sent = Traffic::new(self.registry, &self.name, &self.kind, "sent").ok();
        }
        if let Some(sent) = &self.sent {
            sent.count(1, bytes);
        }
    }

    /// Counts messages that came.
    pub fn receive(&mut self, messages: u64, bytes: u64) {
        if self.received.is_none() {
            self.received = Traffic::new(self.registry, &self.name, &self.kind, "received").ok();
        }
        if let Some(received) = &self.received {
            received.count(messages, bytes);
        }
    }

    /// Moves the connection to `state`; to none when it was closed.
    pub fn enter(&mut self, state: Option<&str>) {
        self.leave();
        let Some(state) = state else {
            return self.states.clear();
        };
        if !self.states.contains_key(state) {
            let labels = [
                ("connection", self.name.as_str()),
                ("type", self.kind.as_str()),
                ("state", state),
            ];
            let help = "How many connections are in each state.";
            let gauge = self.registry.gauge(STATE, help, &labels).ok();
            self.states
                .extend(gauge.map(|gauge| (state.to_owned(), gauge)));
        }
        self.state = self.states.get(state).cloned();
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

impl Outcomes {
    const fn of(family: (&'static str, &'static str)) -> Self {
        Self {
            family,
            counters: BTreeMap::new(),
        }
    }

    fn count(&mut self, registry: &Registry, name: &str, kind: &str, of: (bool, Option<u16>)) {
        if let Ok(counter) = self.counter(registry, name, kind, of) {
            counter.increment();
        }
    }

    /// The counter of an outcome, and of the HTTP status where there was an answer.
    fn counter(
        &mut self,
        registry: &Registry,
        name: &str,
        kind: &str,
        of: (bool, Option<u16>),
    ) -> Result<&Counter, MetricError> {
        if !self.counters.contains_key(&of) {
            let (ok, status) = of;
            let status = status.map(|status| status.to_string()).unwrap_or_default();
            let labels = [
                ("connection", name),
                ("type", kind),
                ("outcome", if ok { "success" } else { "failure" }),
                ("status", &status),
            ];
            let (family, help) = self.family;
            let counter = registry.counter(family, help, &labels)?;
            self.counters.insert(of, counter);
        }
        Ok(&self.counters[&of])
    }
}

impl Traffic {
    fn new(
        registry: &Registry,
        name: &str,
        kind: &str,
        direction: &str,
    ) -> Result<Self, MetricError> {
        let labels = [
            ("connection", name),
            ("type", kind),
            ("direction", direction),
        ];
        let messages = "Messages of WebSockets and event streams.";
        let bytes = "Bytes of these messages, text as UTF-8.";
        Ok(Self {
            messages: registry.counter(MESSAGES, messages, &labels)?,
            bytes: registry.counter(BYTES, bytes, &labels)?,
        })
    }

    fn count(&self, messages: u64, bytes: u64) {
        self.messages.add(messages as f64);
        self.bytes.add(bytes as f64);
    }
}

impl Drop for ConnectionSeries {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::TextExposition;

    fn registry() -> &'static Registry {
        Box::leak(Box::default())
    }

    fn text(registry: &Registry) -> String {
        let mut exposition = TextExposition::new();
        registry.write(&mut exposition);
        exposition.into_text()
    }

    #[test]
    fn connections_of_one_name_are_counted_together_and_counters_outlive_them() {
        let registry = registry();
        let mut first = ConnectionSeries::new(registry, "api", "http").unwrap();
        let mut second = ConnectionSeries::new(registry, "api", "http").unwrap();
        first.record(20.0, true, Some(200));
        first.attempt(1500.0, false, None);
        second.attempt(400.0, false, Some(503));
        second.record(2000.0, false, Some(503));
        second.record(1.0, true, Some(200));
        first.send(3);
        second.receive(2, 7);
        first.enter(Some("connecting"));
        first.enter(Some("connected"));
        second.enter(Some("connected"));
        drop(second);
        let text = text(registry);
        for line in [
            "moorline_connection_requests_total{connection=\"api\",type=\"http\",outcome=\"success\",status=\"200\"} 2\n",
            "moorline_connection_requests_total{connection=\"api\",type=\"http\",outcome=\"failure\",status=\"503\"} 1\n",
            "moorline_connection_requests_total{connection=\"api\",type=\"http\",outcome=\"failure\",status=\"\"} 0\n",
            "moorline_connection_attempts_total{connection=\"api\",type=\"http\",outcome=\"failure\",status=\"\"} 1\n",
            "moorline_connection_attempts_total{connection=\"api\",type=\"http\",outcome=\"failure\",status=\"503\"} 1\n",
            "moorline_connection_attempt_duration_seconds_count{connection=\"api\",type=\"http\"} 2\n",
            "moorline_connection_messages_total{connection=\"api\",type=\"http\",direction=\"sent\"} 1\n",
            "moorline_connection_messages_total{connection=\"api\",type=\"http\",direction=\"received\"} 2\n",
            "moorline_connection_bytes_total{connection=\"api\",type=\"http\",direction=\"received\"} 7\n",
            "moorline_connection_request_duration_seconds_bucket{connection=\"api\",type=\"http\",le=\"0.025\"} 2\n",
            "moorline_connection_request_duration_seconds_count{connection=\"api\",type=\"http\"} 3\n",
            "moorline_connections{connection=\"api\",type=\"http\",state=\"connected\"} 1\n",
            "moorline_connections{connection=\"api\",type=\"http\",state=\"connecting\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn a_connection_that_was_closed_is_in_no_state_until_it_is_opened_again() {
        let registry = registry();
        let mut series = ConnectionSeries::new(registry, "api", "sse").unwrap();
        let states = || {
            let text = text(registry);
            let rows = text.lines().filter(|line| line.starts_with(STATE));
            rows.map(|row| row.split("state=").nth(1).unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        series.enter(Some("connecting"));
        series.enter(Some("connected"));
        assert_eq!(states(), ["\"connected\"} 1", "\"connecting\"} 0"]);
        series.enter(None);
        assert!(states().is_empty());
        series.enter(Some("connecting"));
        assert_eq!(states(), ["\"connecting\"} 1"]);
    }

    #[test]
    fn names_that_are_ids_do_not_grow_the_page_for_ever() {
        let registry = registry();
        for id in 0..3_000 {
            let mut series =
                ConnectionSeries::new(registry, &format!("user-{id}"), "websocket").unwrap();
            series.enter(Some("connected"));
            series.record(1.0, id % 3 > 0, None);
        }
        let text = text(registry);
        let rows = |metric: &str| text.lines().filter(|line| line.starts_with(metric)).count();
        assert_eq!(rows("moorline_connections{"), 0);
        assert_eq!(rows("moorline_connection_requests_total{"), 2 * 1_001);
        assert_eq!(
            rows("moorline_connection_request_duration_seconds_count{"),
            1_001
        );
        for (outcome, count) in [("success", 1_334), ("failure", 666)] {
            let other = format!(
                "moorline_connection_requests_total{{connection=\"other\",type=\"websocket\",outcome=\"{outcome}\",status=\"\"}} {count}\n"
            );
            assert!(text.contains(&other), "{outcome}");
        }
    }
}
