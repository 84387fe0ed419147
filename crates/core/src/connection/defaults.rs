//! Defaults of what runs in JavaScript: queues of messages, reconnection, a manager's checks.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::health::Status;

/// Messages that wait to be received; more of them make the other side wait.
const QUEUED_MESSAGES: u32 = 1000;
/// A connection that was open for this long was a good one: after its loss the delays begin anew.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// Between two rounds of checks of a manager.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// Connections that a manager opens, closes or checks at once.
const CONCURRENCY: u32 = 16;

/// All of them, times in milliseconds.
pub fn defaults() -> Json {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    json!({
        "queuedMessages": QUEUED_MESSAGES,
        "stableAfterMs": ms(STABLE_AFTER),
        "healthCheckIntervalMs": ms(CHECK_INTERVAL),
        "concurrency": CONCURRENCY,
    })
}

/// The health of several connections together, from how many there are of each; `None` where none was checked yet.
pub fn overall_health(healthy: u32, degraded: u32, unhealthy: u32) -> Option<Status> {
    let counts = [
        (Status::Healthy, healthy),
        (Status::Degraded, degraded),
        (Status::Unhealthy, unhealthy),
    ];
    let present = counts.into_iter().filter(|(_, count)| *count > 0);
    Status::overall(present.map(|(status, _)| status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_those_that_were_checked_is_the_health_of_all() {
        for (counts, expected) in [
            ((0, 0, 0), None),
            ((2, 0, 0), Some(Status::Healthy)),
            ((2, 1, 0), Some(Status::Degraded)),
            ((2, 1, 1), Some(Status::Unhealthy)),
        ] {
            let (healthy, degraded, unhealthy) = counts;
            assert_eq!(overall_health(healthy, degraded, unhealthy), expected);
        }
    }
}
