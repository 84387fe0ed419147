//! Results of statements and failures of a pool as `lib/postgres` reads them.

use moorline_core::error::Failure;
use moorline_services::postgres::result::ResultText;
use serde_json::{Value as Json, json};

use crate::bridge::{Value, failure_json};

/// The event of a failure in the background.
pub(super) fn encode_error(failure: Failure) -> Json {
    json!({ "event": "error", "failure": failure_json(failure) })
}

/// The result of a statement, or an array of all results of several.
pub(super) fn encode_results(results: Vec<ResultText>) -> Value {
    let mut texts = results.into_iter().map(|result| Value::Text(result.json));
    match (texts.len(), texts.next()) {
        (1, Some(text)) => text,
        (_, first) => Value::List(first.into_iter().chain(texts).collect()),
    }
}
