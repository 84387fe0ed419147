//! The policies of a connection, and the consequences of its failures.

use std::{
    ffi::CStr,
    time::{Instant, SystemTime},
};

use moorline_core::{
    connection::{
        failure::{self, ErrorFacts},
        policy::Purpose,
    },
    error::Kind,
    options::OptionError,
    resilience::{call_table::CallTable, idempotency},
};
use napi::{Env, Result};
use napi_derive::napi;

use super::ResolvedConnectionConfig;
use crate::{
    bridge::{self, Call, Exports, Function, Handle, RawArgument, ReturnValue, to_js_error},
    resilience::Policy,
};

/// The policy of a connection for `transport`, `custom`, `connect`, `reconnection` or `recovery`. Its breaker is named
/// after the connection, and goes with it.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn connection_policy(
    env: Env,
    purpose: String,
    options: Handle<ResolvedConnectionConfig>,
) -> Result<Handle<Policy>> {
    let named = Purpose::CHOICES
        .into_iter()
        .find(|(name, _)| *name == purpose);
    let Some((_, purpose)) = named else {
        let error = OptionError::bad_value("purpose", "is not a purpose of a policy");
        return Err(to_js_error(&env, error));
    };
    let policy = options.config.policy(purpose);
    Ok(Handle::new(Policy::new(CallTable::with_own_breaker(
        &options.name,
        &policy,
    ))))
}

/// The breaker of a policy and nothing else; `null` when it has none.
#[napi(
    catch_unwind,
    ts_args_type = "policy: Handle<Policy>",
    ts_return_type = "Handle<Policy> | null"
)]
pub fn policy_breaker(policy: Handle<Policy>) -> Option<Handle<Policy>> {
    let calls = policy.calls.breaker_only()?;
    Some(Handle::new(Policy::new(calls)))
}

/// The event, beside `error`, that a failure causes.
#[napi(catch_unwind)]
pub fn connection_error_event(
    kind: RawArgument,
    status: Option<f64>,
    context: String,
) -> Option<&'static str> {
    let event_for = error_facts(&kind, status).event_for(&context)?;
    Some(event_for.as_str())
}

/// Whether another address may serve where a call failed like that.
#[napi(catch_unwind)]
pub fn connection_is_unreachable(kind: RawArgument, status: Option<f64>) -> bool {
    error_facts(&kind, status).is_unreachable()
}

/// Whether reconnecting goes on after an attempt that failed like that.
#[napi(catch_unwind)]
pub fn connection_should_reconnect(kind: RawArgument, status: Option<f64>) -> bool {
    error_facts(&kind, status).should_reconnect()
}

/// Whether a WebSocket that was closed with `code`, by us or by the server, stays closed.
#[napi(catch_unwind)]
pub fn connection_is_final_close(code: u32, by_us: bool) -> bool {
    u16::try_from(code).is_ok_and(|code| failure::is_final_close(code, by_us))
}

/// Whether a WebSocket closed with `code` ended normally.
#[napi(catch_unwind)]
pub fn connection_is_normal_close(code: u32) -> bool {
    u16::try_from(code).is_ok_and(failure::is_normal_close)
}

/// Whether an HTTP request of that method, with headers of those names, may be sent twice.
#[napi(catch_unwind)]
pub fn http_is_idempotent(method: String, header_names: Vec<String>) -> bool {
    let names = header_names.iter().map(String::as_str);
    idempotency::is_idempotent_request(&method, names)
}

/// Whether an HTTP status says that the server failed.
#[napi(catch_unwind)]
pub fn http_is_server_error(status: u32) -> bool {
    idempotency::is_server_error(status.into())
}

/// Whether a status says that credentials are missing or refused.
#[napi(catch_unwind)]
pub fn http_refuses_credentials(status: u32) -> bool {
    failure::refuses_credentials(status.into())
}

/// The failure record of an HTTP answer that counts as one; `again` says whether the request may be sent twice.
#[napi(catch_unwind)]
pub fn http_response_failure(
    status: u32,
    again: bool,
    retry_after: Option<String>,
    retry_after_ms: Option<String>,
) -> Option<String> {
    let status = u16::try_from(status).ok()?;
    let (asked, asked_ms) = (retry_after.as_deref(), retry_after_ms.as_deref());
    failure::response_failure(status, again, asked, asked_ms, SystemTime::now())
        .map(bridge::failure_json)
}

/// The failure record for a status other than success.
#[napi(catch_unwind)]
pub fn http_rejection(status: u16) -> String {
    bridge::failure_json(failure::rejection(status))
}

/// The properties of an error; a user's own error may have any value as its kind.
fn error_facts(kind: &RawArgument, status: Option<f64>) -> ErrorFacts {
    let known = |kind: &str| Kind::ALL.into_iter().find(|one| one.as_str() == kind);
    ErrorFacts {
        kind: kind.text().and_then(known),
        status: status.map(|status| status as u64),
    }
}

/// `policyRefuses(policy)`: whether its breaker refuses calls now.
pub(crate) struct Refuses;

impl Function for Refuses {
    const NAME: &'static CStr = c"policyRefuses";
    fn run(call: &Call) -> ReturnValue {
        let policy = call.handle::<Policy>(0);
        let breaker = policy.as_ref().and_then(|policy| policy.calls.breaker());
        let refusal = breaker.and_then(|breaker| breaker.refusal(Instant::now()));
        ReturnValue::Bool(refusal.is_some())
    }
}

/// Registers the hand-written function.
pub fn register(exports: &Exports) -> Result<()> {
    exports.add::<Refuses>()
}
