//! The configuration of a tunnel, read from a user's options, and the defaults.

mod hop;
mod host_keys;

use std::time::Duration;

use moorline_core::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
    ssh::{ReconnectPolicy, SessionLimits},
};

pub use self::{
    hop::{CertificateSource, HopConfig, KeySource, SecretSource},
    host_keys::HostKeySource,
};
use crate::ssh::{ChannelTarget, SessionConfig};

const MAX_RETRIES: u64 = 3;
const RETRY_DELAY: Duration = Duration::from_secs(1);
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_POOL_SIZE: u64 = 10;
const MAX_SESSIONS: u64 = 10;
/// The remote host, where only the port is given.
const REMOTE_HOST: &str = "localhost";
/// The most that is read for any number.
const LARGEST_COUNT: u64 = 10_000;

/// The configuration of a tunnel.
#[derive(Clone, Debug, PartialEq)]
pub struct TunnelConfig {
    /// `jumpHosts`, in the order in which they are gone through; then the server that opens the channels.
    pub hops: Vec<HopConfig>,
    /// `remoteHost` and `remotePort`, or `remoteSocketPath`: what the local port leads to.
    pub remote: Option<ChannelTarget>,
    /// `localPort`: the local port (default: none); 0 is any that is free.
    pub local_port: Option<u16>,
    /// `maxRetries` (default 3), `retryDelay` (1000 ms), `healthCheckInterval` (30 000 ms; `Infinity`: no checks).
    pub reconnect: ReconnectPolicy,
    /// `keepAliveIntervalMs`: the time between two keep-alives of a session (default 15 000).
    pub keep_alive_interval: Duration,
    /// `keepAliveCount`: the silent intervals after which a session is lost (default 3).
    pub keep_alive_count: u32,
    /// `connectTimeoutMs`: the time limit of one attempt, over all hops (default 20 000).
    pub connect_timeout: Duration,
    /// `maxPoolSize`, the channels of one session (default 10), and `maxSessions` (default 10).
    pub limits: SessionLimits,
}

impl TunnelConfig {
    /// The name of [`TunnelConfig::connect_timeout`] to the user.
    pub(super) const CONNECT_OPTION: &str = "connectTimeoutMs";

    /// Reads the user's options. Keys that are left are the caller's to refuse.
    pub fn read(options: &Options<'_>) -> Read<Self> {
        let target = HopConfig::read(options)?;
        let mut hops = read_jump_hosts(options, &target)?;
        hops.push(target);
        let remote = read_remote(options)?;
        let local_port = read_local_port(options, remote.as_ref())?;
        let defaults = SessionConfig::keep_alive_defaults();
        let count = |key, default, least| {
            let number = options.integer(key, default, least..=LARGEST_COUNT);
            number.map(|number| number as u32)
        };
        Ok(Self {
            hops,
            remote,
            local_port,
            reconnect: ReconnectPolicy {
                max_retries: count("maxRetries", MAX_RETRIES, 0)?,
                retry_delay: options.ms("retryDelay", RETRY_DELAY, 0.0)?,
                check_interval: options.ms_limit(
                    "healthCheckInterval",
                    Limit::At(CHECK_INTERVAL),
                    1.0,
                )?,
            },
            keep_alive_interval: options.ms("keepAliveIntervalMs", defaults.0, 1.0)?,
            keep_alive_count: count("keepAliveCount", u64::from(defaults.1), 1)?,
            connect_timeout: options.ms(Self::CONNECT_OPTION, CONNECT_TIMEOUT, 1.0)?,
            limits: SessionLimits {
                max_channels: count("maxPoolSize", MAX_POOL_SIZE, 1)?,
                max_sessions: count("maxSessions", MAX_SESSIONS, 1)?,
            },
        })
    }

    /// The server that opens the channels.
    pub(super) fn server(&self) -> String {
        self.hops
            .last()
            .map_or_else(String::new, HopConfig::authority)
    }
}

fn read_jump_hosts(options: &Options<'_>, target: &HopConfig) -> Read<Vec<HopConfig>> {
    let path = options.path_of("jumpHosts");
    let mut hops = Vec::new();
    for (index, item) in options
        .list("jumpHosts")?
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let path = format!("{path}[{index}]");
        let options = Options::new(&path, item)?;
        let hop = HopConfig::read(&options)?;
        options.finish()?;
        if hop.authority() == target.authority() {
            let reason = format!("is the target itself ({})", hop.authority());
            return Err(OptionError::bad_value(&path, reason));
        }
        hops.push(hop);
    }
    Ok(hops)
}

fn read_remote(options: &Options<'_>) -> Read<Option<ChannelTarget>> {
    let socket = non_empty(options, "remoteSocketPath")?;
    let host = non_empty(options, "remoteHost")?;
    let port = match options.value("remotePort") {
        Some(_) => Some(options.integer("remotePort", 0, 1..=65_535)? as u16),
        None => None,
    };
    let wrong = |key, reason| Err(OptionError::bad_value(&options.path_of(key), reason));
    match (socket, host, port) {
        (Some(_), Some(_), _) => wrong("remoteSocketPath", "cannot be given with remoteHost"),
        (Some(_), _, Some(_)) => wrong("remoteSocketPath", "cannot be given with remotePort"),
        (Some(path), None, None) => Ok(Some(ChannelTarget::UnixSocket(path.to_owned()))),
        (None, Some(_), None) => wrong("remoteHost", "needs remotePort"),
        (None, None, None) => Ok(None),
        (None, host, Some(port)) => Ok(Some(ChannelTarget::Tcp {
            host: host.unwrap_or(REMOTE_HOST).to_owned(),
            port,
        })),
    }
}

fn read_local_port(options: &Options<'_>, remote: Option<&ChannelTarget>) -> Read<Option<u16>> {
    if options.value("localPort").is_none() {
        return Ok(None);
    }
    let port = options.integer("localPort", 0, 0..=65_535)? as u16;
    if remote.is_none() {
        return Err(OptionError::bad_value(
            &options.path_of("localPort"),
            "needs remotePort or remoteSocketPath, to which it leads",
        ));
    }
    Ok(Some(port))
}

/// A text that is not empty, if given.
fn non_empty<'a>(options: &Options<'a>, key: &'static str) -> Read<Option<&'a str>> {
    match options.text(key)? {
        Some("") => Err(OptionError::bad_value(
            &options.path_of(key),
            "must not be empty",
        )),
        text => Ok(text),
    }
}

/// A text that is not empty, and must be given.
fn required<'a>(options: &Options<'a>, key: &'static str) -> Read<&'a str> {
    non_empty(options, key)?.ok_or_else(|| {
        OptionError::wrong_type(&options.path_of(key), "a string", &PlainValue::Undefined)
    })
}

#[cfg(test)]
mod tests;
