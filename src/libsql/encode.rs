//! Results of statements and events of a pool as `lib/libsql` reads them.

use std::time::Duration;

use moorline_core::error::Failure;
use moorline_net::pool::{Event, PoolListener};
use moorline_services::libsql::{operation::Results, result::ResultText};
use serde_json::json;

use crate::bridge::{Callback, Value};

/// The JavaScript listener of a pool, which receives each event as JSON text. Borrowing and giving back are events of
/// `lib/`, where they happen.
pub(crate) struct PoolEvents(pub(crate) Callback);

impl PoolListener for PoolEvents {
    fn on_event(&self, event: Event) {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let encoded = match event {
            Event::Acquire { .. } | Event::Release { .. } => return,
            Event::Create { lease, took } => {
                json!({ "event": "create", "connectionId": lease.slot, "durationMs": ms(took) })
            }
            Event::Destroy { lease } => json!({ "event": "destroy", "connectionId": lease.slot }),
            Event::Timeout { after } => json!({ "event": "timeout", "afterMs": ms(after) }),
            Event::Leak { lease, held } => {
                json!({ "event": "leak", "lease": lease.number(), "heldMs": ms(held) })
            }
            Event::Drain => json!({ "event": "drain" }),
            Event::Error(failure) => error_event(&failure),
        };
        self.0.deliver(encoded.to_string());
    }
}

fn error_event(failure: &Failure) -> serde_json::Value {
    json!({
        "event": "error", "kind": failure.kind.as_str(), "code": failure.code,
        "message": failure.message,
    })
}

/// The result of a `single` statement, or an array of all results.
pub(super) fn encode(results: Results, single: bool) -> Value {
    let mut results = results.into_iter().map(encode_result);
    match results.next() {
        Some(result) if single => result,
        first => Value::List(first.into_iter().chain(results).collect()),
    }
}

/// The result of one statement.
pub(super) fn encode_result(result: ResultText) -> Value {
    if result.blobs.is_empty() {
        return Value::Text(result.json);
    }
    Value::List(vec![Value::Text(result.json), Value::Bytes(result.blobs)])
}
