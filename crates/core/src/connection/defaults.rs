//! Defaults of the parts that run in JavaScript: queues of messages, reconnection, a manager's checks.

use std::time::Duration;

use serde_json::{Value as Json, json};

/// Messages that wait to be received; more of them make the other side wait.
const QUEUED_MESSAGES: u32 = 1000;
/// A connection that was open for this long was a good one: after its loss the delays begin anew.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// Between two rounds of checks of a manager.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// Connections that a manager opens, closes or checks at once.
const CONCURRENCY: u32 = 16;

/// Every default, times in milliseconds.
pub fn defaults() -> Json {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    json!({
        "queuedMessages": QUEUED_MESSAGES,
        "stableAfterMs": ms(STABLE_AFTER),
        "healthCheckIntervalMs": ms(CHECK_INTERVAL),
        "concurrency": CONCURRENCY,
    })
}
