//! Requests and events of a pool as the JSON texts that `lib/connection/pool` reads.

use std::time::Duration;

use moorline_core::{connection::pool::ConnectionPoolConfig, limit::Limit};
use moorline_net::object_pool::{ObjectPoolEvent, Request};
use serde_json::{Value as Json, json};

use crate::bridge::failure_json;

pub(super) fn encode_request(request: Request) -> Json {
    match request {
        Request::Create { id } => json!({ "request": "create", "objectId": id }),
        Request::Check { id, object } => {
            json!({ "request": "check", "requestId": id, "objectId": object })
        }
        Request::Close {
            id: Some(id),
            object,
        } => {
            json!({ "request": "close", "requestId": id, "objectId": object })
        }
        Request::Close { id: None, object } => json!({ "request": "close", "objectId": object }),
    }
}

pub(super) fn encode_event(event: ObjectPoolEvent) -> Json {
    match event {
        ObjectPoolEvent::Leak { object, held } => {
            json!({ "event": "leak", "objectId": object, "heldMs": ms(held) })
        }
        ObjectPoolEvent::Drain => json!({ "event": "drain" }),
        ObjectPoolEvent::Error(failure) => {
            json!({ "event": "error", "failure": failure_json(failure) })
        }
    }
}

/// The options in force, in milliseconds; `null` for a limit that is off.
pub(super) fn encode_config(config: &ConnectionPoolConfig) -> Json {
    let limit = |limit: Limit<Duration>| limit.get().map(ms);
    json!({
        "maxSize": config.ledger.max,
        "minSize": config.ledger.min,
        "maxIdleTimeMs": limit(config.ledger.idle_timeout),
        "acquireTimeoutMs": limit(config.ledger.acquire_timeout),
        "releaseTimeoutMs": ms(config.release_timeout),
        "connectTimeoutMs": ms(config.connect_timeout),
        "healthCheckIntervalMs": limit(config.health_check_interval),
        "cleanupIntervalMs": limit(config.cleanup_interval),
        "maxConnecting": config.ledger.max_connecting.get(),
        "maxLifetimeMs": limit(config.ledger.max_lifetime),
        "leakAfterMs": limit(config.ledger.leak_after),
    })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
