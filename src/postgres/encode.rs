//! Results of statements and events of a pool as `lib/postgres` reads them.

use std::time::Duration;

use moorline_net::pool::{Event, PoolListener};
use moorline_services::postgres::result::ResultText;
use serde_json::json;

use crate::bridge::{Callback, Value, failure_json};

/// The JavaScript listener of a pool, which receives each event as JSON text.
pub(super) struct PoolEvents(pub(super) Callback);

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
            Event::Error(failure) => {
                json!({ "event": "error", "failure": failure_json(failure) })
            }
        };
        self.0.deliver(encoded.to_string());
    }
}

/// The result of a statement, or an array of all results of several.
pub(super) fn encode_results(results: Vec<ResultText>) -> Value {
    let mut texts = results.into_iter().map(|result| Value::Text(result.json));
    match (texts.len(), texts.next()) {
        (1, Some(text)) => text,
        (_, first) => Value::List(first.into_iter().chain(texts).collect()),
    }
}
