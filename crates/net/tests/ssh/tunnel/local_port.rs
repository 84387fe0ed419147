//! The local port: each socket by a channel of its own, closed while the tunnel is down, back on the same port.

use std::{io, time::Duration};

use moorline_core::limit::Limit;
use moorline_net::ssh::{SshTunnel, TunnelConfig, TunnelEvent};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use super::{Found, Network, config, connected, open_echo, tunnel, until, until_stats};
use crate::server::tcp;

fn with_port(target: &str) -> TunnelConfig {
    let mut config = config();
    config.remote = Some(tcp(target, 1));
    config.local_port = Some(0);
    config.reconnect.retry_delay = Duration::from_millis(50);
    config
}

async fn socket(tunnel: &SshTunnel) -> TcpStream {
    let port = tunnel.local_port().unwrap();
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

async fn round_trip(socket: &mut TcpStream, text: &[u8]) {
    socket.write_all(text).await.unwrap();
    let mut got = vec![0; text.len()];
    socket.read_exact(&mut got).await.unwrap();
    assert_eq!(got, text);
}

#[tokio::test]
async fn each_socket_has_a_channel_of_its_own() {
    let network = Network::new();
    let (tunnel, _) = connected(&network, with_port("echo")).await;
    let mut sockets = Vec::new();
    for index in 0..10 {
        let mut one = socket(&tunnel).await;
        round_trip(&mut one, format!("socket {index}").as_bytes()).await;
        sockets.push(one);
    }
    assert_eq!(tunnel.stats().open_channels, 10);
    for (index, one) in sockets.iter_mut().enumerate() {
        round_trip(one, format!("again {index}").as_bytes()).await;
    }
    drop(sockets);
    until_stats(&tunnel, |stats| stats.open_channels == 0).await;
}

#[tokio::test]
async fn one_side_of_a_socket_may_end_before_the_other() {
    let network = Network::new();
    let (tunnel, _) = connected(&network, with_port("counter")).await;
    let mut socket = socket(&tunnel).await;
    socket.write_all(&vec![1; 100_000]).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut told = String::new();
    socket.read_to_string(&mut told).await.unwrap();
    assert_eq!(told, "100000");
}

#[tokio::test]
async fn a_refused_channel_resets_the_socket() {
    let network = Network::new();
    let (tunnel, _) = connected(&network, with_port("refused")).await;
    let mut socket = socket(&tunnel).await;
    let error = socket.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn the_port_is_closed_while_the_tunnel_is_down_and_comes_back() {
    let network = Network::new();
    let (tunnel, _) = connected(&network, with_port("echo")).await;
    let port = tunnel.local_port().unwrap();
    let mut before = socket(&tunnel).await;
    round_trip(&mut before, b"before").await;
    network.set(Found::Nothing);
    network.cut();
    let error = before.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(tunnel.local_port(), None);
    let limit = tokio::time::Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        assert!(tokio::time::Instant::now() < limit, "the port stays open");
        sleep(Duration::from_millis(5)).await;
    }
    network.set(Found::Server);
    tunnel.connect().await.unwrap();
    assert_eq!(tunnel.local_port(), Some(port));
    let mut after = socket(&tunnel).await;
    round_trip(&mut after, b"after").await;
    tunnel.disconnect().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    tunnel.connect().await.unwrap();
    assert_eq!(tunnel.local_port(), Some(port));
}

#[tokio::test]
async fn the_port_is_open_as_soon_as_the_tunnel_is_up_again() {
    let network = Network::new();
    let mut config = with_port("echo");
    config.reconnect.retry_delay = Duration::from_millis(1);
    config.reconnect.max_retries = 1000;
    let (tunnel, events) = connected(&network, config).await;
    let port = tunnel.local_port();
    for outages in 1..=10 {
        let mut before = socket(&tunnel).await;
        round_trip(&mut before, b"before").await;
        network.cut();
        until("up again", || events.reconnects() == outages).await;
        assert_eq!(tunnel.local_port(), port);
        let error = before.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    let failed = |event: &TunnelEvent| matches!(event, TunnelEvent::LocalPortFailed(_));
    assert_eq!(events.count(failed), 0);
}

#[tokio::test]
async fn so_many_sockets_wait_and_the_others_are_not_accepted() {
    const MOST: usize = 256;
    let network = Network::new();
    let mut config = with_port("echo");
    config.limits.max_channels = 1;
    config.limits.max_sessions = 1;
    let (tunnel, _) = connected(&network, config).await;
    let mut first = socket(&tunnel).await;
    round_trip(&mut first, b"the only channel").await;
    let mut others = Vec::new();
    for _ in 0..MOST + 20 {
        others.push(socket(&tunnel).await);
    }
    until_stats(&tunnel, |stats| stats.waiting == MOST).await;
    // All that can be accepted by now is.
    for _ in 0..100 {
        round_trip(&mut first, b"meanwhile").await;
        assert_eq!(tunnel.stats().waiting, MOST);
    }
    drop(first);
    let mut last = others.pop().unwrap();
    drop(others);
    round_trip(&mut last, b"its turn").await;
    drop(last);
    until_stats(&tunnel, |stats| stats.open_channels + stats.waiting == 0).await;
}

#[tokio::test]
async fn a_port_that_is_taken_fails_the_connect_and_leaves_nothing() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let network = Network::new();
    let mut config = with_port("echo");
    config.local_port = Some(taken.local_addr().unwrap().port());
    let (tunnel, events) = tunnel(&network, config);
    let failed = tunnel.connect().await.unwrap_err();
    assert_eq!(failed.code, "EADDRINUSE");
    assert!(!tunnel.is_connected() && events.all().is_empty());
    drop(taken);
    tunnel.connect().await.unwrap();
    assert!(tunnel.local_port().is_some());
}

#[tokio::test]
async fn a_port_that_another_has_taken_meanwhile_is_opened_once_it_is_free() {
    let network = Network::new();
    let mut config = with_port("echo");
    config.reconnect.check_interval = Limit::At(Duration::from_millis(20));
    config.reconnect.max_retries = 1000;
    let (tunnel, events) = connected(&network, config).await;
    let port = tunnel.local_port().unwrap();
    network.set(Found::Nothing);
    network.cut();
    until("down", || !tunnel.is_connected()).await;
    let bind = async {
        loop {
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
                return listener;
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    let stranger = timeout(Duration::from_secs(10), bind).await.unwrap();
    network.set(Found::Server);
    let is_told = |event: &TunnelEvent| matches!(event, TunnelEvent::LocalPortFailed(failure) if failure.code == "EADDRINUSE");
    until("told", || events.count(is_told) > 0).await;
    until("up", || tunnel.is_connected()).await;
    assert_eq!(tunnel.local_port(), None);
    open_echo(&tunnel).await.unwrap();
    drop(stranger);
    until("open again", || tunnel.local_port() == Some(port)).await;
}

#[tokio::test]
async fn a_dropped_tunnel_leaves_the_port() {
    let network = Network::new();
    let (tunnel, _) = connected(&network, with_port("echo")).await;
    let port = tunnel.local_port().unwrap();
    let mut open = socket(&tunnel).await;
    round_trip(&mut open, b"open").await;
    drop(tunnel);
    assert!(open.read(&mut [0]).await.is_err());
    let metrics = tokio::runtime::Handle::current().metrics();
    until("no task", || metrics.num_alive_tasks() == 0).await;
    TcpListener::bind(("127.0.0.1", port)).await.unwrap();
}
