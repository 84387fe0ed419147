//! Events of a pool on their way to JavaScript.

use std::time::Duration;

use moorline_core::error::Failure;
use moorline_net::pool::{Event, PoolListener};
use serde_json::{Value as Json, json};

use crate::bridge::{Callback, failure_json};

/// The JavaScript listener of a pool, which receives each event as JSON text. Borrowing and giving back are events of
/// `lib/`, where they happen.
pub(crate) struct PoolEvents {
    pub(crate) listener: Callback,
    /// The encoding of a failure in the background.
    pub(crate) encode_error: fn(Failure) -> Json,
}

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
            Event::Lost(failure) => json!({ "event": "lost", "failure": failure_json(failure) }),
            Event::Drain => json!({ "event": "drain" }),
            Event::Error(failure) => (self.encode_error)(failure),
        };
        self.listener.deliver(encoded.to_string());
    }
}
