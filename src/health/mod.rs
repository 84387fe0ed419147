//! `HealthMonitor`: the monitor of core as functions over a handle.
//!
//! The checkers themselves stay in `lib/`; what crosses are names, run numbers and replies. Results cross as
//! JSON texts with the members users see; only times are numbers that `lib/` turns into dates.

mod encode;

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant, SystemTime},
};

use moorline_core::{
    health::{BeginOutcome, CheckConfig, CheckReply, CheckSeries, CompletedRun, Monitor, RunId},
    limit::Limit,
    metrics::Registry,
    sync::lock,
};
use napi::{Env, Result};
use napi_derive::napi;

use crate::{
    bridge::{Argument, Handle, OrThrow, RawArgument},
    health::encode::{
        encode_completed, encode_config, encode_report, encode_result, encode_results,
        encode_stats, ms,
    },
};

/// The monitor behind a handle.
pub struct HealthMonitor {
    monitor: Mutex<Monitor>,
    /// The metrics of each check, by its name.
    series: Mutex<HashMap<String, CheckSeries>>,
}

impl HealthMonitor {
    fn lock(&self) -> MutexGuard<'_, Monitor> {
        lock(&self.monitor)
    }

    fn series(&self) -> MutexGuard<'_, HashMap<String, CheckSeries>> {
        lock(&self.series)
    }

    /// Counts a completed run and encodes it as JSON.
    fn record_and_encode(&self, name: String, completed: &CompletedRun) -> String {
        let mut all = self.series();
        // It fails for a name that is another metric's, and none of ours is.
        let made = || CheckSeries::new(Registry::global(), &name).ok();
        if !all.contains_key(&name) {
            all.extend(made().map(|series| (name.clone(), series)));
        }
        if let Some(series) = all.get_mut(&name) {
            series.record(&completed.result);
        }
        encode_completed(completed)
    }
}

/// A run that was begun, or joined: then there is no `timeoutMs`.
#[napi(object)]
pub struct HealthRun {
    pub run: f64,
    pub timeout_ms: Option<f64>,
}

/// A monitor; `options` are the defaults of its checks.
#[napi(catch_unwind)]
pub fn health_create(env: Env, options: RawArgument) -> Result<Handle<HealthMonitor>> {
    let defaults =
        CheckConfig::read("options", &options.0, &CheckConfig::default()).or_throw(&env)?;
    Ok(Handle::new(HealthMonitor {
        monitor: Mutex::new(Monitor::new(defaults)),
        series: Mutex::default(),
    }))
}

/// Registers a check; returns whether it replaced one.
#[napi(catch_unwind)]
pub fn health_register(
    env: Env,
    monitor: Handle<HealthMonitor>,
    name: Argument<String>,
    options: RawArgument,
) -> Result<bool> {
    let name = name.value_or_throw("name")?;
    let mut monitor = monitor.lock();
    let config = CheckConfig::read("options", &options.0, monitor.defaults()).or_throw(&env)?;
    Ok(monitor.register(&name, config, Instant::now()))
}

/// Removes a check; returns whether there was one.
#[napi(catch_unwind)]
pub fn health_unregister(monitor: Handle<HealthMonitor>, name: Argument<String>) -> Result<bool> {
    let name = name.value_or_throw("name")?;
    monitor.series().remove(&name);
    Ok(monitor.lock().unregister(&name))
}

/// Shows no status in the metrics any more, until a check runs again.
#[napi(catch_unwind)]
pub fn health_clear_metrics(monitor: Handle<HealthMonitor>) {
    monitor.series().clear();
}

/// The names, in the order of registration.
#[napi(catch_unwind)]
pub fn health_names(monitor: Handle<HealthMonitor>) -> Vec<String> {
    let names = monitor.lock().names();
    names.iter().map(ToString::to_string).collect()
}

/// The normalized options of a check, or the defaults of the monitor; `null` for a limit that is off.
#[napi(catch_unwind)]
pub fn health_options(
    monitor: Handle<HealthMonitor>,
    name: Argument<Option<String>>,
) -> Result<Option<String>> {
    let monitor = monitor.lock();
    let config = match name.value_or_throw("name")? {
        None => Some(monitor.defaults()),
        Some(name) => monitor.config(&name),
    };
    Ok(config.map(encode_config))
}

/// Begins a run, or joins the one in progress; `null` when the name is not known.
#[napi(catch_unwind)]
pub fn health_begin(
    monitor: Handle<HealthMonitor>,
    name: Argument<String>,
) -> Result<Option<HealthRun>> {
    let begun = monitor
        .lock()
        .begin(&name.value_or_throw("name")?, Instant::now());
    let run = begun.map(|begun| match begun {
        BeginOutcome::Started { run, timeout } => (run, Some(timeout)),
        BeginOutcome::Joined(run) => (run, None),
    });
    Ok(run.map(|(run, timeout)| HealthRun {
        run: run.0 as f64,
        timeout_ms: timeout.map(Limit::<Duration>::as_ms),
    }))
}

/// Ends a run with the answer of its checker, in the terms of [`CheckReply::read`]. Returns the result and the change
/// of status; `null` when the run is not awaited any more.
#[napi(catch_unwind)]
pub fn health_complete(
    monitor: Handle<HealthMonitor>,
    name: String,
    run: f64,
    answer: RawArgument,
) -> Option<String> {
    let (run, now) = (RunId(run as u64), Instant::now());
    let completed = monitor.lock().complete(
        &name,
        run,
        CheckReply::read(&answer.0),
        now,
        SystemTime::now(),
    )?;
    Some(monitor.record_and_encode(name, &completed))
}

/// Returns whether the answer of a health check, in the same terms, means that it still works.
#[napi(catch_unwind)]
pub fn health_is_up(answer: RawArgument) -> bool {
    CheckReply::read(&answer.0).outcome.is_up()
}

/// Ends a run whose timeout has passed; returns the same as `healthComplete`.
#[napi(catch_unwind)]
pub fn health_time_out(monitor: Handle<HealthMonitor>, name: String, run: f64) -> Option<String> {
    let (run, now) = (RunId(run as u64), Instant::now());
    let completed = monitor
        .lock()
        .time_out(&name, run, now, SystemTime::now())?;
    Some(monitor.record_and_encode(name, &completed))
}

/// The names of the checks that are due.
#[napi(catch_unwind)]
pub fn health_due(monitor: Handle<HealthMonitor>) -> Vec<String> {
    let due = monitor.lock().due(Instant::now());
    due.iter().map(ToString::to_string).collect()
}

/// Milliseconds until the next check is due; `null` when nothing is scheduled.
#[napi(catch_unwind)]
pub fn health_next_due_ms(monitor: Handle<HealthMonitor>) -> Option<f64> {
    let due = monitor.lock().next_due()?;
    Some(ms(due.saturating_duration_since(Instant::now())))
}

/// The last result of a check.
#[napi(catch_unwind)]
pub fn health_last(
    monitor: Handle<HealthMonitor>,
    name: Argument<String>,
) -> Result<Option<String>> {
    let last = monitor.lock().last(&name.value_or_throw("name")?);
    Ok(last.map(|last| encode_result(&last).to_string()))
}

/// The kept results of one name, or of all.
#[napi(catch_unwind)]
pub fn health_history(
    monitor: Handle<HealthMonitor>,
    name: Argument<Option<String>>,
) -> Result<String> {
    let results = match name.value_or_throw("name")? {
        Some(name) => monitor.lock().history(&name),
        None => monitor.lock().full_history(),
    };
    Ok(encode_results(&results).to_string())
}

/// The last results and the overall status.
#[napi(catch_unwind)]
pub fn health_report(monitor: Handle<HealthMonitor>) -> String {
    encode_report(&monitor.lock().report()).to_string()
}

/// Figures over a name's history.
#[napi(catch_unwind)]
pub fn health_stats(monitor: Handle<HealthMonitor>, name: Argument<String>) -> Result<String> {
    let name = name.value_or_throw("name")?;
    let stats = monitor.lock().stats(&name, Instant::now());
    Ok(encode_stats(&name, &stats).to_string())
}
