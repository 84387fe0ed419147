//! The metrics of connections of every protocol.

use std::{
    ffi::CStr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};

use moorline_core::{
    clock::Anchor,
    connection::{
        metrics::ConnectionSeries,
        tracker::{CompletedRequest, Figures, Tracker},
    },
    metrics::Registry,
};
use napi::{Env, Result};
use napi_derive::napi;
use serde_json::{Value as Json, json};

use crate::bridge::{Argument, Call, Exports, Function, Handle, OrThrow, RawArgument, ReturnValue};

/// A tracker behind a handle.
pub struct ConnectionTracker(Mutex<Tracker>);

impl ConnectionTracker {
    pub(super) fn lock(&self) -> MutexGuard<'_, Tracker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts messages that are handed over now.
    pub(crate) fn count_received(&self, (messages, bytes): (u64, u64)) {
        if messages > 0 {
            let mut tracker = self.lock();
            tracker.receive(messages, bytes, Instant::now());
        }
    }
}

/// A tracker from `{ windowSize }`.
#[napi(catch_unwind)]
pub fn connection_tracker(env: Env, options: RawArgument) -> Result<Handle<ConnectionTracker>> {
    let tracker = Tracker::read(&options.0, Instant::now()).or_throw(&env)?;
    Ok(Handle::new(ConnectionTracker(Mutex::new(tracker))))
}

/// Shows the tracker's connection in the metrics of the process, as one of this name and type.
#[napi(catch_unwind)]
pub fn connection_register_metrics(
    tracker: Handle<ConnectionTracker>,
    name: Argument<String>,
    connection_type: Argument<String>,
) -> Result<()> {
    let (name, connection_type) = (
        name.value_or_throw("options.name")?,
        connection_type.value_or_throw("options.connectionType")?,
    );
    // It fails for a name that is another metric's, and none of ours is.
    if let Ok(series) = ConnectionSeries::new(Registry::global(), &name, &connection_type) {
        tracker.lock().register(series);
    }
    Ok(())
}

/// Sets the state of the tracker's connection; none once it is closed.
#[napi(catch_unwind)]
pub fn connection_enter(tracker: Handle<ConnectionTracker>, state: Option<String>) {
    tracker.lock().enter(state.as_deref());
}

/// Requests a second over the last `seconds`, where they are given.
#[napi(catch_unwind)]
pub fn connection_throughput(
    env: Env,
    tracker: Handle<ConnectionTracker>,
    seconds: Argument<Option<f64>>,
) -> Result<f64> {
    let seconds = seconds.value_or_throw("windowSeconds")?;
    let throughput = tracker.lock().throughput(seconds, Instant::now());
    throughput.or_throw(&env)
}

/// All figures as JSON.
#[napi(catch_unwind)]
pub fn connection_figures(tracker: Handle<ConnectionTracker>) -> String {
    let now = Instant::now();
    let figures = tracker.lock().figures(now);
    encode_figures(&figures, now).to_string()
}

fn encode_figures(figures: &Figures, now: Instant) -> Json {
    let anchor = Anchor::new(now, SystemTime::now());
    let last = figures.last.map(|(at, took_ms)| {
        let ended = anchor.epoch_ms(at);
        json!({ "began": (ended - took_ms).round(), "ended": ended })
    });
    json!({
        "requests": figures.requests,
        "attempts": figures.attempts,
        "errors": figures.errors,
        "consecutiveErrors": figures.consecutive_errors,
        "errorRate": figures.error_rate,
        "averageResponseTime": figures.average_response_ms,
        "averageRequestTime": figures.average_request_ms,
        "latency": figures.latency_ms,
        "throughput": figures.throughput,
        "bandwidth": figures.bandwidth,
        "uptime": figures.uptime(),
        "errorTypes": figures.error_types,
        "last": last,
    })
}

/// `connectionRecordRequest(tracker, tookMs, ok, errorType?, bytes?, attemptMs?, status?)`: a request has ended; with the
/// bytes of the message that it sent, what its last attempt took if that was not told, and the status of its last
/// answer.
pub(crate) struct RecordRequest;

impl Function for RecordRequest {
    const NAME: &'static CStr = c"connectionRecordRequest";
    fn run(call: &Call) -> ReturnValue {
        let Some(tracker) = call.handle::<ConnectionTracker>(0) else {
            return ReturnValue::Undefined;
        };
        let now = Instant::now();
        let count = |error_type: Option<&str>| {
            let ended = CompletedRequest {
                took_ms: ms(call, 1).unwrap_or(0.0),
                attempt_ms: ms(call, 5),
                ok: call.flag(2).unwrap_or(false),
                error_type,
                status: status(call, 6),
                bytes: call.number(4).map(|bytes| bytes as u64),
            };
            tracker.lock().record(&ended, now);
        };
        let named = call.with_bytes(3, |text| count(std::str::from_utf8(text).ok()));
        if named.is_none() {
            count(None);
        }
        ReturnValue::Undefined
    }
}

/// `connectionRecordAttempt(tracker, tookMs, status?)`: counts an attempt other than the last of its request; without a
/// status there was no response.
pub(crate) struct RecordAttempt;

impl Function for RecordAttempt {
    const NAME: &'static CStr = c"connectionRecordAttempt";
    fn run(call: &Call) -> ReturnValue {
        if let (Some(tracker), Some(ms)) = (call.handle::<ConnectionTracker>(0), ms(call, 1)) {
            tracker.lock().attempt(ms, status(call, 2));
        }
        ReturnValue::Undefined
    }
}

fn ms(call: &Call, at: usize) -> Option<f64> {
    call.number(at)
        .filter(|ms| ms.is_finite())
        .map(|ms| ms.max(0.0))
}

fn status(call: &Call, at: usize) -> Option<u16> {
    let status = call.number(at).filter(|status| *status > 0.0)?;
    Some(status as u16)
}

/// Registers the hand-written functions.
pub fn register(exports: &Exports) -> Result<()> {
    exports.add::<RecordRequest>()?;
    exports.add::<RecordAttempt>()
}
