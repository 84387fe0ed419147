//! The metrics of a connection: a window over its last requests, and counts per second.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use super::metrics::ConnectionSeries;
use crate::{
    metrics::shorten,
    options::{OptionError, Options, PlainValue, Read},
    resilience::outcome::status_blames_service,
};

/// Requests in the window.
const WINDOW_SIZE: u64 = 100;
const MAX_WINDOW_SIZE: u64 = 100_000;
/// The longest span of a throughput, and the span where none is given.
const MAX_SPAN_SECONDS: u64 = 300;
const SPAN_SECONDS: u64 = 60;
/// The number of distinct error types; further ones count as [`OTHER`].
const MAX_ERROR_TYPES: usize = 100;
const OTHER: &str = "other";

/// A request that ended.
#[derive(Clone, Copy, Debug)]
pub struct CompletedRequest<'a> {
    /// Its duration, with all its attempts.
    pub took_ms: f64,
    /// The duration of its last attempt, where that was not counted by [`Tracker::attempt`].
    pub attempt_ms: Option<f64>,
    /// Whether it succeeded.
    pub ok: bool,
    /// The kind of failure.
    pub error_type: Option<&'a str>,
    /// The HTTP status of its last answer.
    pub status: Option<u16>,
    /// The bytes of the message that it sent.
    pub bytes: Option<u64>,
}

/// One request that ended.
#[derive(Clone, Copy, Debug)]
struct Sample {
    took_ms: f64,
    ok: bool,
}

/// The counts of one second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    number: u64,
    requests: u32,
    bytes: u64,
}

/// Counts requests. `now` must not go back from one call to the next.
#[derive(Debug)]
pub struct Tracker {
    window: usize,
    samples: VecDeque<Sample>,
    /// The durations of the last attempts.
    attempts_ms: VecDeque<f64>,
    began: Instant,
    seconds: VecDeque<Second>,
    requests: u64,
    attempts: u64,
    errors: u64,
    consecutive_errors: u64,
    error_types: BTreeMap<String, u64>,
    last: Option<(Instant, f64)>,
    series: Option<ConnectionSeries>,
}

/// The figures of a [`Tracker`].
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Requests since the beginning.
    pub requests: u64,
    /// Their attempts.
    pub attempts: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Failures since the last success.
    pub consecutive_errors: u64,
    /// Percent of the window that failed; 0 without a request.
    pub error_rate: f64,
    /// Mean of the last attempts in milliseconds; 0 without one.
    pub average_response_ms: f64,
    /// Mean of the window in milliseconds, attempts and waiting together; 0 without a request.
    pub average_request_ms: f64,
    /// The duration of the last attempt in milliseconds.
    pub latency_ms: f64,
    /// Requests a second over the last minute.
    pub throughput: f64,
    /// Bytes a second over the last minute.
    pub bandwidth: f64,
    /// The end of the last request, and its duration in milliseconds.
    pub last: Option<(Instant, f64)>,
    /// Failures by type.
    pub error_types: BTreeMap<String, u64>,
}

impl Figures {
    /// Percent of the window that succeeded; 100 without a request.
    pub fn uptime(&self) -> f64 {
        100.0 - self.error_rate
    }
}

impl Tracker {
    /// A tracker over the last `windowSize` requests (100).
    pub fn read(given: &PlainValue, now: Instant) -> Read<Self> {
        let options = Options::new("options", given)?;
        let window = options.integer("windowSize", WINDOW_SIZE, 1..=MAX_WINDOW_SIZE)?;
        options.finish()?;
        Ok(Self::new(window as usize, now))
    }

    /// A tracker over the last `window` requests.
    pub fn new(window: usize, now: Instant) -> Self {
        Self {
            window: window.max(1),
            samples: VecDeque::new(),
            attempts_ms: VecDeque::new(),
            began: now,
            seconds: VecDeque::new(),
            requests: 0,
            attempts: 0,
            errors: 0,
            consecutive_errors: 0,
            error_types: BTreeMap::new(),
            last: None,
            series: None,
        }
    }

    /// Counts in `series` as well from now on.
    pub fn register(&mut self, series: ConnectionSeries) {
        self.series = Some(series);
    }

    /// Sets the state of the connection; `None` once it is closed.
    pub fn enter(&mut self, state: Option<&str>) {
        if let Some(series) = &mut self.series {
            series.enter(state);
        }
    }

    /// Counts an attempt that ended: one that failed, or any but the last of its request. Without a response, or with a
    /// status that blames the service, it counts as a failure.
    pub fn attempt(&mut self, took_ms: f64, status: Option<u16>) {
        let ok = status.is_some_and(|status| !status_blames_service(status.into()));
        self.record_attempt(took_ms, ok, status);
    }

    /// Counts a request that ended now.
    pub fn record(&mut self, ended: &CompletedRequest<'_>, now: Instant) {
        let CompletedRequest {
            took_ms,
            ok,
            status,
            bytes,
            ..
        } = *ended;
        if let Some(attempt_ms) = ended.attempt_ms {
            self.record_attempt(attempt_ms, ok, status);
        }
        if let Some(series) = &mut self.series {
            series.record(took_ms, ok, status);
            if let Some(bytes) = bytes {
                series.send(bytes);
            }
        }
        push(&mut self.samples, Sample { took_ms, ok }, self.window);
        self.last = Some((now, took_ms));
        self.requests += 1;
        if ok {
            self.consecutive_errors = 0;
        } else {
            self.errors += 1;
            self.consecutive_errors += 1;
            self.count_error(ended.error_type.unwrap_or(OTHER));
        }
        let second = self.second(now);
        second.requests = second.requests.saturating_add(1);
        second.bytes = second.bytes.saturating_add(bytes.unwrap_or(0));
    }

    /// Counts received messages and their bytes.
    pub fn receive(&mut self, messages: u64, bytes: u64, now: Instant) {
        if let Some(series) = &mut self.series {
            series.receive(messages, bytes);
        }
        let second = self.second(now);
        second.bytes = second.bytes.saturating_add(bytes);
    }

    fn record_attempt(&mut self, took_ms: f64, ok: bool, status: Option<u16>) {
        if let Some(series) = &mut self.series {
            series.attempt(took_ms, ok, status);
        }
        self.attempts += 1;
        push(&mut self.attempts_ms, took_ms, self.window);
    }

    /// The figures so far.
    pub fn figures(&self, now: Instant) -> Figures {
        let kept = self.samples.len().max(1) as f64;
        let failed = self.samples.iter().filter(|sample| !sample.ok).count();
        let (requests, bytes) = self.totals_over(SPAN_SECONDS, now);
        Figures {
            requests: self.requests,
            attempts: self.attempts,
            errors: self.errors,
            consecutive_errors: self.consecutive_errors,
            error_rate: failed as f64 / kept * 100.0,
            average_response_ms: mean(self.attempts_ms.iter().copied()),
            average_request_ms: mean(self.samples.iter().map(|sample| sample.took_ms)),
            latency_ms: self.attempts_ms.back().copied().unwrap_or(0.0),
            throughput: requests as f64 / SPAN_SECONDS as f64,
            bandwidth: bytes as f64 / SPAN_SECONDS as f64,
            last: self.last,
            error_types: self.error_types.clone(),
        }
    }

    /// Requests a second over the last `seconds` (60), from 1 to 300.
    pub fn throughput(&self, seconds: Option<f64>, now: Instant) -> Read<f64> {
        let seconds = seconds.unwrap_or(SPAN_SECONDS as f64);
        if !(1.0..=MAX_SPAN_SECONDS as f64).contains(&seconds) {
            let expected = format!("between 1 and {MAX_SPAN_SECONDS}");
            return Err(OptionError::out_of_range(
                "windowSeconds",
                expected,
                seconds,
            ));
        }
        let seconds = seconds as u64;
        Ok(self.totals_over(seconds, now).0 as f64 / seconds as f64)
    }

    fn count_error(&mut self, error_type: &str) {
        let error_type = shorten(error_type);
        if let Some(count) = self.error_types.get_mut(&*error_type) {
            *count += 1;
            return;
        }
        let full = self.error_types.len() >= MAX_ERROR_TYPES;
        let name = if full { OTHER } else { &error_type };
        *self.error_types.entry(name.to_owned()).or_default() += 1;
    }

    /// The number of the current second, from 0 at the beginning.
    fn second_number(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs()
    }

    fn second(&mut self, now: Instant) -> &mut Second {
        let number = self.second_number(now);
        let fresh = self.seconds.back().is_none_or(|last| last.number < number);
        if fresh {
            let kept = |second: &Second| second.number + MAX_SPAN_SECONDS > number;
            while self.seconds.front().is_some_and(|second| !kept(second)) {
                self.seconds.pop_front();
            }
            self.seconds.push_back(Second {
                number,
                ..Second::default()
            });
        }
        let last = self.seconds.len() - 1;
        &mut self.seconds[last]
    }

    fn totals_over(&self, seconds: u64, now: Instant) -> (u64, u64) {
        let number = self.second_number(now);
        self.seconds
            .iter()
            .rev()
            .take_while(|second| second.number + seconds > number)
            .fold((0, 0), |(requests, bytes), second| {
                let bytes = bytes.saturating_add(second.bytes);
                (requests + u64::from(second.requests), bytes)
            })
    }
}

/// Appends a value, and drops the oldest where there are more than `most`.
fn push<T>(all: &mut VecDeque<T>, one: T, most: usize) {
    if all.len() == most {
        all.pop_front();
    }
    all.push_back(one);
}

/// The mean; 0 without a value.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    // Not `sum`, which is −0 for nothing.
    values.fold(0.0, |sum, value| sum + value) / count
}
