//! Tunnels, through a network in memory whose servers can be killed, silenced, changed and counted.

mod connecting;
mod credentials;
mod local_port;
mod reconnecting;
mod sessions;

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::Limit,
    secret::Secret,
    ssh::{Fingerprint, ReconnectPolicy, SessionLimits},
};
use moorline_net::{
    dial::{ByteStream, DialConfig, Shared, Target, Tunnel, TunnelFuture},
    ssh::{
        ChannelTarget, HopConfig, HostKeySource, SecretSource, SshTunnel, TunnelConfig,
        TunnelEvent, TunnelListener, TunnelParts, TunnelStats, TunnelStream,
    },
};
use russh::keys::{PrivateKey, ssh_key::private::Ed25519Keypair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, duplex},
    runtime::Handle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::server::{PASSWORD, Rules, USER, host_key, run_server, server_config, tcp};

/// What is found where the tunnel dials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Found {
    #[default]
    Server,
    /// It has another host key.
    OtherServer,
    /// Nobody listens.
    Nothing,
    /// It accepts and says nothing.
    Silence,
}

#[derive(Default)]
struct Links {
    found: Found,
    dials: usize,
    rules: Rules,
    /// Ends the streams that are open.
    cut: CancellationToken,
    /// Has them carry nothing any more.
    hold: CancellationToken,
    silent: Vec<tokio::io::DuplexStream>,
}

/// The network below a tunnel.
#[derive(Default)]
pub(crate) struct Network(Mutex<Links>);

impl Network {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn set(&self, found: Found) {
        self.0.lock().unwrap().found = found;
    }

    pub(crate) fn set_rules(&self, rules: Rules) {
        self.0.lock().unwrap().rules = rules;
    }

    pub(crate) fn dials(&self) -> usize {
        self.0.lock().unwrap().dials
    }

    /// The streams on which nothing was said.
    pub(crate) fn silent(&self) -> usize {
        self.0.lock().unwrap().silent.len()
    }

    /// Waits until the other ends of the silent streams are closed.
    pub(crate) async fn until_left(&self) {
        let silent = std::mem::take(&mut self.0.lock().unwrap().silent);
        for mut stream in silent {
            let mut said = Vec::new();
            timeout(Duration::from_secs(5), stream.read_to_end(&mut said))
                .await
                .unwrap()
                .unwrap();
        }
    }

    /// Ends all streams, as a server that is killed.
    pub(crate) fn cut(&self) {
        let mut links = self.0.lock().unwrap();
        links.cut.cancel();
        links.cut = CancellationToken::new();
    }

    /// Cancelled, it ends the streams that are open now, and none that is opened later.
    pub(crate) fn cut_later(&self) -> CancellationToken {
        let mut links = self.0.lock().unwrap();
        std::mem::take(&mut links.cut)
    }

    /// Carries nothing more on the streams that are open, and leaves them open.
    pub(crate) fn hold(&self) {
        let mut links = self.0.lock().unwrap();
        links.hold.cancel();
        links.hold = CancellationToken::new();
    }
}

impl Tunnel for Network {
    fn open<'a>(&'a self, target: &'a Target) -> TunnelFuture<'a> {
        let mut links = self.0.lock().unwrap();
        links.dials += 1;
        let (client, mut near) = duplex(64 * 1024);
        let (mut far, server) = duplex(64 * 1024);
        let mut config = server_config();
        match links.found {
            Found::Nothing => {
                let message = format!("could not connect to {}", target.authority());
                let refused = Failure::new(Kind::Connect, message).with_code("ECONNREFUSED");
                return Box::pin(async { Err(refused) });
            }
            Found::Silence => {
                links.silent.push(near);
                return Box::pin(async { Ok(Box::new(client) as Box<dyn ByteStream>) });
            }
            Found::OtherServer => config.keys = vec![other_key()],
            Found::Server => {}
        }
        run_server(server, config, links.rules.clone());
        let (cut, hold) = (links.cut.clone(), links.hold.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => return,
                () = cut.cancelled() => return,
                () = hold.cancelled() => {}
            }
            tokio::select! {
                () = cut.cancelled() => {}
                () = pending() => {}
            }
        });
        Box::pin(async { Ok(Box::new(client) as Box<dyn ByteStream>) })
    }
}

fn other_key() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[8; 32]))
}

/// The events of a tunnel, as words.
#[derive(Default)]
pub(crate) struct Events(Mutex<Vec<TunnelEvent>>);

impl TunnelListener for Events {
    fn on_event(&self, event: TunnelEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl Events {
    pub(crate) fn all(&self) -> Vec<TunnelEvent> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, is_one: impl Fn(&TunnelEvent) -> bool) -> usize {
        self.all().iter().filter(|event| is_one(event)).count()
    }

    pub(crate) fn outages(&self) -> usize {
        self.count(|event| {
            matches!(
                event,
                TunnelEvent::Lost {
                    open_sessions: 0,
                    ..
                }
            )
        })
    }

    pub(crate) fn reconnects(&self) -> usize {
        self.count(|event| matches!(event, TunnelEvent::Reconnected { .. }))
    }
}

pub(crate) fn hop(host: &str) -> HopConfig {
    let fingerprint = Fingerprint::of(&host_key().public_key().to_bytes().unwrap());
    HopConfig {
        host: host.to_owned(),
        port: 22,
        user: USER.to_owned(),
        key: None,
        passphrase: None,
        certificate: None,
        agent: None,
        password: Some(SecretSource::Given(Secret::new(PASSWORD))),
        is_interactive: false,
        host_keys: HostKeySource::Fingerprints(vec![fingerprint]),
    }
}

pub(crate) fn config() -> TunnelConfig {
    TunnelConfig {
        hops: vec![hop("server.test")],
        remote: Some(tcp("echo", 1)),
        local_port: None,
        reconnect: ReconnectPolicy {
            max_retries: 3,
            retry_delay: Duration::from_secs(1),
            check_interval: Limit::At(Duration::from_secs(30)),
        },
        keep_alive_interval: Duration::from_secs(15),
        keep_alive_count: 3,
        connect_timeout: Duration::from_secs(20),
        limits: SessionLimits {
            max_channels: 10,
            max_sessions: 10,
        },
    }
}

pub(crate) fn parts(network: &Arc<Network>) -> TunnelParts {
    let tunnel: Arc<dyn Tunnel> = Arc::<Network>::clone(network);
    TunnelParts {
        dial: DialConfig {
            tunnel: Some(Shared(tunnel)),
            ..DialConfig::default()
        },
        ..TunnelParts::default()
    }
}

/// A tunnel that is not connected, and its events.
pub(crate) fn tunnel(network: &Arc<Network>, config: TunnelConfig) -> (SshTunnel, Arc<Events>) {
    let events = Arc::new(Events::default());
    let listener: Arc<dyn TunnelListener> = Arc::<Events>::clone(&events);
    let parts = TunnelParts {
        listener: Some(listener),
        ..parts(network)
    };
    (SshTunnel::new(config, parts, Handle::current()), events)
}

pub(crate) async fn connected(
    network: &Arc<Network>,
    config: TunnelConfig,
) -> (SshTunnel, Arc<Events>) {
    let (tunnel, events) = tunnel(network, config);
    tunnel.connect().await.unwrap();
    (tunnel, events)
}

pub(crate) fn echo() -> ChannelTarget {
    tcp("echo", 1)
}

/// Opens a stream and sends something through it.
pub(crate) async fn open_echo(tunnel: &SshTunnel) -> Outcome<TunnelStream> {
    let mut stream = tunnel.open(&echo()).await?;
    exchange(&mut stream).await;
    Ok(stream)
}

pub(crate) async fn exchange(stream: &mut TunnelStream) {
    stream.write_all(b"to and fro").await.unwrap();
    let mut got = [0; 10];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"to and fro");
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_mins(2);
    while !is_so() {
        assert!(Instant::now() < limit, "never: {what}");
        sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) async fn until_stats(tunnel: &SshTunnel, is_so: impl Fn(&TunnelStats) -> bool) {
    until("the stats", || is_so(&tunnel.stats())).await;
}
