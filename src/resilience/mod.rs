//! Policies and breakers around JavaScript functions.
//!
//! The functions and their values stay in JavaScript. What crosses is decisions: `lib/resilience/runner.ts` asks before each
//! attempt, reports after it, and sleeps in between for as long as it is told.

mod breaker;
pub(crate) mod guarded;

use std::{ffi::CStr, time::Duration};

use moorline_core::{
    connection::retry,
    error::{Delivery, Failure, Kind},
    limit::Limit,
    options::{Options, Read},
    resilience::{
        breaker::BreakerConfig,
        config::{self, PolicyConfig},
        outcome::{AttemptFailure, AttemptOutcome, blames_service},
        pipeline::BreakerScope,
    },
};
use napi::{Env, Result};
use napi_derive::napi;

use crate::{
    bridge::{self, Answer, Argument, Call, Exports, Function, Given, Handle, throw},
    resilience::guarded::{NOT_ADMITTED, Policy, ms},
};

fn read<T>(env: Env, given: &Given, read: impl FnOnce(&Options<'_>) -> Read<T>) -> Result<T> {
    let whole = || {
        let options = Options::new("options", &given.0)?;
        let value = read(&options)?;
        options.finish()?;
        Ok(value)
    };
    whole().map_err(|error| throw(&env, &error))
}

/// A policy from `PolicyConfig` without its functions.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn policy_create(env: Env, options: Given) -> Result<Handle<Policy>> {
    let (name, policy) = read(env, &options, |options| {
        let name = options.text("name")?.unwrap_or_default();
        Ok((name.to_owned(), PolicyConfig::read(options)?))
    })?;
    Ok(Handle::new(Policy::new(&name, &policy).published(&name)))
}

/// A policy that is only a breaker: no timeouts, no retries.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn breaker_create(env: Env, name: Argument<String>, options: Given) -> Result<Handle<Policy>> {
    let name = name.named("name")?;
    let breaker = read(env, &options, |options| {
        BreakerConfig::read(options, config::BREAKER)
    })?;
    let policy = PolicyConfig::breaker_only(BreakerScope::Attempts, breaker);
    Ok(Handle::new(Policy::new(&name, &policy)))
}

/// A policy that only repeats: `kind` is `exponential`, `linear` or `jitter`.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn retry_create(env: Env, kind: String, options: Given) -> Result<Handle<Policy>> {
    let policy = retry::read(&kind, &options.0).map_err(|error| throw(&env, &error))?;
    Ok(Handle::new(Policy::new("retry", &policy)))
}

/// Its name, options and the longest a first attempt may take, as JSON.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>")]
pub fn policy_describe(policy: Handle<Policy>) -> String {
    policy.describe().to_string()
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
    policy.attempt_left(id).map_or(-1.0, ms)
}

/// Counts an attempt that took too long, and gives its record; `limit` is what users call its time limit, where a policy's own words are
/// not theirs.
#[napi(
    catch_unwind,
    ts_args_type = "policy: Handle<Policy>, afterMs: number, limit?: string"
)]
pub fn policy_timed_out(policy: Handle<Policy>, after_ms: f64, limit: Option<String>) -> String {
    policy.time_out();
    let allowed = Duration::try_from_secs_f64(after_ms / 1000.0).unwrap_or_default();
    let limit = limit.unwrap_or_else(|| policy.pipeline.config().limit_of(allowed).to_owned());
    let message = format!("the attempt was not over within {after_ms} ms ({limit})");
    let failure = Failure::new(Kind::Timeout, message)
        .with_retryable(true)
        .with_detail("limit", limit);
    bridge::record(failure.during("resilience", policy.name().to_owned()))
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

/// `policyAdmit(policy, id?, timeoutMs?)`: the number of a call that may go, or -1. Without `id` it begins a call, which is
/// over after `timeoutMs`.
pub struct Admit;

impl Function for Admit {
    const NAME: &'static CStr = c"policyAdmit";
    fn run(call: &Call) -> Answer {
        let policy = call.handle::<Policy>(0);
        policy.map_or(Answer::Undefined, |policy| {
            // What is no time is refused by what it is for.
            let timeout = call.number(2).filter(|ms| *ms >= 1.0);
            let timeout = timeout.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
            let timeout = timeout.map_or(Limit::Off, Limit::At);
            Answer::Integer(policy.admit(call.index(1), timeout))
        })
    }
}

/// `policySucceed(policy, id)`: the attempt gave what was asked for, and the call is over.
pub struct Succeed;

impl Function for Succeed {
    const NAME: &'static CStr = c"policySucceed";
    fn run(call: &Call) -> Answer {
        if let (Some(policy), Some(id)) = (call.handle::<Policy>(0), call.index(1)) {
            policy.record(id, AttemptOutcome::Success);
        }
        Answer::Undefined
    }
}

/// `policyFail(policy, id, weight, retryable, retryAfterMs)`: milliseconds until the next attempt, or -1.
pub struct Fail;

impl Function for Fail {
    const NAME: &'static CStr = c"policyFail";
    fn run(call: &Call) -> Answer {
        let (Some(policy), Some(id)) = (call.handle::<Policy>(0), call.index(1)) else {
            return Answer::Undefined;
        };
        let asked = call.number(4).filter(|ms| *ms >= 0.0);
        let retry_after =
            asked.map(|ms| Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::MAX));
        let fault = AttemptFailure {
            // A negative number or none at all counts as nothing: the conversion saturates.
            weight: call.number(2).unwrap_or(1.0) as u32,
            retryable: call.flag(3).unwrap_or(false),
            retry_after,
        };
        let next = policy.record(id, AttemptOutcome::Failure(fault));
        Answer::Number(next.map_or(-1.0, ms))
    }
}

/// `policyCancel(policy, id)`: the caller gave the call up.
pub struct Cancelled;

impl Function for Cancelled {
    const NAME: &'static CStr = c"policyCancel";
    fn run(call: &Call) -> Answer {
        if let (Some(policy), Some(id)) = (call.handle::<Policy>(0), call.index(1)) {
            policy.cancel(id);
        }
        Answer::Undefined
    }
}

/// `policyTurn(policy)`: the number of a queued call whose turn has come, or -1.
pub struct NextTurn;

impl Function for NextTurn {
    const NAME: &'static CStr = c"policyTurn";
    fn run(call: &Call) -> Answer {
        let id = call
            .handle::<Policy>(0)
            .and_then(|policy| policy.next_turn());
        Answer::Integer(id.map_or(NOT_ADMITTED, |id| id as i32))
    }
}

/// Registers the hand-written functions.
pub fn register(exports: &Exports) -> Result<()> {
    exports.add::<Admit>()?;
    exports.add::<Succeed>()?;
    exports.add::<Fail>()?;
    exports.add::<Cancelled>()?;
    exports.add::<NextTurn>()
}
