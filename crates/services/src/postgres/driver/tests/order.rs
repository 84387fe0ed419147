//! What is sent when, and what can be cancelled.

use std::task::Poll;

use futures_util::poll;
use moorline_core::error::{Delivery, Kind};
use tokio::io::AsyncWriteExt;

use super::{Bench, IDLE, READY, Turn};

#[tokio::test]
async fn nothing_is_sent_while_the_one_before_is_cancelled() {
    let mut bench = Bench::new(64);
    let first = bench.submit('a');
    bench.step().await;
    assert_eq!(bench.sent().await, "aaaa");
    assert_eq!(bench.withdraw(first), "sent");
    bench.submit('b');
    assert_eq!(bench.turn(first), Turn::Now);
    bench.step().await;
    assert_eq!(bench.sent().await, "");
    bench.answer(READY).await;
    assert_eq!(bench.sent().await, "", "the cancellation may still come");
    assert!(!bench.link.is_idle());
    bench.link.release();
    bench.step().await;
    assert_eq!(bench.sent().await, "bbbb");
    bench.answer(READY).await;
    assert_eq!(bench.ends(), [('a', IDLE), ('b', IDLE)]);
    assert!(bench.link.is_idle());
    assert_eq!(bench.turn(first), Turn::Over);
}

#[tokio::test]
async fn a_request_has_its_turn_when_it_is_answered_and_nobody_waits_for_those_behind_it() {
    let mut bench = Bench::new(64);
    let ids = ['a', 'b', 'c'].map(|name| bench.submit(name));
    bench.step().await;
    assert_eq!(bench.sent().await, "aaaabbbbcccc");
    assert_eq!(bench.withdraw(ids[0]), "sent");
    assert_eq!(bench.turn(ids[0]), Turn::Later, "the others are waited for");
    assert_eq!(bench.withdraw(ids[2]), "sent");
    assert_eq!(bench.turn(ids[2]), Turn::Later, "it is not the first");
    bench.submit('d');
    bench.step().await;
    assert_eq!(
        bench.sent().await,
        "",
        "nothing is sent behind one that may be cancelled"
    );
    assert_eq!(bench.withdraw(ids[1]), "sent");
    assert_eq!(bench.turn(ids[0]), Turn::Now);
    assert_eq!(bench.turn(ids[0]), Turn::Later, "it is being cancelled");
    bench.answer(READY).await;
    assert_eq!(
        bench.turn(ids[1]),
        Turn::Later,
        "the cancellation may still come"
    );
    bench.link.release();
    // Its answer has begun.
    bench.answer(b"1\0\0\0\x04").await;
    assert_eq!(bench.turn(ids[1]), Turn::Now);
    bench.answer(READY).await;
    bench.link.release();
    bench.answer(READY).await;
    assert_eq!(bench.turn(ids[2]), Turn::Over);
    assert_eq!(bench.sent().await, "dddd");
    bench.answer(READY).await;
    let expected = ['a', 'b', 'c', 'd'].map(|name| (name, IDLE));
    assert_eq!(bench.ends(), expected);
}

#[tokio::test]
async fn who_waits_for_a_turn_hears_of_it_and_of_the_end() {
    let mut bench = Bench::new(64);
    let ids = ['a', 'b', 'c'].map(|name| bench.submit(name));
    bench.step().await;
    for id in &ids[1..] {
        assert_eq!(bench.withdraw(*id), "sent");
    }
    let link = bench.link.clone();
    let mut second = std::pin::pin!(link.turn(ids[1]));
    let mut third = std::pin::pin!(link.turn(ids[2]));
    assert!(poll!(second.as_mut()).is_pending() && poll!(third.as_mut()).is_pending());
    bench.answer(READY).await;
    assert_eq!(poll!(second), Poll::Ready(true));
    assert!(poll!(third.as_mut()).is_pending());
    drop(bench.driver);
    assert_eq!(poll!(third), Poll::Ready(false));
}

#[tokio::test]
async fn nothing_is_sent_behind_one_that_is_exclusive_before_it_is_answered() {
    let mut bench = Bench::new(64);
    let ids = ['a', 'B', 'c', 'D', 'e'].map(|name| bench.submit(name));
    bench.step().await;
    assert_eq!(bench.sent().await, "aaaaBBBB");
    assert_eq!(bench.withdraw(ids[3]), "unsent");
    bench.answer(READY).await;
    // What the server asks for comes before what was handed over.
    bench.answer(b"G\0\0\0\x07\0\0\0").await;
    assert_eq!(bench.sent().await, "copy");
    bench.answer(READY).await;
    assert_eq!(bench.sent().await, "cccceeee");
    bench.answer(&[READY, READY].concat()).await;
    let expected = ['a', 'B', 'c', 'e'].map(|name| (name, IDLE));
    assert_eq!(bench.ends(), expected);
    // Where the server asks although others were sent, it would take these for data.
    for name in ['f', 'g'] {
        bench.submit(name);
    }
    bench.step().await;
    bench.server.write_all(b"G\0\0\0\x07\0\0\0").await.unwrap();
    (&mut bench.driver).await;
    let lost = Err((Kind::Protocol, Delivery::Unknown));
    assert_eq!(bench.ends()[4..], [('f', lost), ('g', lost)]);
}
