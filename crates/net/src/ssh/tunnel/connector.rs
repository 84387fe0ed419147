//! Opening a session: through each jump host in turn, all within one deadline.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    sync::lock,
};
use tokio::time::{Instant, timeout_at};

use super::{
    config::{HopConfig, HostKeySource, TunnelConfig},
    credentials::{CredentialSource, Credentials},
    events::{TunnelEvent, TunnelWarning},
    host_keys::{CurrentPolicy, HostKeys},
};
use crate::{
    dial::{Alpn, ByteStream, Dialer},
    ssh::{ChannelTarget, Credential, Session, SessionConfig},
};

/// A hop, and what is kept for it between attempts.
struct Hop {
    config: HopConfig,
    host_keys: HostKeys,
    credentials: Credentials,
    has_warned: AtomicBool,
    banner: Mutex<String>,
}

/// What a hop is connected with in one attempt.
struct Admission {
    credentials: Vec<Credential>,
    policy: CurrentPolicy,
}

/// What is told on the way to a session.
pub(super) type Emit<'e> = &'e (dyn Fn(TunnelEvent) + Send + Sync);

/// Opens the sessions of a tunnel.
pub(super) struct SessionConnector {
    config: Arc<TunnelConfig>,
    dialer: Arc<Dialer>,
    hops: Vec<Hop>,
}

impl SessionConnector {
    pub(super) fn new(
        config: Arc<TunnelConfig>,
        dialer: Arc<Dialer>,
        source: Option<&Arc<dyn CredentialSource>>,
    ) -> Self {
        let hops = config.hops.iter().enumerate();
        let hops = hops.map(|(index, hop)| Hop {
            host_keys: HostKeys::new(hop.host_keys.clone()),
            credentials: Credentials::new(index, hop, source.cloned()),
            has_warned: AtomicBool::new(false),
            banner: Mutex::default(),
            config: hop.clone(),
        });
        Self {
            hops: hops.collect(),
            dialer,
            config,
        }
    }

    /// Opens a session. Dropping the future leaves nothing open.
    pub(super) async fn open(&self, emit: Emit<'_>) -> Outcome<Session> {
        let deadline = Instant::now() + self.config.connect_timeout;
        // Before anything is dialled: a server does not wait for long for somebody who looks up a password.
        let mut admissions = Vec::new();
        for hop in &self.hops {
            let admission = hop.admission(emit);
            let what = format!(
                "the credentials for {} were not given",
                hop.config.authority()
            );
            admissions.push(self.within(deadline, &what, admission).await?);
        }
        let first = self.hops.first().ok_or_else(Failure::defect)?;
        let target = first.config.target();
        let what = format!("{} was not reached", target.authority());
        let dialling = self.dialer.dial(&target, Alpn::NONE);
        let dialled = self.within(deadline, &what, dialling).await?;
        // OpenSSH's server uses Nagle's algorithm on a session without a terminal.
        let mut stream: Box<dyn ByteStream> = Box::new(dialled.acknowledging_at_once());
        for (index, (hop, admission)) in self.hops.iter().zip(&admissions).enumerate() {
            let config = self.session_config(hop, admission);
            let credentials = &admission.credentials;
            let connected = Session::connect(stream, config, credentials, deadline).await;
            let session = connected.map_err(|failure| {
                let failure = admission.policy.explain(failure);
                self.with_hop(failure, index)
            })?;
            hop.on_banner(session.banner(), emit);
            let Some(next) = self.hops.get(index + 1) else {
                return Ok(session);
            };
            // The session of a jump host ends with its only channel.
            let target = ChannelTarget::from(&next.config.target());
            let what = format!("{} opened no channel", hop.config.authority());
            let channel = self.within(deadline, &what, session.open(target)).await;
            let channel = channel.map_err(|failure| self.with_hop(failure, index))?;
            stream = Box::new(channel);
        }
        Err(Failure::defect())
    }

    fn session_config(&self, hop: &Hop, admission: &Admission) -> SessionConfig {
        let name = hop.config.host_name();
        let policy = admission.policy.policy.clone();
        let mut config = SessionConfig::new(name, policy, hop.config.user.as_str());
        config.keep_alive_interval = self.config.keep_alive_interval;
        config.keep_alive_count = self.config.keep_alive_count;
        config
    }

    async fn within<T>(
        &self,
        deadline: Instant,
        what: &str,
        work: impl Future<Output = Outcome<T>>,
    ) -> Outcome<T> {
        timeout_at(deadline, work).await.unwrap_or_else(|_| {
            let ms = self.config.connect_timeout.as_millis();
            let message = format!("{what} within {ms} ms");
            let failure = Failure::timed_out(Kind::Connect, message, TunnelConfig::CONNECT_OPTION);
            Err(failure.with_code("ETIMEDOUT"))
        })
    }

    /// The failure, with the hop at which it came about where there are several.
    fn with_hop(&self, failure: Failure, index: usize) -> Failure {
        let failure = failure.with_delivery(Delivery::None);
        if self.hops.len() > 1 {
            failure.with_detail("hop", index)
        } else {
            failure
        }
    }
}

impl Hop {
    async fn admission(&self, emit: Emit<'_>) -> Outcome<Admission> {
        let policy = self.host_keys.current().await?;
        for line in policy.skipped.iter().cloned() {
            emit(TunnelEvent::Warning(TunnelWarning::UnknownMarker { line }));
        }
        let is_insecure = self.config.host_keys == HostKeySource::Insecure;
        if is_insecure && !self.has_warned.swap(true, Ordering::Relaxed) {
            let host = self.config.authority();
            emit(TunnelEvent::Warning(TunnelWarning::InsecureHostKey {
                host,
            }));
        }
        Ok(Admission {
            credentials: self.credentials.gather(&self.config).await?,
            policy,
        })
    }

    fn on_banner(&self, text: &str, emit: Emit<'_>) {
        let is_new = {
            let mut known = lock(&self.banner);
            let is_new = *known != text;
            text.clone_into(&mut known);
            is_new
        };
        if is_new && !text.is_empty() {
            emit(TunnelEvent::Banner {
                host: self.config.authority(),
                text: text.to_owned(),
            });
        }
    }
}
