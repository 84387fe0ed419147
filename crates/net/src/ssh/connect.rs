//! Connecting: versions, keys, the host, the user; then the driver takes over.

use std::sync::{Arc, Mutex};

use moorline_core::{
    error::{Failure, Outcome},
    sync::lock,
};
use tokio::time::{Instant, timeout_at};

use super::{
    authentication::{Credential, authenticate},
    config::SessionConfig,
    connection::Connection,
    driver::{Driver, SessionShared},
    error::{SessionError, SessionPhase, timeout_failure},
    transport::Transport,
    version::exchange_versions,
};
use crate::dial::ByteStream;

/// Connects until the deadline; returns the server's banner.
pub(super) async fn connect<S: ByteStream + 'static>(
    stream: S,
    config: SessionConfig,
    credentials: &[Credential],
    deadline: Instant,
    shared: &Arc<SessionShared>,
) -> Outcome<String> {
    let started = Instant::now();
    let host = config.host.qualified().to_owned();
    let phase = Mutex::new(SessionPhase::Version);
    let connecting = run_phases(stream, config, credentials, &phase);
    let failure = match timeout_at(deadline, connecting).await {
        Ok(Ok((connection, banner))) => {
            tokio::spawn(Driver::new(connection, Arc::clone(shared)));
            return Ok(banner);
        }
        Ok(Err(error)) => error.while_connecting(*lock(&phase)),
        Err(_) => timeout_failure(*lock(&phase), started.elapsed()),
    };
    Err(with_host(failure, &host))
}

fn with_host(failure: Failure, host: &str) -> Failure {
    let message = format!("{host}: {}", failure.message);
    failure.with_message(message).with_detail("host", host)
}

async fn run_phases<S: ByteStream>(
    stream: S,
    config: SessionConfig,
    credentials: &[Credential],
    phase: &Mutex<SessionPhase>,
) -> Result<(Connection<S>, String), SessionError> {
    let mut transport = Transport::new(stream);
    let versions = exchange_versions(&mut transport).await?;
    *lock(phase) = SessionPhase::KeyExchange;
    let mut connection = Connection::new(transport, Arc::new(config), versions);
    connection.exchange_keys().await?;
    *lock(phase) = SessionPhase::Authentication;
    let banner = authenticate(&mut connection, credentials).await?;
    Ok((connection, banner))
}
