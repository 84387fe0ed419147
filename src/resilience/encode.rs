//! Decisions, policies and breakers as the JSON texts that `lib/resilience` reads.

use std::time::Duration;

use moorline_core::{
    clock::Anchor,
    resilience::{
        breaker::Snapshot,
        call_table::{CallTable, NotAdmitted},
        describe,
    },
};
use serde_json::{Value as Json, json};

use crate::bridge::failure_json;

/// The answer to a call that may not go, which `lib/resilience/runner.ts` acts on.
pub(super) fn encode_not_admitted(answer: NotAdmitted) -> Json {
    match answer {
        NotAdmitted::Wait { id, pause } => json!({ "id": id, "waitMs": ceil_ms(pause) }),
        NotAdmitted::Queue { id, max_wait } => {
            json!({ "id": id, "queueMs": max_wait.map(ceil_ms) })
        }
        NotAdmitted::Refused(failure) => json!({ "refused": failure_json(failure) }),
        NotAdmitted::Unknown => Json::Null,
    }
}

/// The name of a policy, its options as users see them, and the longest that a first attempt may take.
pub(super) fn encode_policy(calls: &CallTable) -> Json {
    json!({
        "name": calls.name(),
        "options": describe::policy_json(calls.config()),
        "optionsDiffer": calls.config_differs(),
        "attemptTimeoutMs": calls.attempt_limit().map(ceil_ms),
    })
}

/// A breaker; its times are milliseconds since the epoch.
pub(super) fn encode_breaker(name: &str, snapshot: &Snapshot, anchor: Anchor) -> Json {
    let totals = &snapshot.totals;
    json!({
        "name": name,
        "state": snapshot.state.as_str(),
        "failures": snapshot.failures,
        "successes": snapshot.successes,
        "lastFailureTime": snapshot.last_failure.map(|at| anchor.epoch_ms(at)),
        "nextAttemptTime": snapshot.next_attempt.map(|at| anchor.epoch_ms(at)),
        "totalRequests": totals.requests,
        "totalSuccesses": totals.successes,
        "totalFailures": totals.failures,
        "totalRefused": totals.refused,
        "stateChanges": totals.changes,
    })
}

/// The whole milliseconds, rounded up: a timer that fires early would find the call not admitted yet.
pub(super) fn ceil_ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).ceil()
}
