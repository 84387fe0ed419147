//! Policies and breakers around JavaScript functions.
//!
//! The functions and their values stay in JavaScript. What crosses is decisions: `lib/resilience/runner.ts` asks before each
//! attempt, reports after it, and sleeps in between for as long as it is told.

mod breaker;
mod clock;
mod encode;
mod fast;
mod policy;

use std::time::Duration;

use moorline_core::{
    connection::retry,
    error::{Delivery, Kind},
    metrics::Registry,
    options::{Options, Read},
    resilience::{
        call_table::CallTable,
        config::{self, PolicyOptions},
        pipeline::BreakerScope,
        report::blames_service,
    },
};
use napi::{Env, Result};
use napi_derive::napi;

pub(crate) use self::{fast::register, policy::Policy};
use crate::{
    bridge::{self, Argument, Given, Handle, throw},
    resilience::encode::{encode_policy, ms},
};

fn read<T>(env: Env, given: &Given, parse: impl FnOnce(&Options<'_>) -> Read<T>) -> Result<T> {
    let read = || {
        let options = Options::new("options", &given.0)?;
        let value = parse(&options)?;
        options.finish()?;
        Ok(value)
    };
    read().map_err(|error| throw(&env, &error))
}

/// A policy from `PolicyOptions` without its functions.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn policy_create(env: Env, options: Given) -> Result<Handle<Policy>> {
    let (name, policy) = read(env, &options, |options| {
        let name = options.text("name")?.unwrap_or_default();
        Ok((name.to_owned(), config::pipeline(options)?))
    })?;
    let calls = CallTable::new(&name, &policy).published(Registry::process(), &name);
    Ok(Handle::new(Policy::new(calls)))
}

/// A policy that is only a breaker: no timeouts, no retries.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn breaker_create(env: Env, name: Argument<String>, options: Given) -> Result<Handle<Policy>> {
    let name = name.named("name")?;
    let breaker = read(env, &options, |options| {
        config::breaker(options, config::BREAKER)
    })?;
    let policy = PolicyOptions::breaker_only(BreakerScope::Attempts, breaker);
    Ok(Handle::new(Policy::new(CallTable::new(&name, &policy))))
}

/// A policy that only repeats: `kind` is `exponential`, `linear` or `jitter`.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn retry_create(env: Env, kind: String, options: Given) -> Result<Handle<Policy>> {
    let policy = retry::read(&kind, &options.0).map_err(|error| throw(&env, &error))?;
    Ok(Handle::new(Policy::new(CallTable::new("retry", &policy))))
}

/// Its name, options and the longest a first attempt may take, as JSON.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>")]
pub fn policy_describe(policy: Handle<Policy>) -> String {
    encode_policy(&policy.calls).to_string()
}

/// From now on it is `ms` after the first time that this was called: the clock is the caller's.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>, ms: number")]
pub fn policy_set_time(policy: Handle<Policy>, ms: f64) {
    policy.clock.set(ms);
}

/// What the last call that could not go was told, as JSON.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>")]
pub fn policy_step(policy: Handle<Policy>) -> String {
    policy.take_step().to_string()
}

/// How long the running attempt of a call may still take, in milliseconds; -1 without a limit.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>, id: number")]
pub fn policy_attempt_ms(policy: Handle<Policy>, id: u32) -> f64 {
    let left = policy.calls.attempt_left(id, policy.clock.now());
    left.map_or(-1.0, ms)
}

/// Counts an attempt that took too long, and gives its record; `limit` is what users call its time limit, where a policy's own words are
/// not theirs.
#[napi(
    catch_unwind,
    ts_args_type = "policy: Handle<Policy>, afterMs: number, limit?: string"
)]
pub fn policy_timed_out(policy: Handle<Policy>, after_ms: f64, limit: Option<String>) -> String {
    let allowed = Duration::try_from_secs_f64(after_ms / 1000.0).unwrap_or_default();
    bridge::record(policy.calls.time_out(allowed, limit.as_deref()))
}

/// As how many failures of the service a moorline error counts: one, or none.
#[napi(catch_unwind)]
pub fn policy_weight(kind: Given, delivery: Given, status: Option<f64>) -> u32 {
    // An error of the user's own making may have anything for its fields.
    let kind = kind
        .text()
        .and_then(|kind| Kind::ALL.into_iter().find(|one| one.as_str() == kind));
    let delivery = match delivery.text() {
        Some("none") => Delivery::None,
        Some("answered") => Delivery::Answered,
        _ => Delivery::Unknown,
    };
    let status = status.map(|status| status as u64);
    kind.map_or(1, |kind| u32::from(blames_service(kind, delivery, status)))
}
