//! Flow control: what is not read stops its own channel alone.

use std::time::Duration;

use moorline_net::ssh::Session;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

use crate::server::{
    Rules, deadline, host_key, opened, password, round_trip, server_config, start, tcp, trusting,
};

const GIGABYTE_OF_MEGABYTES: u16 = 1024;

#[tokio::test]
async fn a_download_that_nobody_reads_holds_no_other_channel_up() {
    let mut config = trusting(&host_key());
    config.keep_alive_interval = Duration::from_millis(100);
    let window = u64::from(config.window_bytes);
    let stream = start(server_config(), Rules::default());
    let session = Session::connect(stream, config, &[password()], deadline())
        .await
        .unwrap();
    let mut unread = session
        .open(tcp("source", GIGABYTE_OF_MEGABYTES))
        .await
        .unwrap();
    let mut other = opened(&session, "echo").await;
    let limit = deadline();
    while unread.stats().received_bytes < window {
        assert!(Instant::now() < limit);
        round_trip(&mut other, b"while it fills").await;
    }
    let before = session.stats().received_bytes;
    let mut times = Vec::new();
    for _ in 0..1000 {
        let started = Instant::now();
        round_trip(&mut other, &[1; 100]).await;
        times.push(started.elapsed());
    }
    times.sort();
    assert!(
        times[989] < Duration::from_millis(50),
        "p99 {:?}",
        times[989]
    );
    assert_eq!(
        unread.stats().received_bytes,
        window,
        "no more than the window is held"
    );
    assert!(session.stats().received_bytes - before < 1_000_000);
    while session.stats().round_trip.is_none() {
        assert!(Instant::now() < limit, "the keep-alive is answered");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It goes on once it is read.
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..8 {
        let read = timeout_at(deadline(), unread.read_exact(&mut buffer)).await;
        read.unwrap().unwrap();
        let is_right = buffer
            .iter()
            .enumerate()
            .all(|(index, byte)| index as u8 == *byte);
        assert!(is_right);
    }
    assert!(unread.stats().received_bytes > window);
}

/// A server that accepts a channel, and never lets anything be sent.
#[tokio::test]
async fn a_window_that_is_never_opened_holds_its_own_writes_up_alone() {
    let mut config = server_config();
    config.window_size = 0;
    let stream = start(config, Rules::default());
    let session = Session::connect(stream, trusting(&host_key()), &[password()], deadline()).await;
    let session = session.unwrap();
    let mut channel = opened(&session, "echo").await;
    let before = session.stats().sent_bytes;
    let data = vec![1; 8 << 20];
    let writing = channel.write_all(&data);
    assert!(timeout(Duration::from_millis(50), writing).await.is_err());
    timeout_at(deadline(), session.ping())
        .await
        .unwrap()
        .unwrap();
    assert!(session.stats().sent_bytes - before < 10_000);
    let mut source = session.open(tcp("source", 1)).await.unwrap();
    timeout_at(deadline(), source.read_exact(&mut vec![0; 1 << 20]))
        .await
        .unwrap()
        .unwrap();
    drop((channel, source));
    let limit = deadline();
    while session.stats().open_channels > 0 {
        assert!(Instant::now() < limit, "{:?}", session.stats());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
