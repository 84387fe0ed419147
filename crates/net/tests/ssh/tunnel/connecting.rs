//! Connecting and disconnecting: once for all who ask, forgotten when it failed, and what is left afterwards.

use std::{
    sync::{Arc, Mutex, OnceLock, Weak},
    time::Duration,
};

use futures_util::future::join_all;
use moorline_core::error::Kind;
use moorline_net::{
    dial::{Alpn, DialConfig, Dialer, Shared, Target, Tunnel},
    ssh::{
        HostKeySource, SshTunnel, TunnelConfig, TunnelEvent, TunnelListener, TunnelParts,
        TunnelWarning,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, duplex},
    net::TcpListener,
    runtime::Handle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Found, Network, config, connected, exchange, hop, open_echo, parts, tunnel, until, until_stats,
};
use crate::server::{Rules, failure, run_server, server_config, tcp};

#[tokio::test(start_paused = true)]
async fn calls_at_once_connect_once_and_a_connected_tunnel_stays_so() {
    let network = Network::new();
    let (tunnel, events) = tunnel(&network, config());
    assert!(!tunnel.is_connected());
    for outcome in join_all((0..20).map(|_| tunnel.connect())).await {
        outcome.unwrap();
    }
    tunnel.connect().await.unwrap();
    assert!(tunnel.is_connected());
    assert_eq!(network.dials(), 1);
    assert_eq!(events.all(), [TunnelEvent::Open]);
    let stats = tunnel.stats();
    assert_eq!((stats.sessions, stats.open_channels), (1, 0));
    assert!(stats.received_bytes > 0 && stats.sent_bytes > 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_to_connect_is_for_all_who_wait_and_then_forgotten() {
    let network = Network::new();
    network.set(Found::Nothing);
    let (tunnel, events) = tunnel(&network, config());
    let target = tcp("echo", 1);
    let both = async { tokio::join!(tunnel.connect(), tunnel.open(&target)) };
    let (connecting, opening) = timeout(Duration::from_mins(1), both).await.unwrap();
    let failed = connecting.unwrap_err();
    assert_eq!(
        (failed.kind, failed.code.as_ref(), failed.operation.as_ref()),
        (Kind::Connect, "ECONNREFUSED", "connect")
    );
    assert_eq!(failure(opening).code, "ECONNREFUSED");
    assert_eq!(network.dials(), 1);
    network.set(Found::Server);
    tunnel.connect().await.unwrap();
    assert_eq!(events.all(), [TunnelEvent::Open]);
}

#[tokio::test(start_paused = true)]
async fn an_open_connects_where_nobody_has() {
    let network = Network::new();
    let (tunnel, _) = tunnel(&network, config());
    let mut streams = join_all((0..5).map(|_| open_echo(&tunnel))).await;
    for stream in &mut streams {
        exchange(stream.as_mut().unwrap()).await;
    }
    assert_eq!(network.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_within_the_time_limit() {
    let network = Network::new();
    network.set(Found::Silence);
    let (tunnel, _) = tunnel(&network, config());
    let started = Instant::now();
    let failed = tunnel.connect().await.unwrap_err();
    assert_eq!(
        (failed.kind, failed.code.as_ref()),
        (Kind::Connect, "ETIMEDOUT")
    );
    assert!(failed.message.contains("connectTimeoutMs"), "{failed}");
    assert_eq!(started.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_disconnected_tunnel_refuses_until_it_is_connected_again() {
    let network = Network::new();
    let (tunnel, events) = connected(&network, config()).await;
    let mut stream = open_echo(&tunnel).await.unwrap();
    tunnel.disconnect().await;
    tunnel.disconnect().await;
    assert!(!tunnel.is_connected());
    assert!(stream.read(&mut [0]).await.is_err());
    assert_eq!(failure(open_echo(&tunnel).await).kind, Kind::Closed);
    let stats = tunnel.stats();
    assert_eq!(stats.sessions, 0);
    assert!(stats.received_bytes > 0, "what was carried stays counted");
    assert_eq!(events.all(), [TunnelEvent::Open, TunnelEvent::Close]);
    drop(stream);
    // Nothing comes back by itself.
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(network.dials(), 1);
    tunnel.connect().await.unwrap();
    open_echo(&tunnel).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn disconnecting_ends_an_attempt_that_is_under_way() {
    let network = Network::new();
    network.set(Found::Silence);
    let (tunnel, _) = tunnel(&network, config());
    let connecting = tunnel.connect();
    let disconnecting = tunnel.disconnect();
    assert_eq!(connecting.await.unwrap_err().kind, Kind::Closed);
    disconnecting.await;
    network.set(Found::Server);
    let again = tunnel.connect();
    let started = Instant::now();
    again.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_tunnel_leaves_no_session_and_no_task() {
    let network = Network::new();
    let (tunnel, _) = connected(&network, config()).await;
    let mut stream = open_echo(&tunnel).await.unwrap();
    drop(tunnel);
    assert!(stream.read(&mut [0]).await.is_err());
    drop(stream);
    let metrics = Handle::current().metrics();
    until("no task", || metrics.num_alive_tasks() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_dropped_in_mid_attempt_leaves_no_stream_and_no_task() {
    for is_outage in [false, true] {
        let network = Network::new();
        let (tunnel, events) = tunnel(&network, config());
        if is_outage {
            tunnel.connect().await.unwrap();
        }
        network.set(Found::Silence);
        network.cut();
        let first = (!is_outage).then(|| tunnel.connect());
        until("dialled", || network.silent() == 1).await;
        let connecting = first.unwrap_or_else(|| tunnel.connect());
        drop(tunnel);
        assert_eq!(connecting.await.unwrap_err().kind, Kind::Closed);
        network.until_left().await;
        let metrics = Handle::current().metrics();
        until("no task", || metrics.num_alive_tasks() == 0).await;
        let dials = network.dials();
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(network.dials(), dials);
        assert_eq!(events.outages(), usize::from(is_outage));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_dropped_between_two_attempts_makes_none() {
    let network = Network::new();
    let (tunnel, events) = connected(&network, config()).await;
    network.set(Found::Nothing);
    network.cut();
    until("a failed attempt", || network.dials() > 1).await;
    let connecting = tunnel.connect();
    drop(tunnel);
    assert_eq!(connecting.await.unwrap_err().kind, Kind::Closed);
    let metrics = Handle::current().metrics();
    until("no task", || metrics.num_alive_tasks() == 0).await;
    assert_eq!((events.outages(), events.reconnects()), (1, 0));
}

/// A server on a port, until the token is cancelled.
async fn serve(listener: TcpListener, killed: CancellationToken) {
    let accept = async {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let killed = killed.clone();
            let (mut near, far) = duplex(64 * 1024);
            run_server(far, server_config(), Rules::default());
            tokio::spawn(async move {
                let mut socket = socket;
                tokio::select! {
                    _ = copy_bidirectional(&mut socket, &mut near) => {}
                    () = killed.cancelled() => {}
                }
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = killed.cancelled() => {}
    }
}

#[tokio::test]
async fn a_dialler_goes_through_a_server_on_the_network_that_is_killed_and_restarted() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let killed = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, killed.clone()));
    let mut config = config();
    config.hops[0].host = "127.0.0.1".to_owned();
    config.hops[0].port = address.port();
    config.reconnect.retry_delay = Duration::from_millis(50);
    config.reconnect.max_retries = 1000;
    let tunnel = Arc::new(SshTunnel::new(
        config,
        TunnelParts::default(),
        Handle::current(),
    ));
    let dialler = Dialer::new(DialConfig {
        tunnel: Some(Shared(Arc::<SshTunnel>::clone(&tunnel) as Arc<dyn Tunnel>)),
        ..DialConfig::default()
    });
    let target = Target::new("echo", 1, false);
    let mut before = dialler.dial(&target, Alpn::NONE).await.unwrap();
    before.write_all(b"before").await.unwrap();
    before.read_exact(&mut [0; 6]).await.unwrap();
    killed.cancel();
    serving.await.unwrap();
    assert!(before.read(&mut [0]).await.is_err());
    let restart = async {
        until("down", || !tunnel.is_connected()).await;
        let listener = TcpListener::bind(address).await.unwrap();
        tokio::spawn(serve(listener, CancellationToken::new()));
    };
    let (after, ()) = tokio::join!(dialler.dial(&target, Alpn::NONE), restart);
    let mut after = after.unwrap();
    after.write_all(b"after").await.unwrap();
    after.read_exact(&mut [0; 5]).await.unwrap();
    assert_eq!(tunnel.stats().reconnects, 1);
}

/// Connects from within each event.
#[derive(Default)]
struct Reconnector {
    tunnel: OnceLock<Weak<SshTunnel>>,
    seen: Mutex<Vec<TunnelEvent>>,
}

impl TunnelListener for Reconnector {
    fn on_event(&self, event: TunnelEvent) {
        self.seen.lock().unwrap().push(event);
        if let Some(tunnel) = self.tunnel.get().and_then(Weak::upgrade) {
            tokio::spawn(tunnel.connect());
            tokio::spawn(tunnel.connect());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn connecting_from_a_listener_begins_nothing_twice() {
    let network = Network::new();
    let listener = Arc::new(Reconnector::default());
    let parts = TunnelParts {
        listener: Some(Arc::<Reconnector>::clone(&listener) as Arc<dyn TunnelListener>),
        ..parts(&network)
    };
    let tunnel = Arc::new(SshTunnel::new(config(), parts, Handle::current()));
    listener.tunnel.set(Arc::downgrade(&tunnel)).unwrap();
    tunnel.connect().await.unwrap();
    for outages in 1..=3 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        network.cut();
        until("connected again", || tunnel.stats().reconnects == outages).await;
        assert_eq!(network.dials() as u64, 1 + outages);
    }
    let seen = listener.seen.lock().unwrap();
    let lost = seen
        .iter()
        .filter(|event| matches!(event, TunnelEvent::Lost { .. }));
    assert_eq!(lost.count(), 3);
}

/// The target `ssh` of the test server is the test server.
#[tokio::test(start_paused = true)]
async fn each_jump_host_is_a_session_of_its_own_and_named_when_it_fails() {
    let network = Network::new();
    let chain = || TunnelConfig {
        hops: vec![hop("jump.test"), hop("ssh"), hop("ssh")],
        ..config()
    };
    let (jumped, events) = connected(&network, chain()).await;
    open_echo(&jumped).await.unwrap();
    assert_eq!(network.dials(), 1);
    network.cut();
    until("connected again", || events.reconnects() == 1).await;
    open_echo(&jumped).await.unwrap();

    let mut wrong = chain();
    wrong.hops[1].host_keys =
        HostKeySource::Fingerprints(vec![moorline_core::ssh::Fingerprint::of(b"x")]);
    let failed = tunnel(&network, wrong).0.connect().await.unwrap_err();
    assert_eq!(failed.code, "ERR_SSH_HOST_KEY_MISMATCH");
    assert_eq!(failed.detail["hop"], 1);
    let mut refused = chain();
    refused.hops[1].host = "refused".to_owned();
    let failed = tunnel(&network, refused).0.connect().await.unwrap_err();
    assert_eq!(
        (failed.code.as_ref(), &failed.detail["hop"]),
        ("ECONNREFUSED", &0.into())
    );
    let mut silent = chain();
    silent.hops[1].host = "never".to_owned();
    let failed = tunnel(&network, silent).0.connect().await.unwrap_err();
    assert_eq!(failed.code, "ETIMEDOUT");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_verified_and_a_banner_are_told_of_once() {
    let network = Network::new();
    network.set_rules(Rules {
        banner: Some("for members".to_owned()),
        ..Rules::default()
    });
    let mut config = config();
    config.hops[0].host_keys = HostKeySource::Insecure;
    let (tunnel, events) = connected(&network, config).await;
    network.cut();
    until("connected again", || events.reconnects() == 1).await;
    let is_warning = |event: &TunnelEvent| matches!(event, TunnelEvent::Warning(TunnelWarning::InsecureHostKey { host }) if host == "server.test:22");
    assert_eq!(events.count(is_warning), 1);
    let is_banner = |event: &TunnelEvent| matches!(event, TunnelEvent::Banner { text, .. } if text == "for members");
    assert_eq!(events.count(is_banner), 1);
    until_stats(&tunnel, |stats| stats.sessions == 1).await;
}
