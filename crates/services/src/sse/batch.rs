//! Events on their way to JavaScript: many in one text.
//!
//! Each is `meta`, a carriage return, `data`, a carriage return; a carriage return ends a line of a stream, so no
//! part of an event can hold one. `meta` is empty for the plainest of events, else up to three parts with line
//! feeds between them: the id when it is a new one (NUL alone: the empty one), the type, and the time before a
//! reconnect, followed by `!` when there is no event with it. `lib/sse/event.ts` reads it.

use std::{collections::VecDeque, fmt::Write};

use super::parser::{Event, FieldUpdate, Sink};
use moorline_net::receive_queue::Buffer;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) text: String,
}

/// A string cut out of a text keeps all of it in memory, so texts do not grow beyond this.
pub(super) const TEXT_BYTES: usize = 64 << 10;

/// What waits for JavaScript, which gets one text at a time: it holds hundreds of events, and each becomes an object.
#[derive(Debug, Default)]
pub struct EventText {
    texts: VecDeque<String>,
    bytes: usize,
}

impl EventText {
    pub(super) fn push(&mut self, batch: Batch) {
        self.bytes += batch.text.len();
        match self.texts.back_mut() {
            Some(last) if last.len() + batch.text.len() <= TEXT_BYTES => {
                last.push_str(&batch.text);
            }
            _ => self.texts.push_back(batch.text),
        }
    }
}

impl Buffer for EventText {
    type Batch = String;
    fn take(&mut self) -> String {
        let text = self.texts.pop_front().unwrap_or_default();
        self.bytes -= text.len();
        text
    }
    fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
    fn cost(&self) -> usize {
        self.bytes
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn id(&mut self, id: Option<&str>) {
        match id {
            None => {}
            Some("") => self.text.push('\0'),
            Some(id) => self.text.push_str(id),
        }
    }
}

impl Sink for Batch {
    fn event(&mut self, Event { kind, data, news }: Event<'_>) {
        self.id(news.id);
        if !kind.is_empty() || news.retry.is_some() {
            self.text.push('\n');
            self.text.push_str(kind);
        }
        if let Some(retry) = news.retry {
            // Writing to a string cannot fail.
            let _ = write!(self.text, "\n{retry}");
        }
        self.text.push('\r');
        self.text.push_str(data);
        self.text.push('\r');
    }

    fn news(&mut self, news: FieldUpdate<'_>) {
        self.id(news.id);
        self.text.push_str("\n\n");
        if let Some(retry) = news.retry {
            let _ = write!(self.text, "{retry}");
        }
        self.text.push_str("!\r\r");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_small() {
        let mut texts = EventText::default();
        for bytes in [TEXT_BYTES / 2; 3].into_iter().chain([TEXT_BYTES * 2]) {
            let text = "x".repeat(bytes);
            texts.push(Batch { text });
        }
        assert_eq!(texts.cost(), TEXT_BYTES * 7 / 2);
        let lengths = [(); 3].map(|()| texts.take().len());
        assert_eq!(
            lengths,
            [TEXT_BYTES, TEXT_BYTES / 2, TEXT_BYTES * 2],
            "one that is larger by itself stands alone"
        );
        assert_eq!((texts.is_empty(), texts.cost()), (true, 0));
    }

    #[test]
    fn what_goes_without_saying_is_not_said() {
        let mut batch = Batch::default();
        let event = |kind, id, retry| Event {
            kind,
            data: "d\n",
            news: FieldUpdate { id, retry },
        };
        batch.event(event("", None, None));
        batch.event(event("", Some("7"), None));
        batch.event(event("", Some(""), None));
        batch.event(event("t", None, None));
        batch.event(event("", None, Some(5)));
        batch.news(FieldUpdate {
            id: Some("8"),
            retry: Some(9),
        });
        batch.news(FieldUpdate {
            id: Some(""),
            retry: None,
        });
        assert_eq!(
            batch.text,
            "\rd\n\r7\rd\n\r\0\rd\n\r\nt\rd\n\r\n\n5\rd\n\r8\n\n9!\r\r\0\n\n!\r\r"
        );
    }
}
