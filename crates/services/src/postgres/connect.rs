//! Connecting: a server, the byte stream to it, the login; and what the pool does with connections.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use moorline_core::error::{Delivery, Failure, Kind, Outcome};
use moorline_net::{
    dial::Dialer,
    pool::{Connect, Pool},
};
use serde_json::json;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout},
};

use super::{
    auth::{Login, log_in},
    config::{CONNECTION_TIMEOUT, Config, SslMode, StatementMode},
    connection::{Canceller, Connection, ConnectionListener},
    error::SERVICE,
    negotiation::Way,
    password::{Password, PasswordRequest, PasswordSource},
    result::ResultText,
    session_sharing::SessionSharing,
    session_target::{SessionFacts, SessionTarget},
};

/// The code of a server that is not the one that is wanted.
const WRONG_TARGET: &str = "ERR_POSTGRES_SESSION_TARGET";
/// The server lets this user in from this host, or over this kind of connection, not at all.
const NOT_ADMITTED: &str = "28000";

/// A server, and how a user logs in there.
struct Candidate {
    way: Way,
    login: Login,
}

/// Opens connections to one of its servers.
pub struct Connector {
    candidates: Vec<Candidate>,
    is_shuffled: bool,
    target: SessionTarget,
    allows_plain_password: bool,
    is_tunnelled: bool,
    /// The time of a connection, all servers included.
    limit: Duration,
    runtime: Handle,
    pool: PoolCell,
    sharing: Arc<SessionSharing>,
}

/// The pool of a connector, once it is there: it hears of connections that end while they are free.
pub(super) type PoolCell = Arc<OnceLock<Weak<Pool<Connector>>>>;

impl Connector {
    pub(super) fn new(
        config: &Config,
        passwords: Option<&Arc<dyn PasswordSource>>,
        runtime: Handle,
        pool: &PoolCell,
    ) -> Self {
        let dialer = Dialer::new(config.dial.clone());
        let is_shared = config.statement_mode == StatementMode::Unnamed;
        let candidates = config.servers.iter().map(|server| {
            let request = PasswordRequest {
                host: server.host(),
                port: server.port(),
                database: config.database.clone(),
                user: config.user.clone(),
            };
            Candidate {
                login: Login {
                    user: config.user.clone(),
                    parameters: session_parameters(config),
                    password: Password {
                        origin: config.password.clone(),
                        source: passwords.cloned(),
                        request,
                    },
                    reveals_password: false,
                    channel_binding: config.encryption.channel_binding,
                    end_point: None,
                },
                way: Way {
                    server: server.clone(),
                    dialer: Arc::clone(&dialer),
                    encryption: config.encryption,
                },
            }
        });
        Self {
            candidates: candidates.collect(),
            is_shuffled: config.is_shuffled,
            target: config.session_target,
            allows_plain_password: config.allows_plain_password,
            is_tunnelled: config.dial.tunnel.is_some(),
            limit: config.pool.connect_timeout,
            runtime,
            pool: Arc::clone(pool),
            sharing: Arc::new(SessionSharing::new(is_shared)),
        }
    }

    /// Whether its sessions are shared with others.
    pub(super) const fn sharing(&self) -> &Arc<SessionSharing> {
        &self.sharing
    }

    /// A connection to the first server that has what is wanted. Each has its share of the time that is left.
    async fn open(&self) -> Outcome<Connection> {
        let mut order: Vec<_> = self.candidates.iter().collect();
        if self.is_shuffled {
            fastrand::shuffle(&mut order);
        }
        let attempts = self.target.passes().iter();
        let attempts: Vec<_> = attempts
            .flat_map(|target| order.iter().map(|candidate| (*candidate, *target)))
            .collect();
        let ends_at = Instant::now() + self.limit;
        let mut failures = Vec::new();
        for (place, (candidate, target)) in attempts.iter().enumerate() {
            let left = ends_at.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(attempts.len() - place).unwrap_or(1);
            let opened = timeout(share, self.open_at(candidate, *target)).await;
            let failure = match opened.unwrap_or_else(|_| Err(overdue(candidate, share))) {
                Ok(connection) => return Ok(connection),
                Err(failure) => failure,
            };
            // Another server would say the same.
            let is_final = matches!(failure.kind, Kind::Auth | Kind::Rejected);
            failures.push((*candidate, failure));
            if is_final {
                break;
            }
        }
        Err(summary(failures))
    }

    /// A connection to this server. Where TLS is only preferred, it is done without if it fails, or if the server does not want
    /// it from this user.
    async fn open_at(&self, candidate: &Candidate, target: SessionTarget) -> Outcome<Connection> {
        let way = &candidate.way;
        let failure = match self.log_in(way, &candidate.login, target).await {
            Ok(connection) => return Ok(connection),
            Err(failure) => failure,
        };
        let had_tls = failure.detail.get("tls") == Some(&true.into());
        // A server that refuses our certificate is believed, as in libpq.
        let is_for_tls = failure.kind == Kind::Tls || had_tls && failure.code == NOT_ADMITTED;
        if way.encryption.mode != SslMode::Prefer || !is_for_tls {
            return Err(failure);
        }
        let mut plain = way.clone();
        plain.encryption.mode = SslMode::Disable;
        let opened = self.log_in(&plain, &candidate.login, target).await;
        opened.map_err(|_| failure)
    }

    async fn log_in(&self, way: &Way, login: &Login, target: SessionTarget) -> Outcome<Connection> {
        let mut stream = way.open().await?;
        let is_secure = stream.is_secure();
        let login = Login {
            reveals_password: self.allows_plain_password
                || self.is_tunnelled
                || is_secure
                || !way.server.is_at_host(),
            end_point: stream.server_end_point(),
            ..login.clone()
        };
        let mut received = BytesMut::new();
        let session = log_in(&mut stream, &mut received, &login).await;
        let session = session.map_err(|failure| {
            failure
                .with_detail("host", way.server.host())
                .with_detail("port", way.server.port())
                .with_detail("tls", is_secure)
        })?;
        let canceller = Canceller {
            way: way.to_peer_of(&stream),
            process_id: session.process_id,
            secret_key: session.secret_key,
        };
        let listener = Arc::new(EndListener {
            pool: Arc::clone(&self.pool),
            process_id: session.process_id,
            is_wanted: Arc::default(),
        });
        let connection = Connection::start(
            stream,
            received,
            session,
            canceller,
            Arc::clone(&listener) as _,
            Arc::clone(&self.sharing),
            &self.runtime,
        );
        let mut checked = CutOnDrop(Some(connection));
        check_target(&checked, way, target).await?;
        let mut connection = checked.0.take().ok_or_else(Failure::defect)?;
        listener.is_wanted.store(true, Ordering::Relaxed);
        connection.is_wanted = Arc::clone(&listener.is_wanted);
        Ok(connection)
    }
}

/// Returns the parameters that a session begins with.
fn session_parameters(config: &Config) -> Vec<(String, String)> {
    let given = [
        ("database", Some(&config.database)),
        ("application_name", Some(&config.application_name)),
        ("options", config.options.as_ref()),
    ];
    let given = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?.as_str())));
    // Dates are read in this style alone, and texts in this encoding.
    let all = given.chain([("client_encoding", "UTF8"), ("DateStyle", "ISO")]);
    all.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A connection that is not handed out yet.
struct CutOnDrop(Option<Connection>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.cut();
        }
    }
}

/// Makes sure that a session is one that is wanted: by what the server tells of itself, else by asking it.
async fn check_target(checked: &CutOnDrop, way: &Way, target: SessionTarget) -> Outcome<()> {
    let connection = checked.0.as_ref().ok_or_else(Failure::defect)?;
    let accepted = match (target.accepts(facts(connection)), target.question()) {
        (None, Some((question, wanted))) => {
            let results = connection.run_to_end(question).await?;
            let answer = results.first().and_then(ResultText::first_text);
            matches!(answer.as_deref(), Some("on" | "t")) == wanted
        }
        (accepted, _) => accepted.unwrap_or(true),
    };
    if accepted {
        return Ok(());
    }
    let message = format!(
        "{} is not the server that is wanted: {} (targetSessionAttrs)",
        way.server,
        target.refusal()
    );
    Err(Failure::new(Kind::Connect, message).with_code(WRONG_TARGET))
}

fn facts(connection: &Connection) -> SessionFacts {
    let told = SessionFacts::told(|name| connection.parameter(name));
    SessionFacts {
        // That may be what its borrower has set, and is undone.
        is_read_only: told.is_read_only.filter(|_| !connection.is_changed()),
        ..told
    }
}

fn overdue(candidate: &Candidate, share: Duration) -> Failure {
    let message = format!(
        "{} was not connected to within {}ms",
        candidate.way.server,
        share.as_millis()
    );
    Failure::timed_out(Kind::Connect, message, CONNECTION_TIMEOUT).with_code("ETIMEDOUT")
}

/// The failure of all servers: that of the first, and in its detail what came of each.
fn summary(mut failures: Vec<(&Candidate, Failure)>) -> Failure {
    if failures.len() < 2 {
        return failures
            .pop()
            .map_or_else(Failure::defect, |(_, failure)| failure);
    }
    let describe = |(candidate, failure): &(&Candidate, Failure)| {
        let server = &candidate.way.server;
        json!({
            "host": server.host(), "port": server.port(), "kind": failure.kind.as_str(), "code": failure.code,
            "message": failure.message,
        })
    };
    let details: Vec<_> = failures.iter().map(describe).collect();
    let told: Vec<_> = failures
        .iter()
        .map(|(candidate, failure)| format!("{}: {}", candidate.way.server, failure.message))
        .collect();
    let message = format!("No server could be used: {}", told.join("; "));
    let (_, first) = failures.swap_remove(0);
    first.with_message(message).with_detail("servers", details)
}

/// Tells of a connection that is lost, and has it closed where it is free.
struct EndListener {
    pool: PoolCell,
    process_id: i32,
    /// Whether it is open for the pool, and not closed by it.
    is_wanted: Arc<AtomicBool>,
}

impl ConnectionListener for EndListener {
    fn on_end(&self, failure: Option<&Failure>) {
        let Some(failure) = failure else { return };
        if !self.is_wanted.load(Ordering::Relaxed) {
            return;
        }
        if let Some(pool) = self.pool.get().and_then(Weak::upgrade) {
            let failure = failure.clone().during(SERVICE, "connection");
            pool.on_lost(failure.with_detail("processId", self.process_id));
        }
    }
}

impl Connect for Connector {
    type Connection = Arc<Connection>;

    async fn connect(&self) -> Outcome<Arc<Connection>> {
        let opened = self.open().await.map(Arc::new);
        // Whatever it is, no statement was sent.
        opened.map_err(|failure| {
            failure
                .with_delivery(Delivery::None)
                .during(SERVICE, "connect")
        })
    }

    fn is_usable(&self, connection: &Arc<Connection>) -> bool {
        let is_as_wanted = || {
            let is_any = self.target.question().is_none();
            is_any || self.target.accepts(facts(connection)) != Some(false)
        };
        let has_moved = || self.target.may_write() && connection.was_refused_writing();
        // Where another server was promoted, or this one, the next connection finds the one that is wanted.
        !connection.is_over() && !has_moved() && is_as_wanted()
    }

    fn needs_recycling(&self, connection: &Arc<Connection>) -> bool {
        !connection.is_clean()
    }

    async fn recycle(&self, connection: &mut Arc<Connection>) -> Outcome<()> {
        connection.clean().await?;
        // It goes to whoever waits, and not through the checks of a free one.
        if self.is_usable(connection) {
            return Ok(());
        }
        Err(Failure::new(
            Kind::Connect,
            "The session is none that is wanted any more",
        ))
    }

    async fn validate(&self, connection: &mut Arc<Connection>) -> Outcome<()> {
        connection.run_to_end("").await.map(drop)
    }

    async fn close(&self, connection: Arc<Connection>) {
        connection.is_wanted.store(false, Ordering::Relaxed);
        connection.stop().await;
        connection.close();
        connection.ended().await;
    }
}
