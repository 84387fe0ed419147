//! Events on their way to JavaScript: many in one text.
//!
//! Each is `meta`, a carriage return, `data`, a carriage return; a carriage return ends a line of a stream, so no
//! part of an event can hold one. `meta` is empty for the plainest of events, else up to three parts with line
//! feeds between them: the id when it is a new one (NUL alone: the empty one), the type, and the time before a
//! reconnect, followed by `!` when there is no event with it. `lib/sse-events.ts` reads it.

use std::fmt::Write;

use super::parser::{Event, News, Sink};

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) text: String,
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

    fn news(&mut self, news: News<'_>) {
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
    fn what_goes_without_saying_is_not_said() {
        let mut batch = Batch::default();
        let event = |kind, id, retry| Event {
            kind,
            data: "d\n",
            news: News { id, retry },
        };
        batch.event(event("", None, None));
        batch.event(event("", Some("7"), None));
        batch.event(event("", Some(""), None));
        batch.event(event("t", None, None));
        batch.event(event("", None, Some(5)));
        batch.news(News {
            id: Some("8"),
            retry: Some(9),
        });
        batch.news(News {
            id: Some(""),
            retry: None,
        });
        assert_eq!(
            batch.text,
            "\rd\n\r7\rd\n\r\0\rd\n\r\nt\rd\n\r\n\n5\rd\n\r8\n\n9!\r\r\0\n\n!\r\r"
        );
    }
}
