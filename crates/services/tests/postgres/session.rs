//! Sessions that are cut, broken or cancelled.

use std::{sync::Arc, time::Duration};

use moorline_core::{
    error::{Delivery, Kind},
    limit::Limit,
};
use moorline_services::postgres::{
    result::ValueTypes,
    service::{CallLimits, OwnedStatement},
    statement::Statement,
};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::server::{
    PATIENCE, READY, begin, echo, error, message, one_row, plain_pool, query, read_message,
    read_start, send, serve, value,
};

#[tokio::test]
async fn a_statement_whose_answer_is_cut_anywhere_may_have_had_an_effect() {
    let whole = one_row("x").concat();
    for cut in 0..whole.len() {
        let said = whole[..cut].to_vec();
        let address = serve(move |_, mut stream| {
            let said = said.clone();
            async move {
                begin(&mut stream, &[]).await;
                read_message(&mut stream).await;
                send(&mut stream, &said).await;
            }
        })
        .await;
        let pool = plain_pool(address);
        let failure = query(&pool, None, "UPDATE").await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.delivery),
            (Kind::Disconnected, Delivery::Unknown),
            "{cut}"
        );
    }
}

#[tokio::test]
async fn answers_that_are_none_end_the_connection_and_the_next_one_is_new() {
    for said in [
        message(b'D', b"\0\x01\0\0\0\x01x"),
        message(b'T', b"\0\x01c"),
        message(b'C', b"SELECT 1"),
        message(b'C', b"SELECT \xff\0"),
        message(b'Z', b"?"),
        message(b'R', b"\0\0\0\0"),
        message(b'S', b"name"),
        message(b'A', b"\0\0\0\x01chan"),
        b"D\x80\0\0\x05x".to_vec(),
        b"D\x7f\xff\xff\xff".to_vec(),
        b"D\0\0\0\x03".to_vec(),
        [READY, READY].concat(),
    ] {
        let shown = said.escape_ascii().to_string();
        let address = serve(move |number, mut stream| {
            let said = said.clone();
            async move {
                begin(&mut stream, &[]).await;
                if number > 0 {
                    return echo(&mut stream).await;
                }
                read_message(&mut stream).await;
                send(&mut stream, &said).await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        })
        .await;
        let pool = plain_pool(address);
        let outcome = query(&pool, None, "SELECT 1").await;
        if let Err(failure) = &outcome {
            assert_eq!(
                (failure.kind, failure.delivery),
                (Kind::Protocol, Delivery::Unknown),
                "{shown}: {failure}"
            );
        }
        // The last one answers twice: what is not asked for ends the connection, too.
        assert_eq!(
            outcome.is_ok(),
            shown.starts_with("Z\\x00\\x00\\x00\\x05IZ"),
            "{shown}"
        );
        let again = async { while query(&pool, None, "again").await.is_err() {} };
        timeout(PATIENCE, again).await.unwrap();
    }
}

#[tokio::test]
async fn statements_are_sent_at_once_and_answered_in_their_order() {
    let address = serve(|_, mut stream| async move {
        begin(&mut stream, &[]).await;
        let mut texts = Vec::new();
        for _ in 0..3 {
            // All of them, before any is answered.
            texts.push(read_message(&mut stream).await.unwrap().1);
        }
        for text in texts {
            let text = String::from_utf8_lossy(&text).into_owned();
            let answer = match text.trim_end_matches('\0') {
                "b" => [error("ERROR", "22012", "b"), READY.to_vec()].concat(),
                text => one_row(text).concat(),
            };
            send(&mut stream, &answer).await;
        }
        echo(&mut stream).await;
    })
    .await;
    let pool = plain_pool(address);
    let lease = pool.acquire(None, CallLimits::default()).await.unwrap();
    let all = ["a", "b", "c"].map(|text| query(&pool, Some(lease), text));
    let all = timeout(PATIENCE, futures_util::future::join_all(all))
        .await
        .unwrap();
    assert!(all[0].as_ref().unwrap()[0].json.contains("[\"a\"]"));
    let failure = all[1].as_ref().unwrap_err();
    assert_eq!(
        (failure.code.as_ref(), failure.delivery),
        ("22012", Delivery::Answered)
    );
    assert!(all[2].as_ref().unwrap()[0].json.contains("[\"c\"]"));
    pool.release(lease, true);
}

/// A server whose statements end when they are cancelled; the cancellations are told.
async fn cancellable(told: mpsc::UnboundedSender<Vec<u8>>, is_deaf: bool) -> std::net::SocketAddr {
    let cancelled = Arc::new(tokio::sync::Notify::new());
    serve(move |_, mut stream| {
        let (told, cancelled) = (told.clone(), Arc::clone(&cancelled));
        async move {
            let start = read_start(&mut stream).await;
            if start[..4] == 80_877_102_u32.to_be_bytes() {
                let _ = told.send(start[4..].to_vec());
                if is_deaf {
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
                cancelled.notify_one();
                return;
            }
            send(&mut stream, &crate::server::greeting(&[])).await;
            serve_statements(&mut stream, &cancelled).await;
        }
    })
    .await
}

async fn serve_statements(stream: &mut TcpStream, cancelled: &tokio::sync::Notify) {
    while let Some((b'Q', body)) = read_message(stream).await {
        if body == b"sleep\0" {
            cancelled.notified().await;
            let answer = [error("ERROR", "57014", "canceling"), READY.to_vec()].concat();
            send(stream, &answer).await;
        } else {
            let text = String::from_utf8_lossy(&body).into_owned();
            send(stream, &one_row(text.trim_end_matches('\0')).concat()).await;
        }
    }
}

fn statement(text: &str) -> OwnedStatement {
    OwnedStatement {
        text: text.to_owned(),
        ..OwnedStatement::default()
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled_at_the_server() {
    let (told, mut cancellations) = mpsc::unbounded_channel();
    let pool = plain_pool(cancellable(told, false).await);
    let limits = CallLimits {
        timeout: Some(Limit::At(Duration::from_millis(50))),
        cancel: CancellationToken::new(),
    };
    let failure = pool
        .run(None, statement("sleep"), ValueTypes::Known, limits)
        .await;
    let failure = failure.unwrap_err();
    assert_eq!(
        (failure.kind, failure.delivery),
        (Kind::Timeout, Delivery::Unknown)
    );
    let key = timeout(PATIENCE, cancellations.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(key, [0, 0, 0, 7, 0, 0, 0, 9]);
    assert_eq!(value(&pool, "next").await, "next");
    assert!(
        cancellations.try_recv().is_err(),
        "the next one is not cancelled"
    );
}

#[tokio::test]
async fn a_statement_that_others_follow_is_cancelled_when_nobody_waits_for_them() {
    let (told, mut cancellations) = mpsc::unbounded_channel();
    let pool = plain_pool(cancellable(told, false).await);
    let lease = pool.acquire(None, CallLimits::default()).await.unwrap();
    let connection = pool.connection(lease).unwrap();
    let run = |text| {
        let (sender, receiver) = oneshot::channel();
        let statement = Statement::of(text);
        let ticket = connection.run(&statement, ValueTypes::Text, |(outcome, _)| {
            let _ = sender.send(outcome);
        });
        (ticket.unwrap(), receiver)
    };
    let (first, first_answer) = run("sleep");
    let (second, second_answer) = run("sleep");
    // Once a statement on another connection is answered, the driver has had its turn.
    assert_eq!(value(&pool, "other").await, "other");
    connection.cancel(&first);
    assert_eq!(value(&pool, "other").await, "other");
    assert!(
        cancellations.try_recv().is_err(),
        "the second is waited for"
    );
    connection.cancel(&second);
    let (third, third_answer) = run("next");
    for answer in [first_answer, second_answer] {
        let cancelled = timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert_eq!(cancelled.unwrap_err().code, "57014");
    }
    let answered = timeout(PATIENCE, third_answer).await.unwrap().unwrap();
    assert!(answered.unwrap()[0].json.contains("[\"next\"]"));
    connection.cancel(&third);
    assert!(connection.is_idle());
    pool.release(lease, true);
}

/// What happens at a server that waits with its first answer.
#[derive(Default)]
struct PacedEvents {
    /// Two statements have come.
    both: tokio::sync::Notify,
    /// The first may be answered.
    go: tokio::sync::Notify,
    cancelled: tokio::sync::Notify,
}

/// A server that answers its second statement when that is cancelled; it tells whether the first was answered before.
async fn paced(
    told: mpsc::UnboundedSender<bool>,
    events: Arc<PacedEvents>,
) -> std::net::SocketAddr {
    let is_over = CancellationToken::new();
    serve(move |_, mut stream| {
        let (told, is_over, events) = (told.clone(), is_over.clone(), Arc::clone(&events));
        async move {
            if read_start(&mut stream).await[..4] == 80_877_102_u32.to_be_bytes() {
                let _ = told.send(is_over.is_cancelled());
                return events.cancelled.notify_one();
            }
            send(&mut stream, &crate::server::greeting(&[])).await;
            // Both come before the first is answered.
            read_message(&mut stream).await;
            read_message(&mut stream).await;
            events.both.notify_one();
            events.go.notified().await;
            is_over.cancel();
            send(&mut stream, &one_row("first").concat()).await;
            events.cancelled.notified().await;
            let answer = [error("ERROR", "57014", "canceling"), READY.to_vec()].concat();
            send(&mut stream, &answer).await;
            echo(&mut stream).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_statement_behind_another_is_cancelled_when_it_is_its_turn() {
    let (told, mut cancellations) = mpsc::unbounded_channel();
    let events = Arc::<PacedEvents>::default();
    let pool = plain_pool(paced(told, Arc::clone(&events)).await);
    let PacedEvents { both, go, .. } = &*events;
    let lease = pool.acquire(None, CallLimits::default()).await.unwrap();
    let cancel = CancellationToken::new();
    let limits = CallLimits {
        timeout: Some(Limit::Off),
        cancel: cancel.clone(),
    };
    let first = pool.run(
        Some(lease),
        statement("first"),
        ValueTypes::Known,
        crate::server::limits(),
    );
    let second = pool.run(Some(lease), statement("second"), ValueTypes::Known, limits);
    let third = async {
        both.notified().await;
        cancel.cancel();
        let failure = second.await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.delivery),
            (Kind::Closed, Delivery::Unknown)
        );
        go.notify_one();
        query(&pool, Some(lease), "third").await
    };
    let (first, third) = timeout(PATIENCE, async { tokio::join!(first, third) })
        .await
        .unwrap();
    assert!(first.unwrap()[0].json.contains("[\"first\"]"));
    assert!(third.unwrap()[0].json.contains("[\"third\"]"));
    let was_over = cancellations.try_recv().unwrap();
    assert!(
        was_over,
        "the first was answered before the second was cancelled"
    );
    // It is repeated until that is answered.
    while let Ok(was_over) = cancellations.try_recv() {
        assert!(was_over);
    }
    pool.release(lease, true);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_cancellation_is_not_heard_is_given_up() {
    let (told, mut cancellations) = mpsc::unbounded_channel();
    let pool = plain_pool(cancellable(told, true).await);
    let lease = pool.acquire(None, CallLimits::default()).await.unwrap();
    let limits = CallLimits {
        timeout: Some(Limit::At(Duration::from_millis(50))),
        cancel: CancellationToken::new(),
    };
    let failure = pool
        .run(Some(lease), statement("sleep"), ValueTypes::Known, limits)
        .await;
    assert_eq!(failure.unwrap_err().kind, Kind::Timeout);
    cancellations.recv().await.unwrap();
    let connection = pool.connection(lease).unwrap();
    timeout(PATIENCE, connection.ended()).await.unwrap();
    assert!(connection.is_over());
    pool.release(lease, true);
    assert_eq!(value(&pool, "next").await, "next");
}
