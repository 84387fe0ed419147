//! Decisions on calls, and policies, as the JSON texts that `lib/resilience` reads.

use std::time::Duration;

use moorline_core::resilience::{
    call_table::{CallTable, NotAdmitted},
    describe,
};
use serde_json::{Value as Json, json};

use crate::bridge::record;

/// The answer to a call that may not go, which `lib/resilience/runner.ts` acts on.
pub(super) fn encode_not_admitted(answer: NotAdmitted) -> Json {
    match answer {
        NotAdmitted::Wait { id, pause } => json!({ "id": id, "waitMs": ms(pause) }),
        NotAdmitted::Queue { id, at_most } => json!({ "id": id, "queueMs": at_most.map(ms) }),
        NotAdmitted::Refused(failure) => json!({ "refused": record(failure) }),
        NotAdmitted::Unknown => Json::Null,
    }
}

/// The name of a policy, its options as users see them, and the longest that a first attempt may take.
pub(super) fn encode_policy(calls: &CallTable) -> Json {
    json!({
        "name": calls.name(),
        "options": describe::policy(calls.options()),
        "optionsDiffer": calls.options_differ(),
        "attemptMs": calls.longest_attempt().map(ms),
    })
}

/// Whole milliseconds, rounded up: a timer that fires early would find the call not admitted yet.
pub(super) fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).ceil()
}
