//! Results of statements and failures of a pool as `lib/postgres` reads them.

use std::time::Duration;

use moorline_core::{error::Failure, limit::Limit};
use moorline_services::postgres::{
    address::Server, config::Config, error::ServerMessage, message_queue::Message,
    password::PasswordRequest, result::ResultText,
};
use serde_json::{Value as Json, json};

use crate::bridge::{Value, failure_json};

/// The event of a failure in the background.
pub(super) fn encode_error(failure: Failure) -> Json {
    json!({ "event": "error", "failure": failure_json(failure) })
}

/// What a server has said without being asked, as JSON: its kind and its parts for each message.
pub(super) fn encode_messages(messages: Vec<Message>) -> Value {
    let encoded = messages.into_iter().map(|message| match message {
        Message::Notice(ServerMessage {
            code,
            message,
            fields,
        }) => {
            let mut notice = json!({ "message": message, "code": code });
            for (name, value) in fields {
                notice[name] = value.into();
            }
            json!(["notice", notice])
        }
        Message::Notification {
            process_id,
            channel,
            payload,
        } => {
            let notification =
                json!({ "processId": process_id, "channel": channel, "payload": payload });
            json!(["notification", notification])
        }
        Message::Parameter { name, value } => {
            json!(["parameterStatus", { "parameterName": name, "parameterValue": value }])
        }
    });
    Value::Text(encoded.collect::<Json>().to_string())
}

/// A request for the password of a connection.
pub(super) fn encode_password_request(id: u32, request: &PasswordRequest) -> Json {
    let PasswordRequest {
        host,
        port,
        database,
        user,
    } = request;
    json!({ "requestId": id, "connection": { "host": host, "port": port, "database": database, "user": user } })
}

/// The result of a statement, or an array of all results of several.
pub(super) fn encode_results(results: Vec<ResultText>) -> Value {
    let mut texts = results.into_iter().map(|result| Value::Text(result.json));
    match (texts.len(), texts.next()) {
        (1, Some(text)) => text,
        (_, first) => Value::List(first.into_iter().chain(texts).collect()),
    }
}

/// The options in force, without secrets. A limit that is off is null, as JSON has no Infinity.
pub(super) fn encode_config(config: &Config) -> Json {
    let ledger = &config.pool.ledger;
    let manager = &config.manager;
    let list = |items: Vec<String>| items.join(",");
    let servers = &config.servers;
    json!({
        "host": list(servers.iter().map(Server::host).collect()),
        "port": list(servers.iter().map(|server| server.port().to_string()).collect()),
        "user": config.user,
        "database": config.database,
        "applicationName": config.application_name,
        "sslmode": config.encryption.mode.as_str(),
        "max": ledger.max,
        "min": ledger.min,
        "maxIdle": ledger.max_idle.min(ledger.max),
        "maxConnecting": ledger.max_connecting.get(),
        "maxWaiters": ledger.max_waiters.get(),
        "idleTimeoutMillis": ms(ledger.idle_timeout),
        "connectionTimeoutMillis": ms(ledger.acquire_timeout),
        "maxLifetimeMs": ms(ledger.max_lifetime),
        "leakAfterMs": ms(ledger.leak_after),
        "recycleTimeoutMs": ms(Limit::At(config.pool.recycle_timeout)),
        "keepAliveTimeoutMs": ms(config.keep_alive_timeout),
        "queryTimeoutMs": ms(config.query_timeout),
        "healthCheckIntervalMs": ms(manager.health_check_interval),
        "pooling": manager.is_pooling,
        "monitoring": manager.is_monitoring,
        "connectionLog": manager.has_connection_log,
        "connectionLogRetentionMs": ms(manager.connection_log_retention),
    })
}

fn ms(limit: Limit<Duration>) -> Option<f64> {
    limit.get().map(|time| time.as_secs_f64() * 1000.0)
}
