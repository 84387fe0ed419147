//! Results of statements and failures of a pool as `lib/postgres` reads them.

use moorline_core::error::Failure;
use moorline_services::postgres::{
    error::ServerMessage, message_queue::Message, password::PasswordRequest, result::ResultText,
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
