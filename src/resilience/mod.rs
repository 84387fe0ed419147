//! Policies and breakers around JavaScript functions.
//!
//! The functions and their values stay in JavaScript. Decisions cross: `lib/resilience/runner.ts` asks before each
//! attempt, reports after it, and sleeps in between for the time it is given.

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
        breaker::BreakerConfig,
        call_table::CallTable,
        config::{self, PolicyConfig},
        outcome::blames_service,
        pipeline::BreakerScope,
    },
};
use napi::{Env, Result};
use napi_derive::napi;

pub(crate) use self::{fast::register, policy::Policy};
use crate::{
    bridge::{self, Argument, Handle, OrThrow, RawArgument},
    resilience::encode::{ceil_ms, encode_policy},
};

fn read<T>(
    env: Env,
    given: &RawArgument,
    parse: impl FnOnce(&Options<'_>) -> Read<T>,
) -> Result<T> {
    let options = Options::new("options", &given.0).or_throw(&env)?;
    let value = parse(&options).or_throw(&env)?;
    options.finish().or_throw(&env)?;
    Ok(value)
}

/// A policy from `PolicyConfig` without its functions.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn policy_create(env: Env, options: RawArgument) -> Result<Handle<Policy>> {
    let (name, policy) = read(env, &options, |options| {
        let name = options.text("name")?.unwrap_or_default();
        Ok((name.to_owned(), PolicyConfig::read(options)?))
    })?;
    let calls = CallTable::new(&name, &policy).with_metrics(Registry::global(), &name);
    Ok(Handle::new(Policy::new(calls)))
}

/// A policy that is only a breaker: no timeouts, no retries.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn breaker_create(
    env: Env,
    name: Argument<String>,
    options: RawArgument,
) -> Result<Handle<Policy>> {
    let name = name.value_or_throw("name")?;
    let breaker = read(env, &options, |options| {
        BreakerConfig::read(options, config::BREAKER)
    })?;
    let policy = PolicyConfig::breaker_only(BreakerScope::Attempts, breaker);
    Ok(Handle::new(Policy::new(CallTable::new(&name, &policy))))
}

/// A policy that only repeats: `kind` is `exponential`, `linear` or `jitter`.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn retry_create(env: Env, kind: String, options: RawArgument) -> Result<Handle<Policy>> {
    let policy = retry::read_policy(&kind, &options.0).or_throw(&env)?;
    Ok(Handle::new(Policy::new(CallTable::new("retry", &policy))))
}

/// The name, the options and the longest time of a first attempt, as JSON.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>")]
pub fn policy_describe(policy: Handle<Policy>) -> String {
    encode_policy(&policy.calls).to_string()
}

/// Sets the time to `ms` after the first call of this: the clock is the caller's from then on.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>, ms: number")]
pub fn policy_set_time(policy: Handle<Policy>, ms: f64) {
    policy.clock.set(ms);
}

/// The answer to the last call that could not go, as JSON.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>")]
pub fn policy_not_admitted(policy: Handle<Policy>) -> String {
    policy.take_not_admitted().to_string()
}

/// The time that the running attempt of a call has left, in milliseconds; -1 without a limit.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>, id: number")]
pub fn policy_attempt_timeout_ms(policy: Handle<Policy>, id: u32) -> f64 {
    let left = policy.calls.attempt_time_left(id, policy.clock.now());
    left.map_or(-1.0, ceil_ms)
}

/// Counts an attempt that took too long, and returns its record. `limit` is the option that bounds it, where that is
/// none of the policy's own.
#[napi(
    catch_unwind,
    ts_args_type = "policy: Handle<Policy>, afterMs: number, limit?: string"
)]
pub fn policy_timed_out(policy: Handle<Policy>, after_ms: f64, limit: Option<String>) -> String {
    let allowed = Duration::try_from_secs_f64(after_ms / 1000.0).unwrap_or_default();
    bridge::failure_json(policy.calls.time_out(allowed, limit.as_deref()))
}

/// The number of failures of the service that a moorline error counts as: one, or none.
#[napi(catch_unwind)]
pub fn policy_weight(kind: RawArgument, delivery: RawArgument, status: Option<f64>) -> u32 {
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
