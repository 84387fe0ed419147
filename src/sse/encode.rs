//! Events of a stream and its end as `lib/sse/event.ts` reads them.

use moorline_services::sse::Closed;

use crate::bridge::{Received, Value, failure_json};

/// The text of the events, and `[stopped, failure]` after the last ones.
pub(super) fn encode_batch((text, closed): Received<String, Closed>) -> Value {
    let mut batch = vec![Value::Text(text)];
    batch.extend(closed.map(encode_close));
    Value::List(batch)
}

fn encode_close(closed: Closed) -> Value {
    let failure = closed.failure.map(failure_json);
    Value::List(vec![
        Value::Bool(closed.stopped),
        failure.map_or(Value::Undefined, Value::Text),
    ])
}
