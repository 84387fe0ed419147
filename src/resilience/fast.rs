//! The calls that every attempt makes, written by hand.

use std::{ffi::CStr, time::Duration};

use moorline_core::{
    limit::Limit,
    resilience::outcome::{AttemptFailure, AttemptOutcome},
};
use napi::Result;

use super::{Policy, encode::ceil_ms};
use crate::bridge::{Call, Exports, Function, ReturnValue};

/// The return value in place of a call's number where none was admitted.
const NOT_ADMITTED: i32 = -1;

/// Adds the hand-written functions.
pub(crate) fn register(exports: &Exports) -> Result<()> {
    exports.add::<Admit>()?;
    exports.add::<Succeed>()?;
    exports.add::<Fail>()?;
    exports.add::<Cancel>()?;
    exports.add::<Dequeue>()
}

/// `policyAdmit(policy, id?, timeoutMs?)`: the number of a call that may go, or -1; `policyNotAdmitted` says why then.
/// Without `id` it begins a call, which is over after `timeoutMs`.
struct Admit;

impl Function for Admit {
    const NAME: &'static CStr = c"policyAdmit";
    fn run(call: &Call) -> ReturnValue {
        let policy = call.handle::<Policy>(0);
        policy.map_or(ReturnValue::Undefined, |policy| {
            // An argument that is no time is refused where it is read as an option.
            let timeout = call.number(2).filter(|ms| *ms >= 1.0);
            let timeout = timeout.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
            let timeout = timeout.map_or(Limit::Off, Limit::At);
            let admitted = policy.admit(call.index(1), timeout);
            ReturnValue::Integer(admitted.map_or(NOT_ADMITTED, |id| id as i32))
        })
    }
}

/// `policySucceed(policy, id)`: the attempt gave what was asked for, and the call is over.
struct Succeed;

impl Function for Succeed {
    const NAME: &'static CStr = c"policySucceed";
    fn run(call: &Call) -> ReturnValue {
        if let (Some(policy), Some(id)) = (call.handle::<Policy>(0), call.index(1)) {
            policy
                .calls
                .record(id, AttemptOutcome::Success, policy.clock.now());
        }
        ReturnValue::Undefined
    }
}

/// `policyFail(policy, id, weight, retryable, retryAfterMs)`: milliseconds until the next attempt, or -1.
struct Fail;

impl Function for Fail {
    const NAME: &'static CStr = c"policyFail";
    fn run(call: &Call) -> ReturnValue {
        let (Some(policy), Some(id)) = (call.handle::<Policy>(0), call.index(1)) else {
            return ReturnValue::Undefined;
        };
        let retry_after = call.number(4).filter(|ms| *ms >= 0.0);
        let retry_after =
            retry_after.map(|ms| Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::MAX));
        let failure = AttemptOutcome::Failure(AttemptFailure {
            // A negative number or none at all counts as nothing: the conversion saturates.
            weight: call.number(2).unwrap_or(1.0) as u32,
            retryable: call.flag(3).unwrap_or(false),
            retry_after,
        });
        let next = policy.calls.record(id, failure, policy.clock.now());
        ReturnValue::Number(next.map_or(-1.0, ceil_ms))
    }
}

/// `policyCancel(policy, id)`: the caller gave the call up.
struct Cancel;

impl Function for Cancel {
    const NAME: &'static CStr = c"policyCancel";
    fn run(call: &Call) -> ReturnValue {
        if let (Some(policy), Some(id)) = (call.handle::<Policy>(0), call.index(1)) {
            policy.calls.cancel(id, policy.clock.now());
        }
        ReturnValue::Undefined
    }
}

/// `policyDequeue(policy)`: the number of a queued call whose turn has come, or -1.
struct Dequeue;

impl Function for Dequeue {
    const NAME: &'static CStr = c"policyDequeue";
    fn run(call: &Call) -> ReturnValue {
        let policy = call.handle::<Policy>(0);
        let id = policy.and_then(|policy| policy.calls.next_turn());
        ReturnValue::Integer(id.map_or(NOT_ADMITTED, |id| id as i32))
    }
}
