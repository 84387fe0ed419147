//! The parser against a literal implementation of the standard, and against any cut of its input.

use proptest::prelude::*;

use super::super::{Event, EventTooLong, FieldUpdate, Parser, Sink};

/// An item that a stream was parsed into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ParsedItem {
    /// Type, data, and the last event id as it is then.
    Event(String, String, String),
    Retry(u64),
    Id(String),
}

#[derive(Default)]
pub(super) struct Recorder {
    pub(super) parsed_items: Vec<ParsedItem>,
    id: String,
}

impl Recorder {
    fn record(&mut self, update: FieldUpdate<'_>) {
        if let Some(id) = update.id {
            id.clone_into(&mut self.id);
        }
        self.parsed_items
            .extend(update.retry.map(ParsedItem::Retry));
    }
}

impl Sink for Recorder {
    fn on_event(&mut self, Event { kind, data, update }: Event<'_>) {
        self.record(update);
        let kind = if kind.is_empty() { "message" } else { kind };
        let (kind, data) = (kind.to_owned(), data.to_owned());
        self.parsed_items
            .push(ParsedItem::Event(kind, data, self.id.clone()));
    }

    fn on_update(&mut self, update: FieldUpdate<'_>) {
        self.record(update);
        if update.id.is_some() {
            self.parsed_items.push(ParsedItem::Id(self.id.clone()));
        }
    }
}

pub(super) fn parse<'p>(chunks: impl IntoIterator<Item = &'p [u8]>) -> Vec<ParsedItem> {
    let (mut parser, mut recorder) = (Parser::new(1 << 20, ""), Recorder::default());
    for chunk in chunks {
        parser.feed(chunk, &mut recorder).unwrap();
    }
    parser.finish(&mut recorder);
    recorder.parsed_items
}

/// Section 9.2.6, sentence by sentence, over the whole stream at once.
fn parse_by_standard(stream: &[u8]) -> Vec<ParsedItem> {
    let text = String::from_utf8_lossy(stream).into_owned();
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    // A line without an end does not count.
    lines.pop();
    let (mut parsed_items, mut kind, mut data) = (Vec::new(), String::new(), String::new());
    let (mut id, mut id_was_set, mut retry) = (String::new(), false, None);
    for line in lines {
        if line.is_empty() {
            parsed_items.extend(retry.take().map(ParsedItem::Retry));
            if data.is_empty() {
                if id_was_set {
                    parsed_items.push(ParsedItem::Id(id.clone()));
                }
            } else {
                data.pop();
                let kind = if kind.is_empty() { "message" } else { &kind };
                parsed_items.push(ParsedItem::Event(kind.to_owned(), data.clone(), id.clone()));
            }
            id_was_set = false;
            kind.clear();
            data.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut kind),
            "data" => data.extend([value, "\n"]),
            "id" if value
                .chars()
                .all(|it| it == '\t' || it >= ' ' && it != '\u{7f}') =>
            {
                value.clone_into(&mut id);
                id_was_set = true;
            }
            "retry" if !value.is_empty() && value.chars().all(|it| it.is_ascii_digit()) => {
                retry = Some(value.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }
    parsed_items.extend(retry.map(ParsedItem::Retry));
    parsed_items
}

fn event(kind: &str, data: &str, id: &str) -> ParsedItem {
    ParsedItem::Event(kind.to_owned(), data.to_owned(), id.to_owned())
}

fn message(data: &str) -> ParsedItem {
    event("message", data, "")
}

#[test]
fn the_standards_own_examples() {
    let stocks = b"data: YHOO\ndata: +2\ndata: 10\n\n";
    assert_eq!(parse([&stocks[..]]), [message("YHOO\n+2\n10")]);
    let ids = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n";
    assert_eq!(
        parse([&ids[..]]),
        [
            event("message", "first event", "1"),
            message("second event")
        ],
        "the third is not complete"
    );
    assert_eq!(
        parse([&b"data\n\ndata\ndata\n\ndata:"[..]]),
        [message(""), message("\n")]
    );
    assert_eq!(
        parse([&b"data:test\n\ndata: test\n\n"[..]]),
        [message("test"), message("test")]
    );
}

#[test]
fn each_rule_by_itself() {
    let table: [(&[u8], Vec<ParsedItem>); 16] = [
        (b"\xef\xbb\xbfdata:a\n\n", vec![message("a")]),
        // Only one, and only at the beginning.
        (b"\xef\xbb\xbf\xef\xbb\xbfdata:a\n\n", vec![]),
        (b"\n\xef\xbb\xbfdata:a\n\n", vec![]),
        (
            b"data:a\r\rdata:b\n\ndata:c\r\n\r\n",
            vec![message("a"), message("b"), message("c")],
        ),
        (b"data:a\r\ndata:b\r\n\r\n", vec![message("a\nb")]),
        (
            b"event:e\ndata:a\n\ndata:b\n\n",
            vec![event("e", "a", ""), message("b")],
        ),
        (b"event:e\n\ndata:b\n\n", vec![message("b")]),
        (
            b"id:1\ndata:a\n\ndata:b\n\n",
            vec![event("message", "a", "1"), event("message", "b", "1")],
        ),
        (
            b"id:1\n\ndata:b\n\n",
            vec![ParsedItem::Id("1".into()), event("message", "b", "1")],
        ),
        (
            b"id:1\ndata:a\n\nid:2\0\ndata:b\n\n",
            vec![event("message", "a", "1"), event("message", "b", "1")],
        ),
        (b"id:1\ndata:a\n\nid:2\n", vec![event("message", "a", "1")]),
        (
            b"retry:5\nretry:+6\nretry: 7 \nretry:-1\nretry\nretry:1e3\n\n",
            vec![ParsedItem::Retry(5)],
        ),
        (b"retry: 010", vec![]),
        (b"retry: 010\n", vec![ParsedItem::Retry(10)]),
        (
            b"Data:a\n data:a\ndata :a\nfoo\nfoo:bar\n:data:a\n\n",
            vec![],
        ),
        (
            b"data:\xff\xf0\x9f\x98x\nevent:\xc3\n\n",
            vec![event("\u{fffd}", "\u{fffd}\u{fffd}x", "")],
        ),
    ];
    for (stream, expected) in table {
        let shown = stream.escape_ascii();
        assert_eq!(parse([stream]), expected, "{shown}");
        assert_eq!(
            parse_by_standard(stream),
            expected,
            "by the standard: {shown}"
        );
    }
    let huge = b"retry: 99999999999999999999\n\n";
    assert_eq!(parse([&huge[..]]), [ParsedItem::Retry(u64::MAX)]);
}

#[test]
fn the_last_id_continues_from_the_previous_stream() {
    let (mut parser, mut recorder) = (Parser::new(100, "41"), Recorder::default());
    parser.feed(b"data:a\n\n", &mut recorder).unwrap();
    assert_eq!(
        recorder.parsed_items,
        [message("a")],
        "the id has not changed"
    );
}

#[test]
fn an_event_above_the_limit_is_refused_wherever_it_grows() {
    let long = "x".repeat(60);
    for stream in [
        format!("data:{long}\ndata:{long}\n\n"),
        format!("data:{long}{long}"),
        format!("id:{long}\nevent:{long}\n\n"),
        format!("{long}{long}"),
    ] {
        let (mut parser, mut recorder) = (Parser::new(100, ""), Recorder::default());
        let (first, last) = stream.as_bytes().split_at(50);
        let outcome = parser
            .feed(first, &mut recorder)
            .and_then(|()| parser.feed(last, &mut recorder));
        assert_eq!(outcome, Err(EventTooLong), "{stream}");
    }
    let (mut parser, mut recorder) = (Parser::new(100, ""), Recorder::default());
    let comments = format!(":{}", "x".repeat(1000));
    for _ in 0..1000 {
        parser.feed(comments.as_bytes(), &mut recorder).unwrap();
    }
    for _ in 0..1000 {
        parser
            .feed(b"\ndata:1234567890\n\n", &mut recorder)
            .unwrap();
    }
    assert_eq!(recorder.parsed_items.len(), 1000, "a comment has no limit");
}

/// Fragments of valid and invalid streams.
const FRAGMENTS: [&[u8]; 24] = [
    b"data:",
    b"data: ",
    b"data",
    b"event:",
    b"event: ",
    b"id:",
    b"id: ",
    b"retry:",
    b"retry: ",
    b":",
    b" ",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\r\r",
    b"\xef\xbb\xbf",
    b"\0",
    b"12",
    b"abc",
    b"x: y",
    b"\xc3\xa4",
    b"\xf0\x9f\x98",
    b"foo",
];

/// The number of cases, unless the environment sets it.
pub(super) fn cases(usual: u32) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = usual;
    }
    config
}

pub(super) fn fragments(allowed: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop::sample::select(allowed);
    prop::collection::vec(fragment, 0..40).prop_map(|fragments| fragments.concat())
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn any_stream_is_parsed_as_the_standard_does(stream in fragments(&FRAGMENTS)) {
        prop_assert_eq!(parse([&stream[..]]), parse_by_standard(&stream));
    }

    #[test]
    fn cuts_change_nothing(stream in fragments(&FRAGMENTS)) {
        let whole = parse([&stream[..]]);
        prop_assert_eq!(&parse(stream.chunks(1)), &whole);
        for cut in 0..=stream.len() {
            let (first, last) = stream.split_at(cut);
            prop_assert_eq!(&parse([first, last]), &whole, "cut at {}", cut);
        }
    }
}
