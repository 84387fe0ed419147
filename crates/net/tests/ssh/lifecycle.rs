//! The ends of a session: by us, by the server, by silence; and what its channels and its owner are told.

use std::{future::pending, io, time::Duration};

use moorline_core::error::Kind;
use moorline_net::ssh::{Session, SessionConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, duplex},
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::server::{
    Rules, connected, deadline, failure, host_key, opened, password, round_trip, server_config,
    start, tcp, trusting,
};

/// What carries the bytes of a session.
struct Relay {
    hold: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Carries nothing any more, and keeps both streams open.
    fn hold(self) -> JoinHandle<()> {
        self.hold.send(()).unwrap();
        self.task
    }

    /// Closes both streams.
    fn cut(self) {
        self.task.abort();
    }
}

async fn relayed(config: SessionConfig) -> (Session, Relay) {
    let (client, mut relay) = duplex(64 * 1024);
    let mut server = start(server_config(), Rules::default());
    let (hold, on_hold) = oneshot::channel();
    let task = tokio::spawn(async move {
        tokio::select! {
            _ = copy_bidirectional(&mut relay, &mut server) => {}
            _ = on_hold => pending().await,
        }
    });
    let session = Session::connect(client, config, &[password()], deadline()).await;
    (session.unwrap(), Relay { hold, task })
}

#[tokio::test]
async fn a_lost_session_fails_its_channels_and_tells_its_owner() {
    let (session, relay) = relayed(trusting(&host_key())).await;
    let mut channel = opened(&session, "echo").await;
    let mut writing = opened(&session, "counter").await;
    let closed = session.closed();
    let mut opening = Box::pin(session.open(tcp("never", 1)));
    assert!(
        timeout(Duration::from_millis(20), &mut opening)
            .await
            .is_err()
    );
    relay.cut();
    let reason = timeout(Duration::from_secs(5), closed).await.unwrap();
    assert_eq!(
        (reason.kind, reason.code.as_ref()),
        (Kind::Disconnected, "ECONNRESET")
    );
    assert_eq!(reason.detail["phase"], "session");
    assert!(!session.is_open());
    let failed = failure(opening.await);
    assert_eq!(
        (failed.kind, failed.code.as_ref()),
        (Kind::Connect, "ECONNRESET")
    );
    let failed = failure(session.open(tcp("echo", 1)).await);
    assert_eq!(
        (failed.kind, failed.code.as_ref()),
        (Kind::Connect, "ECONNRESET")
    );
    let error = channel.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let error = writing.write(&[0; 10]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(session.ping().await.is_err());
    assert_eq!(session.stats().open_channels, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_lost_after_the_keep_alives() {
    let mut config = trusting(&host_key());
    config.keep_alive_interval = Duration::from_secs(1);
    config.keep_alive_count = 3;
    let (session, relay) = relayed(config).await;
    let held = relay.hold();
    let started = Instant::now();
    let reason = session.closed().await;
    assert_eq!(
        (reason.kind, reason.code.as_ref()),
        (Kind::Disconnected, "ETIMEDOUT")
    );
    let elapsed = started.elapsed();
    assert!(
        elapsed >= Duration::from_secs(2) && elapsed <= Duration::from_secs(5),
        "{elapsed:?}"
    );
    held.abort();
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_stays_open_by_its_keep_alives() {
    let mut config = trusting(&host_key());
    config.keep_alive_interval = Duration::from_secs(1);
    let session = connected(config).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert!(session.is_open());
    assert!(session.stats().round_trip.is_some());
    round_trip(&mut opened(&session, "echo").await, b"after ten minutes").await;
    session.ping().await.unwrap();
}

#[tokio::test]
async fn disconnecting_is_of_kind_closed_and_may_be_repeated() {
    let session = connected(trusting(&host_key())).await;
    let mut channel = opened(&session, "echo").await;
    session.disconnect().await;
    session.disconnect().await;
    assert_eq!(session.closed().await.kind, Kind::Closed);
    assert!(channel.read(&mut [0; 10]).await.is_err());
}

#[tokio::test]
async fn a_dropped_session_ends_when_its_last_channel_is_closed() {
    let session = connected(trusting(&host_key())).await;
    let closed = session.closed();
    let mut channel = opened(&session, "echo").await;
    drop(session);
    round_trip(&mut channel, b"still open").await;
    drop(channel);
    let reason = timeout(Duration::from_secs(5), closed).await.unwrap();
    assert_eq!(reason.kind, Kind::Closed);
}

#[tokio::test]
async fn a_connect_that_is_given_up_closes_its_stream() {
    let (client, mut other) = duplex(1024);
    let connecting = Session::connect(client, trusting(&host_key()), &[], deadline());
    assert!(
        timeout(Duration::from_millis(20), connecting)
            .await
            .is_err()
    );
    let mut received = Vec::new();
    other.read_to_end(&mut received).await.unwrap();
    assert!(received.starts_with(b"SSH-2.0-moorline_"));
}

/// The target `ssh` of the test server is the test server.
#[tokio::test]
async fn a_channel_of_one_session_carries_another() {
    let outer = connected(trusting(&host_key())).await;
    let hop = opened(&outer, "ssh").await;
    let inner = Session::connect(hop, trusting(&host_key()), &[password()], deadline()).await;
    let inner = inner.unwrap();
    let mut channel = opened(&inner, "echo").await;
    round_trip(&mut channel, &vec![3; 100_000]).await;
    outer.disconnect().await;
    assert_eq!(inner.closed().await.kind, Kind::Disconnected);
    assert!(channel.read(&mut [0; 10]).await.is_err());
}

/// Services connect and open in tasks of the runtime.
#[test]
fn what_is_awaited_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let credentials = [password()];
    let (stream, _other) = duplex(1);
    let connecting = Session::connect(stream, trusting(&host_key()), &credentials, deadline());
    is_send(&connecting);
    let open = async |session: Session| {
        let opening = session.open(tcp("echo", 1));
        is_send(&opening);
    };
    is_send(&open);
}
