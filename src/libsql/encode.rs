//! What a services' pool tells about its life, on its way to JavaScript.

use std::time::Duration;

use moorline_core::error::Failure;
use moorline_net::pool::{Event, PoolListener};
use serde_json::json;

use crate::bridge::Callback;

/// A JavaScript function that hears each event as JSON text. Borrowing and giving back is told in `lib/`,
/// where it happens.
pub(crate) struct PoolEvents(pub(crate) Callback);

impl PoolListener for PoolEvents {
    fn on_event(&self, event: Event) {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let told = match event {
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
        self.0.tell(told.to_string());
    }
}

fn error_event(failure: &Failure) -> serde_json::Value {
    json!({
        "event": "error", "kind": failure.kind.as_str(), "code": failure.code,
        "message": failure.message,
    })
}
