//! A tunnel: sessions that come back when they are lost, and channels through them for whoever dials.
//!
//! [`moorline_core::ssh::Reconnection`] and [`moorline_core::ssh::SessionLedger`] decide; this module opens sessions, hands out
//! channels and sleeps as they say. All changes of the state go through one function, which takes what follows from a change
//! and does it once the lock is released: so a listener may call the tunnel, and nothing is begun twice.

mod config;
mod connector;
mod credentials;
mod events;
mod file;
mod host_keys;
mod inner;
mod local_forward;
mod metrics;
mod requests;
mod state;
mod stream;

use std::{fmt, sync::Arc, time::Duration};

use moorline_core::error::{Failure, Kind, Outcome};
use tokio::runtime::Handle;

pub use self::{
    config::{CertificateSource, HopConfig, HostKeySource, KeySource, SecretSource, TunnelConfig},
    credentials::{CredentialRequest, CredentialSource, SecretFuture, SecretKind},
    events::{TunnelEvent, TunnelListener, TunnelWarning},
    metrics::TunnelStats,
    requests::{AskCredential, CredentialQuestion, CredentialRequests},
    stream::TunnelStream,
};
use self::{connector::SessionConnector, inner::TunnelInner};
use super::{ChannelTarget, Session};
use crate::dial::{
    ByteStream, CrowdedFuture, DialConfig, Dialer, Target, Tunnel, TunnelAddress, TunnelEnd,
    TunnelFuture,
};

/// What a tunnel is given at construction.
#[derive(Default)]
pub struct TunnelParts {
    /// The user's functions that give credentials.
    pub credentials: Option<Arc<dyn CredentialSource>>,
    /// The listener for its events.
    pub listener: Option<Arc<dyn TunnelListener>>,
    /// How the first hop is reached (default: directly, by the system's resolver).
    pub dial: DialConfig,
}

/// A tunnel through SSH servers. Dropping it ends its sessions, its local port and its tasks, and resets its streams.
pub struct SshTunnel {
    inner: Arc<TunnelInner>,
}

impl SshTunnel {
    /// A tunnel that is not connected; its tasks run on `runtime`. Nothing is read or opened before it is needed.
    pub fn new(config: TunnelConfig, parts: TunnelParts, runtime: Handle) -> Self {
        let config = Arc::new(config);
        let dialer = Dialer::new(DialConfig {
            connect_timeout: config.connect_timeout,
            ..parts.dial
        });
        let source = parts.credentials.as_ref();
        let connector = SessionConnector::new(Arc::clone(&config), dialer, source);
        let inner = TunnelInner::new(config, connector, parts.listener, runtime);
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Counts the tunnel in the metrics of the process, by its server.
    pub fn register_metrics(&self) {
        self.inner.metrics.register(&self.inner);
    }

    /// Its configuration.
    pub fn config(&self) -> &TunnelConfig {
        &self.inner.config
    }

    /// Connects, or waits for the attempt that is under way or due; ready at once when a session is open. What is begun is
    /// begun by the call, and goes on when the future is dropped.
    pub fn connect(&self) -> impl Future<Output = Outcome<()>> + Send + use<> {
        let waiting = self
            .inner
            .update(|state, effects, _| state.connect(effects));
        async move {
            match waiting? {
                Some(outcome) => outcome.await.unwrap_or_else(|_| Err(Failure::defect())),
                None => Ok(()),
            }
        }
    }

    /// Ends all that is open or under way, by the call; the future waits until it is closed. The tunnel stays disconnected
    /// until [`SshTunnel::connect`] is called.
    pub fn disconnect(&self) -> impl Future<Output = ()> + Send + use<> {
        let ending = self.inner.disconnect();
        async move {
            let _ = ending.await;
        }
    }

    /// Whether a session is open: the sessions are asked.
    pub fn is_connected(&self) -> bool {
        self.inner
            .read(|state| state.sessions.values().any(|session| session.is_open()))
    }

    /// Measures a round trip to the server, of a session that is open.
    pub async fn ping(&self) -> Outcome<Duration> {
        let open = |session: &&Arc<Session>| session.is_open();
        let session = self
            .inner
            .read(|state| state.sessions.values().find(open).cloned());
        match session {
            Some(session) => session.ping().await,
            None => Err(Failure::new(
                Kind::Closed,
                "the SSH tunnel is not connected",
            )),
        }
    }

    /// What it has and has done.
    pub fn stats(&self) -> TunnelStats {
        self.inner.read(TunnelStats::of)
    }

    /// The local port, while it is open.
    pub fn local_port(&self) -> Option<u16> {
        self.inner.read(|state| {
            state
                .local
                .forward
                .as_ref()
                .map(local_forward::LocalForward::port)
        })
    }

    /// Opens a stream to a target as the server sees it, after connecting where that is needed, and after waiting for room. The
    /// caller sets the time limit; dropping the future leaves nothing open.
    pub async fn open(&self, target: &ChannelTarget) -> Outcome<TunnelStream> {
        let opened = self.inner.open(target).await;
        opened.map_err(|failure| failure.during("ssh", "open"))
    }
}

impl Tunnel for SshTunnel {
    fn open<'a>(&'a self, target: &'a Target) -> TunnelFuture<'a> {
        Box::pin(async move {
            let stream = Self::open(self, &ChannelTarget::from(target)).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }

    fn open_path<'a>(&'a self, path: &'a str) -> TunnelFuture<'a> {
        Box::pin(async move {
            let target = ChannelTarget::UnixSocket(path.to_owned());
            let stream = Self::open(self, &target).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }

    fn end(&self) -> Option<TunnelEnd> {
        let address = match self.config().remote.clone()? {
            ChannelTarget::Tcp { host, port } => TunnelAddress::Host(host, port),
            ChannelTarget::UnixSocket(path) => TunnelAddress::Socket(path.into()),
        };
        // One that the system picks is known while it is open.
        let configured = self.config().local_port.filter(|port| *port > 0);
        Some(TunnelEnd {
            address,
            local_port: self.local_port().or(configured),
        })
    }

    fn is_crowded(&self) -> bool {
        self.inner.read(|state| state.ledger.is_crowded())
    }

    fn crowded(&self) -> CrowdedFuture<'_> {
        Box::pin(self.inner.queued.notified())
    }
}

impl Drop for SshTunnel {
    fn drop(&mut self) {
        self.inner.end();
    }
}

impl fmt::Debug for SshTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshTunnel")
            .field("server", &self.inner.config.server())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
