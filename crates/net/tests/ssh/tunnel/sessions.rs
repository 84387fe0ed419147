//! Sessions and their channels: how many, whose, who waits, and what a refusal or a loss takes.

use std::time::Duration;

use futures_util::{FutureExt, future::join_all};
use moorline_core::{
    error::Kind,
    metrics::{Registry, TextExposition},
    ssh::SessionLimits,
};
use moorline_net::{
    dial::{Target, Tunnel},
    ssh::{SshTunnel, TunnelConfig, TunnelEvent},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    Found, Network, config, connected, echo, exchange, open_echo, tunnel, until, until_stats,
};
use crate::server::{failure, tcp};

fn limited(max_channels: u32, max_sessions: u32) -> TunnelConfig {
    TunnelConfig {
        limits: SessionLimits {
            max_channels,
            max_sessions,
        },
        ..config()
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_at_once_are_ten_sessions_of_ten() {
    let network = Network::new();
    let (tunnel, _) = tunnel(&network, limited(10, 50));
    let opened = join_all((0..100).map(|_| open_echo(&tunnel))).await;
    let mut streams: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    let stats = tunnel.stats();
    assert_eq!(
        (stats.sessions, stats.open_channels, stats.waiting),
        (10, 100, 0)
    );
    assert_eq!(network.dials(), 10);
    for stream in &mut streams {
        exchange(stream).await;
    }
    // What is empty for a minute is closed, all but one.
    drop(streams);
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(tunnel.stats().sessions, 10);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(tunnel.stats().sessions, 1);
    open_echo(&tunnel).await.unwrap();
    assert_eq!(network.dials(), 10);
}

#[tokio::test(start_paused = true)]
async fn once_all_are_taken_callers_are_served_in_order_and_may_leave() {
    let network = Network::new();
    let (tunnel, _) = connected(&network, limited(2, 2)).await;
    let opened = join_all((0..4).map(|_| open_echo(&tunnel))).await;
    let mut held: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    let target = echo();
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(tunnel.open(&target))).collect();
    for one in &mut waiting {
        assert!(one.as_mut().now_or_never().is_none());
    }
    assert_eq!(tunnel.stats().waiting, 5);
    drop(waiting.remove(1));
    assert_eq!(tunnel.stats().waiting, 4);
    for mut next in waiting {
        drop(held.remove(0));
        held.push(next.as_mut().await.unwrap());
    }
    assert_eq!((tunnel.stats().sessions, network.dials()), (2, 2));
    // The caller's own deadline.
    assert!(
        timeout(Duration::from_secs(1), tunnel.open(&target))
            .await
            .is_err()
    );
    assert_eq!(tunnel.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_was_given_to_somebody_who_left_goes_to_the_next() {
    let network = Network::new();
    let (tunnel, _) = connected(&network, limited(1, 1)).await;
    let held = open_echo(&tunnel).await.unwrap();
    let target = echo();
    let mut first = Box::pin(tunnel.open(&target));
    let mut second = Box::pin(tunnel.open(&target));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    drop(held);
    drop(first);
    timeout(Duration::from_secs(5), second)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_the_calls_own_a_thousand_times() {
    let network = Network::new();
    let (tunnel, events) = connected(&network, limited(5, 2)).await;
    let mut kept = open_echo(&tunnel).await.unwrap();
    for round in 0..1000 {
        let (host, kind, code) = match round % 2 {
            0 => ("refused", Kind::Connect, "ECONNREFUSED"),
            _ => ("prohibited", Kind::Rejected, "ERR_SSH_OPEN_PROHIBITED"),
        };
        let failed = failure(tunnel.open(&tcp(host, 1)).await);
        assert_eq!((failed.kind, failed.code.as_ref()), (kind, code));
    }
    exchange(&mut kept).await;
    assert_eq!(events.all(), [TunnelEvent::Open]);
    assert_eq!((tunnel.stats().sessions, network.dials()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_never_answers_takes_no_room_from_the_others() {
    let network = Network::new();
    let (tunnel, _) = connected(&network, limited(2, 1)).await;
    for _ in 0..10 {
        let target = tcp("never", 1);
        let opening = tunnel.open(&target);
        assert!(timeout(Duration::from_millis(10), opening).await.is_err());
    }
    let both = join_all((0..2).map(|_| open_echo(&tunnel))).await;
    assert!(both.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_takes_its_own_channels_alone() {
    let network = Network::new();
    let (tunnel, events) = connected(&network, limited(1, 2)).await;
    let mut first = open_echo(&tunnel).await.unwrap();
    // Only what is open by now is cut below.
    let before = network.cut_later();
    let mut second = open_echo(&tunnel).await.unwrap();
    assert_eq!(tunnel.stats().sessions, 2);
    before.cancel();
    assert!(first.read(&mut [0]).await.is_err());
    exchange(&mut second).await;
    until("lost", || {
        !events.all().is_empty() && tunnel.stats().sessions == 1
    })
    .await;
    assert_eq!(events.outages(), 0);
    assert!(tunnel.is_connected());
    // Another takes its place, once it is wanted.
    let mut third = open_echo(&tunnel).await.unwrap();
    exchange(&mut third).await;
}

#[tokio::test(start_paused = true)]
async fn a_further_session_that_is_refused_fails_nobody() {
    let network = Network::new();
    let (tunnel, events) = connected(&network, limited(1, 2)).await;
    let held = open_echo(&tunnel).await.unwrap();
    network.set(Found::Nothing);
    let target = echo();
    let mut opening = Box::pin(tunnel.open(&target));
    assert!(timeout(Duration::from_mins(1), &mut opening).await.is_err());
    let failed = events.count(|event| matches!(event, TunnelEvent::SessionFailed(_)));
    assert!((2..30).contains(&failed), "{failed}");
    network.set(Found::Server);
    let mut opened = opening.await.unwrap();
    exchange(&mut opened).await;
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn half_a_stream_ends_before_the_other_and_whoever_dials_gets_one() {
    let network = Network::new();
    let (tunnel, _) = connected(&network, config()).await;
    let target = Target::new("counter", 1, false);
    let mut stream = Tunnel::open(&tunnel, &target).await.unwrap();
    stream.write_all(&vec![1; 70_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    assert_eq!(told, "70000");
    drop(stream);
    until_stats(&tunnel, |stats| stats.open_channels == 0).await;
}

#[tokio::test(start_paused = true)]
async fn the_metrics_of_the_process_have_a_tunnel_until_it_is_dropped() {
    let line = |start: &str| {
        moorline_net::pool::refresh();
        let mut exposition = TextExposition::new();
        Registry::global().write(&mut exposition);
        let text = exposition.into_text();
        let found = text.lines().find(|line| line.starts_with(start));
        found.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    let network = Network::new();
    let mut config = limited(1, 2);
    config.hops[0].host = "metrics.test".to_owned();
    let (tunnel, _) = connected(&network, config).await;
    tunnel.register_metrics();
    let streams = join_all((0..2).map(|_| open_echo(&tunnel))).await;
    let sessions = "moorline_ssh_sessions{server=\"metrics.test:22\"}";
    let open = "moorline_ssh_channels{server=\"metrics.test:22\",state=\"open\"}";
    let received = "moorline_ssh_received_bytes_total{server=\"metrics.test:22\"}";
    assert_eq!((line(sessions), line(open)), (Some(2.0), Some(2.0)));
    assert!(line(received).unwrap() > 0.0);
    drop(streams);
    drop(tunnel);
    until("gone", || line(sessions).is_none_or(|count| count == 0.0)).await;
    assert!(line(received).unwrap() > 0.0);
}

/// Services open in tasks of the runtime.
#[test]
fn what_is_awaited_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let open = async |tunnel: SshTunnel| {
        let target = echo();
        is_send(&tunnel.open(&target));
        is_send(&tunnel.connect());
    };
    is_send(&open);
}
