//! Defaults of what JavaScript does around a verifier: receiving bodies, and remembering requests.

use std::time::Duration;

use serde_json::{Value as Json, json};

/// The largest body that is read.
const LIMIT_BYTES: u64 = 10 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The status for a request that was handled before.
const DUPLICATE_STATUS: u16 = 200;
/// How long a request that is being handled is kept from being handled a second time.
const CLAIM: Duration = Duration::from_mins(5);
/// How long a replay store may take for each answer.
const REPLAY_STORE_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests that a store in memory remembers.
const REPLAY_CAPACITY: u32 = 100_000;

/// All of them by the names of their options, times in milliseconds.
pub fn defaults() -> Json {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    json!({
        "limitBytes": LIMIT_BYTES,
        "timeoutMs": ms(BODY_TIMEOUT),
        "duplicateStatus": DUPLICATE_STATUS,
        "claimMs": ms(CLAIM),
        "replayStoreTimeoutMs": ms(REPLAY_STORE_TIMEOUT),
        "capacity": REPLAY_CAPACITY,
    })
}
