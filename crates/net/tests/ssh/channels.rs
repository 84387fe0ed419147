//! Channels: data whole and apart from each other, both ends, refusals, and what is left of them.

use std::time::Duration;

use futures_util::FutureExt;
use moorline_core::error::Kind;
use moorline_net::ssh::{ChannelTarget, Session};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    time::{Instant, timeout},
};

use crate::{
    raw::ByteByByte,
    server::{
        Rules, connected, deadline, failure, host_key, opened, password, round_trip, server_config,
        start, tcp, trusting,
    },
};

/// Waits until nothing is open.
async fn settled(session: &Session) {
    let limit = deadline();
    while session.stats().open_channels + session.stats().opening_channels > 0 {
        assert!(Instant::now() < limit, "{:?}", session.stats());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_hundred_channels_carry_random_data_without_mixing_it() {
    let session = connected(trusting(&host_key())).await;
    let work = (0..100).map(|seed| {
        let session = &session;
        async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let channel = opened(session, "echo").await;
            let data: Vec<u8> = (0..random.usize(1..200_000))
                .map(|_| random.u8(..))
                .collect();
            let (mut reader, mut writer) = split(channel);
            let write = async {
                let mut rest = data.as_slice();
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(random.usize(1..=rest.len().min(50_000)));
                    writer.write_all(piece).await.unwrap();
                    rest = after;
                }
                writer.shutdown().await.unwrap();
            };
            let mut got = Vec::new();
            let ((), read) = tokio::join!(write, reader.read_to_end(&mut got));
            read.unwrap();
            assert!(got == data, "channel {seed}");
            let stats = reader.unsplit(writer).stats();
            assert_eq!(stats.sent_bytes, data.len() as u64);
            assert_eq!(stats.received_bytes, data.len() as u64);
        }
    });
    futures_util::future::join_all(work).await;
    settled(&session).await;
}

#[tokio::test]
async fn packets_may_be_cut_anywhere() {
    let stream = ByteByByte(start(server_config(), Rules::default()));
    let session = Session::connect(stream, trusting(&host_key()), &[password()], deadline()).await;
    let session = session.unwrap();
    let mut channel = opened(&session, "echo").await;
    round_trip(&mut channel, &vec![5; 20_000]).await;
}

#[tokio::test]
async fn one_side_may_end_before_the_other() {
    let session = connected(trusting(&host_key())).await;
    let mut channel = opened(&session, "counter").await;
    channel.write_all(&vec![1; 3_000_000]).await.unwrap();
    channel.shutdown().await.unwrap();
    let mut told = String::new();
    channel.read_to_string(&mut told).await.unwrap();
    assert_eq!(told, "3000000");
    let refused = channel.write_all(b"more").await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::BrokenPipe);
    drop(channel);
    settled(&session).await;
}

#[tokio::test]
async fn what_was_written_arrives_although_the_channel_is_dropped() {
    let session = connected(trusting(&host_key())).await;
    let mut channel = opened(&session, "counter").await;
    channel.write_all(&vec![1; 100_000]).await.unwrap();
    let before = session.stats().sent_bytes;
    drop(channel);
    settled(&session).await;
    assert!(session.stats().sent_bytes - before >= 100_000);
}

#[tokio::test]
async fn each_refusal_is_an_error_of_its_own() {
    let session = connected(trusting(&host_key())).await;
    let table = [
        ("refused", Kind::Connect, "ECONNREFUSED"),
        ("prohibited", Kind::Rejected, "ERR_SSH_OPEN_PROHIBITED"),
        ("unknown", Kind::Rejected, "ERR_SSH_OPEN_UNSUPPORTED"),
        ("shortage", Kind::Connect, "ERR_SSH_OPEN_RESOURCES"),
    ];
    for _ in 0..50 {
        for (host, kind, code) in table {
            let failed = failure(session.open(tcp(host, 7)).await);
            assert_eq!((failed.kind, failed.code.as_ref()), (kind, code));
            assert!(failed.message.contains(&format!("{host}:7")), "{failed}");
        }
    }
    round_trip(&mut opened(&session, "echo").await, b"still here").await;
}

#[tokio::test]
async fn who_gives_up_leaves_nothing_open() {
    let session = connected(trusting(&host_key())).await;
    let never = timeout(Duration::from_millis(20), session.open(tcp("never", 1))).await;
    assert!(never.is_err());
    for _ in 0..20 {
        // Asked for, and dropped before the answer.
        let mut opening = Box::pin(session.open(tcp("echo", 1)));
        assert!((&mut opening).now_or_never().is_none());
    }
    let limit = deadline();
    while session.stats().opening_channels > 1 || session.stats().open_channels > 0 {
        assert!(Instant::now() < limit, "{:?}", session.stats());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    round_trip(&mut opened(&session, "echo").await, b"still here").await;
}

#[tokio::test]
async fn a_unix_socket_of_the_far_end_is_a_target() {
    let session = connected(trusting(&host_key())).await;
    let target = ChannelTarget::UnixSocket("/run/echo".to_owned());
    let mut channel = session.open(target).await.unwrap();
    round_trip(&mut channel, b"over a socket").await;
}

#[tokio::test]
async fn ten_thousand_channels_leave_nothing() {
    let session = connected(trusting(&host_key())).await;
    for _ in 0..100 {
        let work = (0..100).map(|_| async {
            let mut channel = opened(&session, "echo").await;
            round_trip(&mut channel, b"x").await;
        });
        futures_util::future::join_all(work).await;
    }
    settled(&session).await;
}
