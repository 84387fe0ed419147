//! Results of statements and failures of a pool as `lib/libsql` reads them.

use moorline_core::error::Failure;
use moorline_services::libsql::{operation::Results, result::ResultText};
use serde_json::{Value as Json, json};

use crate::bridge::Value;

/// The event of a failure in the background.
pub(super) fn encode_error(failure: Failure) -> Json {
    let failure = failure.into_fields();
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
