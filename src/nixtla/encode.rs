//! The state of a client as the JSON texts that `lib/nixtla/client.ts` reads.

use moorline_core::resilience::breaker::Change;
use moorline_services::nixtla::service::{BreakerState, Stats};
use serde_json::{Value as Json, json};

pub(super) fn encode_change(change: &Change) -> Json {
    json!({ "from": change.from.as_str(), "to": change.to.as_str() })
}

pub(super) fn encode_breaker(breaker: &BreakerState) -> Json {
    json!({
        "state": breaker.state.as_str(),
        "failures": breaker.failures,
        "lastFailureTime": breaker.last_failure_ms,
        "nextAttemptTime": breaker.next_attempt_ms,
    })
}

pub(super) fn encode_stats(stats: &Stats) -> Json {
    json!({
        "requests": stats.requests,
        "inputTokens": stats.input_tokens,
        "outputTokens": stats.output_tokens,
        "finetuneTokens": stats.finetune_tokens,
        "localAnswers": stats.local_answers,
    })
}
