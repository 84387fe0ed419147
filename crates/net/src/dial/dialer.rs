//! The dialer: from a target to an open connection.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use moorline_core::{
    error::{Kind, Outcome},
    resolve::{Endpoint, Resolve},
};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::{net::TcpStream, time::timeout};

use super::{
    config::{DialConfig, KeepAlive},
    error::{FailureClass, Phase, failure, phase_failure, timeout_failure, tunnel_failure},
    happy_eyeballs::{no_address, race},
    proxy::{ProxyProtocol, ProxyRoute, ProxyRoutes},
    proxy_handshake,
    resolve::SystemNames,
    shared::Shared,
    stream::Stream,
    target::Target,
    tls::TlsConfig,
    tls_cache::{Alpn, Secure},
};

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

    fn tls(&self) -> &Secure {
        let make = || Box::new(Secure::new(self.config.tls.clone()));
        self.secure.get_or_init(make)
    }

    fn proxy_tls(&self) -> &Secure {
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

    /// Whether there is a tunnel without room for all who wait for a stream.
    pub fn is_crowded(&self) -> bool {
        let tunnel = self.config.tunnel.as_ref();
        tunnel.is_some_and(|Shared(tunnel)| tunnel.is_crowded())
    }

    /// An open connection, within the connect timeout. Dropping the future leaves nothing open.
    pub async fn dial(&self, target: &Target, alpn: Alpn) -> Outcome<Stream> {
        let progress = Progress::default();
        let dialling = self.dial_stream(target, alpn, &progress);
        self.within_limit(target, &progress, dialling).await
    }

    /// An open connection to the Unix socket at `path`, of this machine or of the tunnel's far end, within the connect timeout.
    pub async fn dial_path(&self, path: &Path) -> Outcome<Stream> {
        let target = Target::new(path.to_string_lossy(), 0, false);
        let progress = Progress::at(Phase::Connect);
        let dialling = async {
            let Some(Shared(tunnel)) = &self.config.tunnel else {
                return open_path(path, &target).await;
            };
            progress.set(Phase::Tunnel);
            let channel = tunnel.open_path(&target.host).await;
            let channel = channel.map_err(|failure| tunnel_failure(failure, &target))?;
            Ok(Stream::tunnelled(channel, target.host.clone()))
        };
        self.within_limit(&target, &progress, dialling).await
    }

    /// Speaks TLS on an open connection to `target`, for protocols that ask before they do, within the connect timeout.
    pub async fn secure(&self, stream: Stream, target: &Target, alpn: Alpn) -> Outcome<Stream> {
        let progress = Progress::at(Phase::Tls);
        let name = self.config.tls.server_name.clone();
        let handshake = handshake_tls(stream, self.tls(), target, name, alpn);
        self.within_limit(target, &progress, handshake).await
    }

    async fn within_limit(
        &self,
        target: &Target,
        progress: &Progress,
        dialling: impl Future<Output = Outcome<Stream>>,
    ) -> Outcome<Stream> {
        let limit = self.config.connect_timeout;
        timeout(limit, dialling).await.unwrap_or_else(|_| {
            let option = self.config.connect_option;
            Err(timeout_failure(progress.get(), target, limit, option))
        })
    }

    async fn dial_stream(
        &self,
        target: &Target,
        alpn: Alpn,
        progress: &Progress,
    ) -> Outcome<Stream> {
        let stream = self.open_stream(target, progress).await?;
        if !target.secure {
            return Ok(stream);
        }
        progress.set(Phase::Tls);
        let name = self.config.tls.server_name.clone();
        handshake_tls(stream, self.tls(), target, name, alpn).await
    }

    /// A byte stream to the target, before any TLS with it.
    async fn open_stream(&self, target: &Target, progress: &Progress) -> Outcome<Stream> {
        if let Some(Shared(tunnel)) = &self.config.tunnel {
            progress.set(Phase::Tunnel);
            // The name is the far end's, and the address policy is about this machine's network.
            let channel = tunnel.open(target).await;
            let channel = channel.map_err(|failure| tunnel_failure(failure, target))?;
            return Ok(Stream::tunnelled(channel, target.authority()));
        }
        self.config.address_policy.check(target)?;
        // What must not leave this machine in plain text does not go to a proxy either.
        let route = self.routes.for_target(target);
        let route = route.filter(|_| !self.config.address_policy.is_local(target));
        if let Some(route) = route {
            return self.dial_proxy(&route, target, progress).await;
        }
        let endpoints = self.endpoints(target).await?;
        progress.set(Phase::Connect);
        open(target, endpoints, self.config.keep_alive).await
    }

    async fn endpoints(&self, target: &Target) -> Outcome<Vec<Endpoint>> {
        let Shared(resolver) = &self.config.resolver;
        let endpoints = resolver.resolve(&target.host, target.port).await?;
        self.config.address_policy.admit(target, endpoints)
    }

    async fn dial_proxy(
        &self,
        route: &ProxyRoute,
        target: &Target,
        progress: &Progress,
    ) -> Outcome<Stream> {
        let destination = self.destination(route, target).await?;
        // The proxy is the operator's choice: the guard is about targets.
        let proxy = &route.target;
        let endpoints = SystemNames.resolve(&proxy.host, proxy.port).await?;
        progress.set(Phase::Connect);
        let mut stream = open(proxy, endpoints, self.config.keep_alive).await?;
        progress.set(Phase::Proxy);
        if proxy.secure {
            stream = handshake_tls(stream, self.proxy_tls(), proxy, None, Alpn::HTTP1).await?;
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
        let endpoints = self.endpoints(target).await?;
        let none = || {
            failure(
                FailureClass::new(Kind::Connect, "ENOTFOUND"),
                Phase::Dns,
                target,
            )
        };
        let endpoint = endpoints.first().ok_or_else(none)?;
        Ok(Target {
            host: endpoint.address.ip().to_string(),
            ..target.clone()
        })
    }
}

/// The phase that a dial has reached, for the failure of its timeout.
#[derive(Default)]
struct Progress(AtomicU8);

impl Progress {
    const PHASES: [Phase; 5] = [
        Phase::Dns,
        Phase::Connect,
        Phase::Proxy,
        Phase::Tunnel,
        Phase::Tls,
    ];

    const fn at(phase: Phase) -> Self {
        Self(AtomicU8::new(phase as u8))
    }

    fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    fn get(&self) -> Phase {
        Self::PHASES[usize::from(self.0.load(Ordering::Relaxed))]
    }
}

/// A connection to one of the endpoints: those of the first priority race, then those of the next.
async fn open(
    target: &Target,
    mut endpoints: Vec<Endpoint>,
    keep_alive: KeepAlive,
) -> Outcome<Stream> {
    endpoints.sort_by_key(|endpoint| endpoint.priority);
    let mut first_error = None;
    for group in endpoints.chunk_by(|one, next| one.priority == next.priority) {
        let addresses = group.iter().map(|endpoint| endpoint.address).collect();
        match race(addresses, |address| connect(address, keep_alive)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => _ = first_error.get_or_insert(error),
        }
    }
    let error = first_error.unwrap_or_else(no_address);
    Err(phase_failure(Phase::Connect, target, &error))
}

#[cfg(unix)]
async fn open_path(path: &Path, target: &Target) -> Outcome<Stream> {
    let socket = UnixStream::connect(path).await;
    let socket = socket.map_err(|error| phase_failure(Phase::Connect, target, &error))?;
    Ok(Stream::unix(socket, path.to_owned()))
}

#[cfg(not(unix))]
async fn open_path(_: &Path, target: &Target) -> Outcome<Stream> {
    let error = io::Error::from(io::ErrorKind::Unsupported);
    Err(phase_failure(Phase::Connect, target, &error))
}

async fn connect(address: SocketAddr, keep_alive: KeepAlive) -> io::Result<Stream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    set_keep_alive(&stream, keep_alive)?;
    Ok(Stream::tcp(stream, address))
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
    let address = stream.peer().to_string();
    stream
        .handshake_tls(config, name)
        .await
        .map_err(|error| phase_failure(Phase::Tls, target, &error).with_detail("address", address))
}

/// Has the system find out that the peer has gone without a word.
fn set_keep_alive(stream: &TcpStream, given: KeepAlive) -> io::Result<()> {
    let socket = SockRef::from(stream);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(given.user_timeout)?;
    if !given.is_on {
        return Ok(());
    }
    let mut keep_alive = TcpKeepalive::new();
    if let Some(idle) = given.idle {
        keep_alive = keep_alive.with_time(idle);
    }
    if let Some(interval) = given.interval {
        keep_alive = keep_alive.with_interval(interval);
    }
    if let Some(count) = given.count {
        keep_alive = keep_alive.with_retries(count);
    }
    socket.set_tcp_keepalive(&keep_alive)
}
