//! Event streams for JavaScript: many events in one text, and the end; `lib/sse/event.ts` reads them.
//!
//! Each event is `meta`, a carriage return, `data`, a carriage return; a carriage return ends a line of a stream, so no
//! part of an event can hold one. `meta` is empty for the plainest of events, else up to three parts with line
//! feeds between them: the id when it is a new one (NUL alone: the empty one), the type, and the time before a
//! reconnect, followed by `!` when there is no event with it.

use std::fmt::Write;

use moorline_services::sse::{Event, EventBatch, FieldUpdate, Sink, StreamEnd};

use crate::bridge::{Received, Value, failure_json};

/// Events as one text.
#[derive(Debug, Default)]
pub struct EventText {
    text: String,
    events: u64,
    /// The bytes of their data.
    data_bytes: u64,
}

impl EventText {
    /// The number of events, and of the bytes of their data.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.events, self.data_bytes)
    }

    fn push_id(&mut self, id: Option<&str>) {
        match id {
            None => {}
            Some("") => self.text.push('\0'),
            Some(id) => self.text.push_str(id),
        }
    }
}

impl Sink for EventText {
    fn on_event(&mut self, event: Event<'_>) {
        let Event { kind, data, update } = event;
        self.events += 1;
        self.data_bytes += data.len() as u64;
        self.push_id(update.id);
        if !kind.is_empty() || update.retry.is_some() {
            self.text.push('\n');
            self.text.push_str(kind);
        }
        if let Some(retry) = update.retry {
            // Writing to a string cannot fail.
            let _ = write!(self.text, "\n{retry}");
        }
        self.text.push('\r');
        self.text.push_str(data);
        self.text.push('\r');
    }

    fn on_update(&mut self, update: FieldUpdate<'_>) {
        self.push_id(update.id);
        self.text.push_str("\n\n");
        if let Some(retry) = update.retry {
            let _ = write!(self.text, "{retry}");
        }
        self.text.push_str("!\r\r");
    }
}

impl EventBatch for EventText {
    fn bytes(&self) -> usize {
        self.text.len()
    }

    fn append(&mut self, later: Self) {
        self.text.push_str(&later.text);
        self.events += later.events;
        self.data_bytes += later.data_bytes;
    }
}

/// `[text]`, or `[text, [isFinal, failure]]` at the end.
pub(super) fn encode_batch((text, end): Received<EventText, StreamEnd>) -> Value {
    let mut batch = vec![Value::Text(text.text)];
    batch.extend(end.map(encode_end));
    Value::List(batch)
}

fn encode_end(end: StreamEnd) -> Value {
    let failure = end.failure.map(failure_json);
    Value::List(vec![
        Value::Bool(end.is_final),
        failure.map_or(Value::Undefined, Value::Text),
    ])
}
