//! Received messages and the end of a connection as `lib/websocket/transport.ts` reads them.

use moorline_services::websocket::{Batch, CloseEvent, Entry};

use crate::bridge::{Element, Packed, Received, Value, failure_json};

/// Fewer messages are not worth joining.
const MIN_JOINED: usize = 2;

/// One text as it is; several as an array; with anything else, `[messages, bytes, pings, closed]`, where small
/// binary messages are their lengths in `bytes`. Where `joins_json`, several objects and arrays are `[text, count]`, the
/// text of one array of all.
pub(super) fn encode_batch(
    (mut batch, closed): Received<Batch, CloseEvent>,
    joins_json: bool,
) -> Value {
    let is_mixed = !batch.binary.is_empty()
        || batch.pings > 0
        || closed.is_some()
        || batch
            .entries
            .iter()
            .any(|entry| matches!(entry, Entry::Binary(0)));
    if let (false, [Entry::Text(_)]) = (is_mixed, batch.entries.as_slice()) {
        batch.text.remove(0);
        return text_of(batch.text);
    }
    if !is_mixed && joins_json && batch.entries.len() >= MIN_JOINED && batch.is_json_list() {
        batch.text[0] = b'[';
        batch.text.push(b']');
        let count = Value::Number(batch.entries.len() as f64);
        return Value::List(vec![text_of(batch.text), count]);
    }
    let bytes = std::mem::take(&mut batch.binary);
    let pings = f64::from(batch.pings);
    let messages = Value::Packed(Box::new(Messages {
        entries: batch.entries.into_iter(),
        text: batch.text,
        at: 0,
    }));
    if !is_mixed {
        return messages;
    }
    Value::List(vec![
        messages,
        Value::Bytes(bytes),
        Value::Number(pings),
        closed.map_or(Value::Undefined, encode_close),
    ])
}

/// A text of a batch, which holds only what has been checked.
fn text_of(bytes: Vec<u8>) -> Value {
    Value::Text(String::from_utf8(bytes).unwrap_or_default())
}

fn encode_close(closed: CloseEvent) -> Value {
    let failure = closed.failure.map(failure_json);
    Value::List(vec![
        Value::Number(f64::from(closed.code)),
        Value::Text(closed.reason),
        Value::Bool(closed.clean),
        failure.map_or(Value::Undefined, Value::Text),
    ])
}

struct Messages {
    entries: std::vec::IntoIter<Entry>,
    text: Vec<u8>,
    at: usize,
}

impl Packed for Messages {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn next(&mut self) -> Element<'_> {
        match self.entries.next() {
            Some(Entry::Text(length)) => {
                // Each comes after a comma.
                let start = self.at + 1;
                self.at = start + length;
                Element::Text(&self.text[start..self.at])
            }
            Some(Entry::Binary(length)) => Element::Integer(length as i32),
            Some(Entry::LargeText(text)) => Element::Value(text_of(text)),
            Some(Entry::LargeBinary(bytes)) => Element::Value(Value::Bytes(bytes)),
            None => Element::Value(Value::Undefined),
        }
    }
}
