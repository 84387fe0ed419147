//! The policies of a connection, and what its failures mean.

use std::{ffi::CStr, time::Instant};

use moorline_core::{
    connection::{
        config::ConnectionConfig,
        failure::{self, Said},
        policy::Purpose,
    },
    error::Kind,
    options::{OptionError, Plain},
    resilience::idempotency,
};
use napi::{Env, Result};
use napi_derive::napi;

use crate::{
    bridge::{self, Answer, Call, Exports, Function, Given, Handle, throw},
    resilience::guarded::Policy,
};

/// The policy of a connection for `transport`, `hooks`, `connect`, `reconnection` or `recovery`; `options` are those in force. Its
/// breaker is named after the connection, and goes with it.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn connection_policy(env: Env, purpose: String, options: Given) -> Result<Handle<Policy>> {
    let read = || {
        let purpose = Purpose::NAMED
            .into_iter()
            .find(|(name, _)| *name == purpose);
        let unknown = || OptionError::bad_value("purpose", "is no purpose of a policy");
        let (name, purpose) = purpose.ok_or_else(unknown)?;
        let config = ConnectionConfig::read(&options.0, &Plain::Map(Vec::new()), None)?;
        let name = config.name.as_deref().unwrap_or(name);
        Ok(Policy::owned(name, &config.policy(purpose)))
    };
    read().map(Handle::new).map_err(|error| throw(&env, &error))
}

/// The breaker of a policy and nothing else; `null` when it has none.
#[napi(
    catch_unwind,
    ts_args_type = "policy: Handle<Policy>",
    ts_return_type = "Handle<Policy> | null"
)]
pub fn policy_breaker(policy: Handle<Policy>) -> Option<Handle<Policy>> {
    policy.breaker_only().map(Handle::new)
}

/// Which event, beside `error`, tells of a failure.
#[napi(catch_unwind)]
pub fn connection_meaning(
    kind: Given,
    status: Option<f64>,
    context: String,
) -> Option<&'static str> {
    let event_for = said(&kind, status).event_for(&context)?;
    Some(event_for.as_str())
}

/// Whether another address may serve where a call failed like that.
#[napi(catch_unwind)]
pub fn connection_unreachable(kind: Given, status: Option<f64>) -> bool {
    said(&kind, status).is_unreachable()
}

/// Whether reconnecting goes on after an attempt that failed like that.
#[napi(catch_unwind)]
pub fn connection_worth_another(kind: Given, status: Option<f64>) -> bool {
    said(&kind, status).should_reconnect()
}

/// Whether a WebSocket that was closed with `code`, by us or by the server, stays closed.
#[napi(catch_unwind)]
pub fn connection_closed_for_good(code: u32, by_us: bool) -> bool {
    u16::try_from(code).is_ok_and(|code| failure::is_final_close(code, by_us))
}

/// Whether a WebSocket that was closed with `code` came to its proper end.
#[napi(catch_unwind)]
pub fn connection_ended_properly(code: u32) -> bool {
    u16::try_from(code).is_ok_and(failure::is_proper_end)
}

/// Whether an HTTP request of that method may be sent twice.
#[napi(catch_unwind)]
pub fn http_idempotent(method: String) -> bool {
    idempotency::is_idempotent(&method)
}

/// Whether a status says that we are not who we should be.
#[napi(catch_unwind)]
pub fn http_refuses_credentials(status: u32) -> bool {
    failure::refuses_credentials(status.into())
}

/// The failure record of an HTTP answer that counts as one; `again` says whether the request may be sent twice.
#[napi(catch_unwind)]
pub fn http_unhappy(
    status: u32,
    again: bool,
    retry_after: Option<String>,
    retry_after_ms: Option<String>,
) -> Option<String> {
    let status = u16::try_from(status).ok()?;
    let (asked, asked_ms) = (retry_after.as_deref(), retry_after_ms.as_deref());
    failure::unhappy_answer(status, again, asked, asked_ms).map(bridge::record)
}

/// The failure record of data that a server answered with a status that is no success.
#[napi(catch_unwind)]
pub fn http_rejected(status: u16) -> String {
    bridge::record(failure::rejected(status))
}

/// What an error says of itself; one of the user's own making may have anything for its kind.
fn said(kind: &Given, status: Option<f64>) -> Said {
    let known = |kind: &str| Kind::ALL.into_iter().find(|one| one.as_str() == kind);
    Said {
        kind: kind.text().and_then(known),
        status: status.map(|status| status as u64),
    }
}

/// `policyRefuses(policy)`: whether its breaker lets nothing through now.
pub(crate) struct Refuses;

impl Function for Refuses {
    const NAME: &'static CStr = c"policyRefuses";
    fn run(call: &Call) -> Answer {
        let policy = call.handle::<Policy>(0);
        let breaker = policy.as_ref().and_then(|policy| policy.breaker());
        let refusal = breaker.and_then(|breaker| breaker.refusal(Instant::now()));
        Answer::Bool(refusal.is_some())
    }
}

/// Registers the hand-written function.
pub fn register(exports: &Exports) -> Result<()> {
    exports.add::<Refuses>()
}
