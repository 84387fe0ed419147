//! What connections of every protocol share: their options and their figures.

use std::{
    ffi::CStr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};

use moorline_core::{
    clock::Anchor,
    connection::{
        config::ConnectionConfig,
        security::SecurityLevel,
        series::Series,
        tracker::{Figures, MAX_SPAN_SECONDS, Tracker},
        variables::configured,
    },
    metrics::Registry,
    options::{OptionError, Options, Plain},
    secret,
};
use moorline_services::dial::DialOptions;
use napi::{Env, Result};
use napi_derive::napi;
use serde_json::{Value as Json, json};

use crate::bridge::{Answer, Argument, Call, Function, Given, Handle, throw};

/// The complete options of a connection of type `kind` as JSON; `variables` are environment variables.
#[napi(catch_unwind)]
pub fn connection_config(
    env: Env,
    options: Given,
    variables: Given,
    kind: Given,
) -> Result<String> {
    let read = |kind| ConnectionConfig::read(&options.0, &variables.0, kind);
    let config = match &kind.0 {
        Plain::Text(kind) => read(Some(kind)),
        Plain::Undefined => read(None),
        // Where it is the option's own value, reading the option says so.
        other => read(None).and(Err(OptionError::wrong_type("type", "a string", other))),
    };
    config
        .map(|config| config.describe().to_string())
        .map_err(|error| throw(&env, &error))
}

/// The protocols that environment variables say something of.
#[napi(catch_unwind)]
pub fn connection_configured(variables: Given) -> Vec<&'static str> {
    configured(&variables.0)
}

/// Refuses `tls` and `proxy` of a connection that could not be used, or are weaker than its security level; gives
/// whether certificates are checked.
#[napi(catch_unwind)]
pub fn connection_reach(env: Env, options: Given) -> Result<bool> {
    let read = || {
        let options = Options::new("options", &options.0)?;
        let dial = DialOptions::read(&options)?;
        options.finish().map(|()| dial.tls.reject_unauthorized)
    };
    read().map_err(|error| throw(&env, &error))
}

/// A URL as it may be shown: without user info, query and fragment.
#[napi(catch_unwind)]
pub fn redact_url(url: String) -> String {
    secret::redact_url(&url)
}

/// Whether a header of that name can be shown, and go to another origin.
#[napi(catch_unwind)]
pub fn is_harmless_header(name: String) -> bool {
    secret::is_harmless_header(&name)
}

/// What a security level means, as JSON.
#[napi(catch_unwind)]
pub fn connection_security(env: Env, options: Given) -> Result<String> {
    let read = || {
        let options = Options::new("", &options.0)?;
        let level = options.choice("level", SecurityLevel::default(), &SecurityLevel::NAMED)?;
        options.finish().map(|()| level.rules())
    };
    let rules = read().map_err(|error| throw(&env, &error))?;
    let described = json!({
        "securityLevel": rules.level.as_str(),
        "certificateValidation": rules.certificates,
        "plainText": rules.plain_text.as_str(),
        "minTlsVersion": rules.tls.as_str(),
        "httpsOnlyRedirects": rules.https_stays,
        "publicAddressesOnly": rules.public_only,
    });
    Ok(described.to_string())
}

/// What a handle to a tracker holds.
pub struct ConnectionTracker(Mutex<Tracker>);

impl ConnectionTracker {
    fn lock(&self) -> MutexGuard<'_, Tracker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tracker from `{ windowSize }`.
#[napi(catch_unwind)]
pub fn connection_tracker(env: Env, options: Given) -> Result<Handle<ConnectionTracker>> {
    let read = || {
        let options = Options::new("options", &options.0)?;
        let window = options.integer("windowSize", 100, 1..=100_000)?;
        options.finish().map(|()| window as usize)
    };
    let window = read().map_err(|error| throw(&env, &error))?;
    let tracker = Tracker::new(window, Instant::now());
    Ok(Handle::new(ConnectionTracker(Mutex::new(tracker))))
}

/// Shows the tracker's connection in the metrics of the process, as one of this name and type.
#[napi(catch_unwind)]
pub fn connection_publish(
    tracker: Handle<ConnectionTracker>,
    name: Argument<String>,
    kind: Argument<String>,
) -> Result<()> {
    let (name, kind) = (
        name.named("options.name")?,
        kind.named("options.connectionType")?,
    );
    // It fails for a name that is another metric's, and none of ours is.
    if let Ok(series) = Series::new(Registry::process(), &name, &kind) {
        tracker.lock().publish(series);
    }
    Ok(())
}

/// The tracker's connection is in `state` now.
#[napi(catch_unwind)]
pub fn connection_enter(tracker: Handle<ConnectionTracker>, state: String) {
    tracker.lock().enter(&state);
}

/// Requests a second over the last `seconds`.
#[napi(catch_unwind)]
pub fn connection_throughput(
    env: Env,
    tracker: Handle<ConnectionTracker>,
    seconds: Argument<f64>,
) -> Result<f64> {
    let seconds = seconds.named("windowSeconds")?;
    if !(1.0..=MAX_SPAN_SECONDS as f64).contains(&seconds) {
        let expected = format!("between 1 and {MAX_SPAN_SECONDS}");
        let error = OptionError::out_of_range("windowSeconds", expected, seconds);
        return Err(throw(&env, &error));
    }
    Ok(tracker.lock().throughput(seconds as u64, Instant::now()))
}

/// All figures as JSON.
#[napi(catch_unwind)]
pub fn connection_figures(tracker: Handle<ConnectionTracker>) -> String {
    let now = Instant::now();
    let figures = tracker.lock().figures(now);
    describe(&figures, now).to_string()
}

fn describe(figures: &Figures, now: Instant) -> Json {
    let anchor = Anchor::new(now, SystemTime::now());
    let last = figures.last.map(|(at, took_ms)| {
        let ended = anchor.epoch_ms(at);
        json!({ "tookMs": took_ms, "began": (ended - took_ms).round(), "ended": ended })
    });
    json!({
        "requests": figures.requests,
        "errors": figures.errors,
        "consecutiveErrors": figures.consecutive_errors,
        "errorRate": figures.error_rate,
        "averageResponseTime": figures.average_response_ms,
        "throughput": figures.throughput,
        "bandwidth": figures.bandwidth,
        "uptime": figures.uptime(),
        "errorTypes": figures.error_types,
        "last": last,
    })
}

/// `connectionRecord(tracker, tookMs, ok, errorType?, bytes?)`: a request has ended.
pub(crate) struct Record;

impl Function for Record {
    const NAME: &'static CStr = c"connectionRecord";
    fn run(call: &Call) -> Answer {
        let Some(tracker) = call.handle::<ConnectionTracker>(0) else {
            return Answer::Undefined;
        };
        let took_ms = call.number(1).filter(|ms| ms.is_finite()).unwrap_or(0.0);
        let ok = call.flag(2).unwrap_or(false);
        let bytes = call.number(4).unwrap_or(0.0) as u64;
        let now = Instant::now();
        let count = |kind: Option<&str>| {
            tracker
                .lock()
                .record(took_ms.max(0.0), ok, kind, bytes, now);
        };
        let named = call.with_bytes(3, |text| count(std::str::from_utf8(text).ok()));
        if named.is_none() {
            count(None);
        }
        Answer::Undefined
    }
}
