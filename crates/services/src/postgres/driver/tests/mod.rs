//! The driver over a stream in memory, step by step.

mod order;

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use futures_util::{FutureExt, poll};
use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    sync::lock,
};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Driver, Link, Listener, Request, RequestId, Response, TransactionStatus, Withdrawal,
    withdrawal::Turn,
};
use crate::postgres::{
    result::ValueTypes,
    session_state::SessionState,
    statement::{Answer, Collector},
};

struct Quiet;

impl Listener for Quiet {
    fn on_notice(&self, _: &[u8]) {}
    fn on_notification(&self, _: i32, _: &str, _: &str) {}
    fn on_parameter(&self, _: &str, _: &str) {}
    fn poll_room(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
    fn on_end(&self, _: Option<&Failure>) {}
}

/// The ends of requests in the order in which they came, by their names.
type Ends = Arc<Mutex<Vec<(char, Result<TransactionStatus, Failure>)>>>;

/// How a request has ended.
type End = Result<TransactionStatus, (Kind, Delivery)>;

struct Recorder(char, Ends);

impl Response for Recorder {
    fn on_error(&mut self, _: Failure) {}

    fn on_message(&mut self, _: u8, _: bytes::Bytes) -> Outcome<()> {
        Ok(())
    }
    fn on_copy_in(&mut self) -> Outcome<BytesMut> {
        Ok(b"copy"[..].into())
    }
    fn on_ready(self: Box<Self>, status: TransactionStatus) {
        lock(&self.1).push((self.0, Ok(status)));
    }
    fn on_lost(self: Box<Self>, failure: Failure) {
        lock(&self.1).push((self.0, Err(failure)));
    }
}

/// A connection that moves only when it is polled.
struct Bench {
    link: Link,
    driver: Driver<DuplexStream>,
    server: DuplexStream,
    ends: Ends,
}

impl Bench {
    /// Over a stream that takes so many bytes before they are read.
    fn new(bytes: usize) -> Self {
        let (stream, server) = duplex(bytes);
        let (link, driver) = Link::new(stream, BytesMut::new(), Arc::new(Quiet));
        Self {
            link,
            driver,
            server,
            ends: Ends::default(),
        }
    }

    /// Hands over a request, whose text is four times its name.
    fn submit(&self, name: char) -> RequestId {
        let text = name.to_string().repeat(4);
        self.link.submit(Request {
            bytes: text.as_bytes().into(),
            response: Box::new(Recorder(name, Arc::clone(&self.ends))),
            is_exclusive: name.is_ascii_uppercase(),
        })
    }

    async fn step(&mut self) {
        assert!(poll!(&mut self.driver).is_pending());
    }

    async fn sent(&mut self) -> String {
        let mut bytes = [0; 64];
        let read = poll!(std::pin::pin!(self.server.read(&mut bytes)));
        match read {
            Poll::Ready(length) => String::from_utf8_lossy(&bytes[..length.unwrap()]).into_owned(),
            Poll::Pending => String::new(),
        }
    }

    async fn answer(&mut self, messages: &[u8]) {
        self.server.write_all(messages).await.unwrap();
        self.step().await;
    }

    fn ends(&self) -> Vec<(char, End)> {
        let ends = lock(&self.ends);
        let ends = ends.iter().cloned();
        ends.map(|(name, end)| {
            (
                name,
                end.map_err(|failure| (failure.kind, failure.delivery)),
            )
        })
        .collect()
    }

    fn withdraw(&self, id: RequestId) -> &'static str {
        match self.link.withdraw(id) {
            Withdrawal::Unsent(_) => "unsent",
            Withdrawal::Sent => "sent",
            Withdrawal::Answered => "answered",
        }
    }

    fn turn(&self, id: RequestId) -> Turn {
        self.link.0.turn_now(id)
    }
}

const READY: &[u8] = b"Z\0\0\0\x05I";
const IDLE: End = Ok(TransactionStatus::Idle);

fn lost(delivery: Delivery) -> End {
    Err((Kind::Disconnected, delivery))
}

#[tokio::test]
async fn answers_go_to_their_requests_in_the_order_of_these() {
    let mut bench = Bench::new(64);
    for name in ['a', 'b', 'c'] {
        bench.submit(name);
    }
    bench.step().await;
    assert_eq!(bench.sent().await, "aaaabbbbcccc");
    bench.answer(&[READY, b"Z\0\0\0\x05T"].concat()).await;
    bench.submit('d');
    bench.answer(b"Z\0\0\0\x05E").await;
    bench.answer(READY).await;
    let expected = [
        ('a', IDLE),
        ('b', Ok(TransactionStatus::Active)),
        ('c', Ok(TransactionStatus::Failed)),
        ('d', IDLE),
    ];
    assert_eq!(bench.ends(), expected);
}

#[tokio::test]
async fn a_request_that_was_not_sent_is_taken_out_and_the_others_stay() {
    let mut bench = Bench::new(64);
    let ids = ['a', 'b', 'c'].map(|name| bench.submit(name));
    assert_eq!(bench.withdraw(ids[1]), "unsent");
    assert_eq!(bench.withdraw(ids[1]), "answered");
    bench.step().await;
    assert_eq!(bench.sent().await, "aaaacccc");
    bench.answer(&[READY, READY].concat()).await;
    assert_eq!(bench.ends(), [('a', IDLE), ('c', IDLE)]);
    assert_eq!(bench.withdraw(ids[0]), "answered");
}

#[tokio::test]
async fn what_is_given_up_is_followed_by_nothing_before_it_is_cancelled() {
    let mut bench = Bench::new(64);
    let given_up = CancellationToken::new();
    let first = bench.submit('a');
    bench.link.give_up_by(first, &given_up);
    bench.step().await;
    assert_eq!(bench.sent().await, "aaaa");
    given_up.cancel();
    bench.submit('b');
    bench.step().await;
    assert_eq!(bench.sent().await, "");
    assert_eq!(bench.withdraw(first), "sent");
    assert!(bench.link.answered(first).now_or_never().is_none());
    bench.answer(READY).await;
    assert!(bench.link.answered(first).now_or_never().is_some());
    assert_eq!(bench.sent().await, "bbbb");

    let ids = ['c', 'd', 'e'].map(|name| bench.submit(name));
    bench.link.give_up_by(ids[1], &given_up);
    bench.step().await;
    assert_eq!(bench.sent().await, "cccc");
    assert_eq!(bench.withdraw(ids[1]), "unsent");
    bench.step().await;
    assert_eq!(bench.sent().await, "eeee");
}

#[tokio::test]
async fn what_was_written_in_part_may_have_had_an_effect_and_the_rest_has_had_none() {
    // The stream takes the first request and a part of the second.
    for (bytes, deliveries) in [
        (1, [Delivery::Unknown, Delivery::None, Delivery::None]),
        (4, [Delivery::Unknown, Delivery::None, Delivery::None]),
        (5, [Delivery::Unknown, Delivery::Unknown, Delivery::None]),
        (
            64,
            [Delivery::Unknown, Delivery::Unknown, Delivery::Unknown],
        ),
    ] {
        let mut bench = Bench::new(bytes);
        for name in ['a', 'b', 'c'] {
            bench.submit(name);
        }
        bench.step().await;
        drop(bench.server);
        bench.driver.await;
        let late = bench.link.submit(Request {
            bytes: b"d"[..].into(),
            response: Box::new(Recorder('d', Arc::clone(&bench.ends))),
            is_exclusive: false,
        });
        assert!(matches!(bench.link.withdraw(late), Withdrawal::Answered));
        let ends = lock(&bench.ends);
        let told: Vec<_> = ends
            .iter()
            .map(|(_, end)| end.as_ref().unwrap_err().delivery)
            .collect();
        assert_eq!(
            told,
            [&deliveries[..], &[Delivery::None]].concat(),
            "{bytes}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_is_dropped_or_cut_loses_what_was_not_answered() {
    let mut bench = Bench::new(64);
    bench.submit('a');
    bench.step().await;
    bench.link.cut();
    assert!(bench.link.is_over());
    (&mut bench.driver).await;
    assert_eq!(bench.ends(), [('a', lost(Delivery::Unknown))]);

    let bench = Bench::new(64);
    bench.submit('a');
    drop(bench.driver);
    let ends = lock(&bench.ends);
    assert_eq!(ends[0].1.as_ref().unwrap_err().delivery, Delivery::None);
}

#[tokio::test]
async fn a_connection_that_is_closed_answers_what_it_has_and_takes_nothing_more() {
    let mut bench = Bench::new(64);
    bench.submit('a');
    bench.step().await;
    bench.link.close();
    bench.submit('b');
    bench.step().await;
    bench.server.write_all(READY).await.unwrap();
    (&mut bench.driver).await;
    let refused = Err((Kind::Closed, Delivery::None));
    assert_eq!(bench.ends(), [('b', refused), ('a', IDLE)]);
    assert_eq!(bench.sent().await, "aaaaX\0\0\0\u{4}");
}

#[tokio::test]
async fn an_error_that_ends_the_connection_is_the_end_of_all_requests() {
    let mut bench = Bench::new(64);
    for name in ['a', 'b'] {
        bench.submit(name);
    }
    bench.step().await;
    let fields = b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0";
    let error = [b"E\0\0\0", &[fields.len() as u8 + 4][..], fields].concat();
    bench.answer(&error).await;
    drop(bench.server);
    bench.driver.await;
    for (_, end) in lock(&bench.ends).iter() {
        let failure = end.as_ref().unwrap_err();
        assert_eq!(
            (failure.kind, failure.code.as_ref()),
            (Kind::Disconnected, "57P01")
        );
        assert_eq!(failure.delivery, Delivery::Unknown);
    }
}

/// A message of any type, mostly of one that exists, with any body.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop_oneof![
        8 => prop::sample::select(&b"123ACDEGHIKNRSTVWZcdnst"[..]),
        1 => any::<u8>(),
    ];
    let body = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..20),
        3 => Just(b"I".to_vec()),
        1 => Just(b"SERROR\0VERROR\0C22012\0Mno\0\0".to_vec()),
        1 => Just(b"name\0value\0".to_vec()),
    ];
    (tag, body, 0..20_u8).prop_map(|(tag, body, wrong)| {
        let length = u32::try_from(body.len()).unwrap() + 4;
        // One in twenty lies about its length.
        let length = if wrong == 0 {
            length ^ 0x8000_0005
        } else {
            length
        };
        [&[tag][..], &length.to_be_bytes(), &body].concat()
    })
}

proptest! {
    #[test]
    fn whatever_a_server_sends_each_request_ends_once(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(message(), 0..20).prop_map(|messages| messages.concat()),
        ],
        cuts in prop::collection::vec(1..40_usize, 0..8),
        requests in 0..5_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Bench { link, driver, mut server, ends } = Bench::new(4096);
            let names: Vec<_> = "abcde".chars().take(requests).collect();
            for name in &names {
                let (name, ends) = (*name, Arc::clone(&ends));
                let trace = Arc::<SessionState>::default().on_statement("");
                let reply = move |(outcome, _): Answer| {
                    let end = outcome.map(|_| TransactionStatus::Idle);
                    lock(&ends).push((name, end));
                };
                link.submit(Request {
                    bytes: b"q"[..].into(),
                    response: Box::new(Collector::new(ValueTypes::Known, trace, reply)),
                    is_exclusive: false,
                });
            }
            let driven = tokio::spawn(driver);
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (part, after) = rest.split_at(cut.min(rest.len()));
                let _ = server.write_all(part).await;
                tokio::task::yield_now().await;
                rest = after;
            }
            let _ = server.write_all(rest).await;
            drop(server);
            timeout(Duration::from_secs(10), driven).await.expect("it ends").unwrap();
            let mut ended: Vec<_> = lock(&ends).iter().map(|(name, _)| *name).collect();
            let told = ended.clone();
            ended.sort_unstable();
            assert_eq!(ended, names);
            assert_eq!(told, names, "in their order");
        });
    }
}
