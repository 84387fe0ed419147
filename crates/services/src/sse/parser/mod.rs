//! The parser of an event stream (HTML standard, section 9.2.6).
//!
//! The input may be cut anywhere; the events do not depend on the cuts. Lines within one chunk
//! are read in place, so that a usual stream is copied only once, into the batch for JavaScript.

use std::mem;

use memchr::{memchr, memchr2};

use super::id::is_sendable;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An event as it is dispatched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its type; empty for `message`.
    pub kind: &'a str,
    /// The lines of its data, joined with a line feed.
    pub data: &'a str,
    /// The fields of the block that concern the stream.
    pub update: FieldUpdate<'a>,
}

/// The fields of a block that concern the stream, with or without an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldUpdate<'a> {
    /// The last event id, when the block set it.
    pub id: Option<&'a str>,
    /// The delay before a reconnect, in milliseconds.
    pub retry: Option<u64>,
}

/// The receiver of the items that a [`Parser`] finds.
pub trait Sink {
    /// An event was dispatched.
    fn on_event(&mut self, event: Event<'_>);
    /// A block without an event changed the fields of the stream.
    fn on_update(&mut self, update: FieldUpdate<'_>);
}

/// The error of an event above the limit; the stream cannot be read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventTooLong;

/// The state between two chunks of a stream.
pub(super) struct Parser {
    max_bytes: usize,
    /// The bytes of a byte order mark that were read; `None` once it is known whether there is one.
    bom_bytes_read: Option<usize>,
    /// The beginning of an incomplete line; only its colon when it is a comment.
    line: Vec<u8>,
    /// The last byte was a carriage return, so a line feed belongs to it.
    after_cr: bool,
    kind: String,
    data: String,
    /// The last event id; it outlives its block.
    id: String,
    /// Whether it was set since the last event.
    id_was_set: bool,
    retry: Option<u64>,
}

impl Parser {
    /// A parser for a stream that continues after the event `id`.
    pub(super) fn new(max_bytes: usize, id: &str) -> Self {
        Self {
            max_bytes,
            bom_bytes_read: Some(0),
            line: Vec::new(),
            after_cr: false,
            kind: String::new(),
            data: String::new(),
            id: id.to_owned(),
            id_was_set: false,
            retry: None,
        }
    }

    /// Reads the next chunk.
    pub(super) fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), EventTooLong> {
        let mut rest = self.skip_byte_order_mark(chunk);
        while !rest.is_empty() {
            if mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', rest) else {
                return self.append_to_line(rest);
            };
            self.after_cr = rest[end] == b'\r';
            if self.line.is_empty() {
                self.read_line(&rest[..end], sink);
            } else {
                self.append_to_line(&rest[..end])?;
                let mut line = mem::take(&mut self.line);
                self.read_line(&line, sink);
                line.clear();
                self.line = line;
            }
            self.check(0)?;
            rest = &rest[end + 1..];
        }
        Ok(())
    }

    /// Ends the stream. An incomplete block is dropped, except for its `retry`.
    pub(super) fn finish(&mut self, sink: &mut impl Sink) {
        if let Some(retry) = self.retry.take() {
            sink.on_update(FieldUpdate {
                id: None,
                retry: Some(retry),
            });
        }
    }

    /// Skips a byte order mark at the beginning of the stream.
    fn skip_byte_order_mark<'p>(&mut self, chunk: &'p [u8]) -> &'p [u8] {
        let Some(seen) = self.bom_bytes_read else {
            return chunk;
        };
        let awaited = &BYTE_ORDER_MARK[seen..];
        let same = chunk.iter().zip(awaited).take_while(|(a, b)| a == b);
        let same = same.count();
        if same == awaited.len() {
            self.bom_bytes_read = None;
            return &chunk[same..];
        }
        if same == chunk.len() {
            self.bom_bytes_read = Some(seen + same);
            return &[];
        }
        // It was no byte order mark but the beginning of a line.
        self.bom_bytes_read = None;
        self.line.extend_from_slice(&BYTE_ORDER_MARK[..seen]);
        chunk
    }

    fn append_to_line(&mut self, part: &[u8]) -> Result<(), EventTooLong> {
        let is_comment = self.line.first().or(part.first()) == Some(&b':');
        if is_comment {
            self.line.clear();
            self.line.push(b':');
            return Ok(());
        }
        self.check(part.len())?;
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn check(&self, more: usize) -> Result<(), EventTooLong> {
        let bytes = self.line.len() + self.kind.len() + self.data.len() + self.id.len() + more;
        if bytes > self.max_bytes {
            return Err(EventTooLong);
        }
        Ok(())
    }

    fn read_line(&mut self, line: &[u8], sink: &mut impl Sink) {
        if line.is_empty() {
            return self.dispatch(sink);
        }
        let (name, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                push_text(&mut self.data, value);
                self.data.push('\n');
            }
            b"event" => {
                self.kind.clear();
                push_text(&mut self.kind, value);
            }
            b"id" if is_sendable(value) => {
                self.id.clear();
                push_text(&mut self.id, value);
                self.id_was_set = true;
            }
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let digits = str::from_utf8(value).unwrap_or_default();
                self.retry = Some(digits.parse().unwrap_or(u64::MAX));
            }
            // A comment has no name; unknown fields are ignored as well.
            _ => {}
        }
    }

    fn dispatch(&mut self, sink: &mut impl Sink) {
        let update = FieldUpdate {
            id: mem::take(&mut self.id_was_set).then_some(&self.id),
            retry: self.retry.take(),
        };
        if let Some(data) = self.data.strip_suffix('\n') {
            sink.on_event(Event {
                kind: &self.kind,
                data,
                update,
            });
            self.data.clear();
        } else if update != FieldUpdate::default() {
            sink.on_update(update);
        }
        self.kind.clear();
    }
}

/// Appends UTF-8; invalid bytes become the replacement character.
fn push_text(text: &mut String, bytes: &[u8]) {
    if let Ok(valid) = str::from_utf8(bytes) {
        return text.push_str(valid);
    }
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    mod eventsource_client;
    mod standard;
}
