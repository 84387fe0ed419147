//! The dialer: from a target to an open connection.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use moorline_core::error::{Kind, Outcome};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time::timeout};

use super::{
    config::DialConfig,
    error::{FailureClass, Phase, failure, phase_failure, timeout_failure},
    happy_eyeballs::race,
    proxy::{ProxyProtocol, ProxyRoute, ProxyRoutes},
    proxy_handshake,
    resolve::resolve,
    stream::Stream,
    target::Target,
    tls::TlsConfig,
    tls_cache::{Alpn, Secure},
};

/// The system asks a silent peer whether it is still there after this time, so that a firewall does not forget
/// the connection and a dead peer is noticed.
const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Opens connections as its options say.
pub struct Dialer {
    config: DialConfig,
    routes: ProxyRoutes,
    /// Made at the first use, as the next one: most dialers need neither.
    secure: OnceLock<Box<Secure>>,
    /// TLS with the proxy itself: trusted as the target is, but our certificate is not for it.
    proxy_secure: OnceLock<Box<Secure>>,
}

impl Dialer {
    /// A dialer. Nothing is read or resolved before the first connection, except the environment's proxies.
    pub fn new(config: DialConfig) -> Arc<Self> {
        Arc::new(Self {
            routes: ProxyRoutes::new(&config.proxy),
            secure: OnceLock::new(),
            proxy_secure: OnceLock::new(),
            config,
        })
    }

    fn secure(&self) -> &Secure {
        let make = || Box::new(Secure::new(self.config.tls.clone()));
        self.secure.get_or_init(make)
    }

    fn proxy_secure(&self) -> &Secure {
        self.proxy_secure.get_or_init(|| {
            let tls = TlsConfig {
                ca: self.config.tls.ca.clone(),
                ..TlsConfig::default()
            };
            Box::new(Secure::new(tls))
        })
    }

    /// Its options.
    pub fn config(&self) -> &DialConfig {
        &self.config
    }

    /// An open connection, within the connect timeout. Dropping the future leaves nothing open.
    pub async fn dial(&self, target: &Target, alpn: Alpn) -> Outcome<Stream> {
        let limit = self.config.connect_timeout;
        let phase = Progress::default();
        timeout(limit, self.dial_stream(target, alpn, &phase))
            .await
            .unwrap_or_else(|_| {
                let option = self.config.connect_option;
                Err(timeout_failure(phase.get(), target, limit, option))
            })
    }

    async fn dial_stream(&self, target: &Target, alpn: Alpn, phase: &Progress) -> Outcome<Stream> {
        self.config.address_policy.check(target)?;
        // What must not leave this machine in plain text does not go to a proxy either.
        let route = self.routes.for_target(target);
        let route = route.filter(|_| !self.config.address_policy.is_local(target));
        let stream = if let Some(route) = route {
            self.dial_proxy(&route, target, phase).await?
        } else {
            let addresses = self.addresses(target).await?;
            phase.set(Phase::Connect);
            open(target, addresses).await?
        };
        if !target.secure {
            return Ok(stream);
        }
        phase.set(Phase::Tls);
        let name = self.config.tls.server_name.clone();
        handshake_tls(stream, self.secure(), target, name, alpn).await
    }

    async fn addresses(&self, target: &Target) -> Outcome<Vec<SocketAddr>> {
        let addresses = resolve(&target.host, target.port)
            .await
            .map_err(|error| phase_failure(Phase::Dns, target, &error))?;
        self.config.address_policy.admit(target, addresses)
    }

    async fn dial_proxy(
        &self,
        route: &ProxyRoute,
        target: &Target,
        phase: &Progress,
    ) -> Outcome<Stream> {
        let destination = self.destination(route, target).await?;
        // The proxy is the operator's choice: the guard is about targets.
        let addresses = resolve(&route.target.host, route.target.port)
            .await
            .map_err(|error| phase_failure(Phase::Dns, &route.target, &error))?;
        phase.set(Phase::Connect);
        let mut stream = open(&route.target, addresses).await?;
        phase.set(Phase::Proxy);
        if route.target.secure {
            stream = handshake_tls(
                stream,
                self.proxy_secure(),
                &route.target,
                None,
                Alpn::Http1,
            )
            .await?;
        }
        proxy_handshake::open(&mut stream, route, &destination, target).await?;
        Ok(stream)
    }

    /// The destination that the proxy is asked for: the name, or an address that was resolved and checked here.
    async fn destination(&self, route: &ProxyRoute, target: &Target) -> Outcome<Target> {
        let resolves = route.protocol
            != ProxyProtocol::Socks {
                remote_names: false,
            };
        if resolves && !self.config.address_policy.concerns(target) {
            return Ok(target.clone());
        }
        let addresses = self.addresses(target).await?;
        let none = || {
            failure(
                FailureClass::new(Kind::Connect, "ENOTFOUND"),
                Phase::Dns,
                target,
            )
        };
        let address = addresses.first().ok_or_else(none)?;
        Ok(Target {
            host: address.ip().to_string(),
            ..target.clone()
        })
    }
}

/// The phase that a dial has reached, for the failure of its timeout.
#[derive(Default)]
struct Progress(AtomicU8);

impl Progress {
    const PHASES: [Phase; 4] = [Phase::Dns, Phase::Connect, Phase::Proxy, Phase::Tls];

    fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    fn get(&self) -> Phase {
        Self::PHASES[usize::from(self.0.load(Ordering::Relaxed))]
    }
}

async fn open(target: &Target, addresses: Vec<SocketAddr>) -> Outcome<Stream> {
    race(addresses, connect)
        .await
        .map_err(|error| phase_failure(Phase::Connect, target, &error))
}

async fn connect(address: SocketAddr) -> io::Result<Stream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(Stream::plain(stream, address))
}

/// TLS with the target by its own name, or by the one the caller wants to be shown.
async fn handshake_tls(
    stream: Stream,
    secure: &Secure,
    target: &Target,
    name: Option<ServerName<'static>>,
    alpn: Alpn,
) -> Outcome<Stream> {
    let name = match name {
        Some(name) => name,
        None => ServerName::try_from(target.host.clone()).map_err(|error| {
            failure(FailureClass::of(Kind::Tls), Phase::Tls, target)
                .with_cause(error.to_string(), None)
        })?,
    };
    let config = secure.config(alpn).await?;
    let address = stream.peer();
    stream.handshake_tls(config, name).await.map_err(|error| {
        phase_failure(Phase::Tls, target, &error).with_detail("address", address.to_string())
    })
}
