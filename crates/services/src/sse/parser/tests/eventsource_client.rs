//! The parser against the crate `eventsource-client`, over the same bytes.
//!
//! Both give the same events for well-formed streams; the known deviations of the crate are tested too
//! (docs/adr/0011-our-own-event-stream-parser.md).

use bytes::Bytes;
use eventsource_client::{Client, ClientBuilder, Error, ReconnectOptions, SSE};
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use launchdarkly_sdk_transport::{ByteStream, HttpTransport, ResponseFuture};
use proptest::prelude::*;

use super::{
    super::{Event, FieldUpdate, Parser, Sink},
    standard::{ParsedItem, cases, parse},
};

/// Answers every request with the same chunks.
#[derive(Clone)]
struct RecordedTransport(Vec<Bytes>);

impl HttpTransport for RecordedTransport {
    fn request(&self, _: Request<Option<Bytes>>) -> ResponseFuture {
        let body: ByteStream = Box::pin(stream::iter(self.0.clone().into_iter().map(Ok)));
        Box::pin(async move { Ok(Response::new(body)) })
    }
}

/// The events by the crate until it fails, and whether it failed.
fn parse_with_client(chunks: &[&[u8]]) -> (Vec<ParsedItem>, bool) {
    let chunks = chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk));
    let client = ClientBuilder::for_url("http://localhost/")
        .unwrap()
        .reconnect(ReconnectOptions::reconnect(false).build())
        .build_with_transport(RecordedTransport(chunks.collect()));
    let (mut parsed_items, mut broke) = (Vec::new(), false);
    let recorder = async {
        let mut events = client.stream();
        while let Some(event) = events.next().await {
            match event {
                Ok(SSE::Event(event)) => {
                    parsed_items.extend(event.retry.map(ParsedItem::Retry));
                    let id = event.id.unwrap_or_default();
                    parsed_items.push(ParsedItem::Event(event.event_type, event.data, id));
                }
                Ok(_) | Err(Error::Eof | Error::UnexpectedEof) => {}
                Err(_) => broke = true,
            }
        }
    };
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(recorder);
    (parsed_items, broke)
}

fn parse_with_both(stream: &[u8]) -> (Vec<ParsedItem>, (Vec<ParsedItem>, bool)) {
    (parse([stream]), parse_with_client(&[stream]))
}

fn message(data: &str) -> ParsedItem {
    ParsedItem::Event("message".to_owned(), data.to_owned(), String::new())
}

/// Complete fields, so that most streams made of them contain events.
const LINES: [&[u8]; 14] = [
    b"data: a\n",
    b"data:b\r\n",
    b"data:  c\n",
    b"data\n",
    b"data: d\n\n",
    b"data: e\r\n\r\n",
    b"event: t\ndata:f\n",
    b"id: 1\ndata: g\n",
    b"id\ndata:h\n",
    b"retry: 10\ndata: i\n",
    b": heartbeat\n",
    b":\n",
    b"data: \xc3\xa4\n",
    b"\n",
];

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn both_agree_about_well_formed_streams(
        stream in super::standard::fragments(&LINES),
        cut in any::<prop::sample::Index>(),
    ) {
        // Incomplete events are excluded: the `retry` of one counts here, and not in the crate.
        let stream = [&stream[..], b"\n\n"].concat();
        let (first, last) = stream.split_at(cut.index(stream.len()));
        prop_assert_eq!(parse_with_client(&[first, last]), (parse([first, last]), false));
    }
}

/// The deviations for which the crate is only compared with, and not used.
#[test]
fn known_deviations_of_the_crate() {
    // The crate loses a `retry` without an event.
    let (ours, theirs) = parse_with_both(b"retry: 500\n\ndata:a\n\n");
    assert_eq!(ours, [ParsedItem::Retry(500), message("a")]);
    assert_eq!(theirs, (vec![message("a")], false));
    // An id without an event is lost as well when nothing follows.
    let (ours, theirs) = parse_with_both(b"id: 7\n\n");
    assert_eq!(
        (ours, theirs),
        (vec![ParsedItem::Id("7".to_owned())], (vec![], false))
    );
    // An unknown field, alone in its block, ends the stream; so do a type, a bad time or a bad id.
    for stream in [
        &b"foo: bar\n\ndata:a\n\n"[..],
        b"event\n\ndata:a\n\n",
        b"retry: x\n\ndata:a\n\n",
        b"id: \0\n\ndata:a\n\n",
    ] {
        let (ours, theirs) = parse_with_both(stream);
        assert_eq!(ours, [message("a")]);
        assert_eq!(theirs, (vec![], true), "{}", stream.escape_ascii());
    }
    // So do bytes that are no UTF-8.
    let (ours, theirs) = parse_with_both(b"data: \xff\n\n");
    assert_eq!((ours, theirs), (vec![message("\u{fffd}")], (vec![], true)));
    // The crate takes a sign for a digit.
    let (ours, theirs) = parse_with_both(b"retry: +5\ndata: a\n\n");
    assert_eq!(ours, [message("a")]);
    assert_eq!(theirs, (vec![ParsedItem::Retry(5), message("a")], false));
}

/// The cheapest use of an event: its data, appended.
#[derive(Default)]
struct Text(String);

impl Sink for Text {
    fn on_event(&mut self, event: Event<'_>) {
        self.0.push_str(event.data);
    }
    fn on_update(&mut self, _: FieldUpdate<'_>) {}
}

/// `cargo test --release … -- --ignored --nocapture duration`: the time of an event in each parser.
#[test]
#[ignore = "a measurement"]
fn duration_per_event() {
    let block = b"id: 1234\ndata: {\"n\":1234,\"text\":\"some event payload here\"}\n\n";
    let stream = block.repeat(200_000);
    let chunks: Vec<&[u8]> = stream.chunks(16 << 10).collect();
    for _ in 0..3 {
        let began = std::time::Instant::now();
        let mut text = Text::default();
        let mut parser = Parser::new(1 << 20, "");
        for chunk in &chunks {
            text.0.clear();
            parser.feed(chunk, &mut text).unwrap();
        }
        let ours = began.elapsed() / 200_000;
        let began = std::time::Instant::now();
        assert_eq!(parse_with_client(&chunks).0.len(), 200_000);
        println!(
            "ours {ours:?}, theirs {:?} an event",
            began.elapsed() / 200_000
        );
    }
}
