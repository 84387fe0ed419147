//! Events, options and figures of a tunnel as the JSON texts that `lib/ssh` reads.

use std::{path::Path, time::Duration};

use moorline_net::ssh::{
    CertificateSource, ChannelTarget, HopConfig, HostKeySource, KeySource, TunnelConfig,
    TunnelEvent, TunnelListener, TunnelStats, TunnelWarning,
};
use serde_json::{Value as Json, json};

use crate::bridge::{Callback, failure_json};

const REDACTED: &str = "[redacted]";

/// The JavaScript listener of a tunnel.
pub(super) struct TunnelEvents(pub(super) Callback);

impl TunnelListener for TunnelEvents {
    fn on_event(&self, event: TunnelEvent) {
        self.0.deliver(encode_event(event).to_string());
    }
}

fn encode_event(event: TunnelEvent) -> Json {
    match event {
        TunnelEvent::Open => json!({ "event": "open" }),
        TunnelEvent::Close => json!({ "event": "close" }),
        TunnelEvent::Lost {
            failure,
            open_sessions,
        } => json!({
            "event": "lost", "openSessions": open_sessions, "failure": failure_json(failure),
        }),
        TunnelEvent::Reconnecting { attempt, delay } => {
            json!({ "event": "retry", "attempt": attempt, "delayMs": ms(delay) })
        }
        TunnelEvent::Reconnected { attempts, after } => {
            json!({ "event": "reconnected", "attempts": attempts, "downMs": ms(after) })
        }
        TunnelEvent::RetriesExceeded { attempts, failure } => json!({
            "event": "retriesExceeded", "attempts": attempts, "failure": failure_json(failure),
        }),
        TunnelEvent::Refused(failure) => {
            json!({ "event": "refused", "failure": failure_json(failure) })
        }
        TunnelEvent::Checked { round_trip } => {
            json!({ "event": "checked", "roundTripMs": round_trip.map(ms) })
        }
        TunnelEvent::SessionFailed(failure) => {
            json!({ "event": "sessionFailed", "failure": failure_json(failure) })
        }
        TunnelEvent::LocalPortFailed(failure) => {
            json!({ "event": "localPortFailed", "failure": failure_json(failure) })
        }
        TunnelEvent::Warning(TunnelWarning::InsecureHostKey { host }) => {
            json!({ "event": "insecureHostKey", "host": host })
        }
        TunnelEvent::Warning(TunnelWarning::UnknownMarker { line }) => {
            json!({ "event": "unknownMarker", "line": line })
        }
        TunnelEvent::Banner { host, text } => {
            json!({ "event": "banner", "host": host, "text": text })
        }
    }
}

pub(super) fn encode_stats(stats: &TunnelStats) -> Json {
    json!({
        "sessions": stats.sessions,
        "openingSessions": stats.opening_sessions,
        "channels": stats.open_channels,
        "openingChannels": stats.opening_channels,
        "waiting": stats.waiting,
        "receivedBytes": stats.received_bytes,
        "sentBytes": stats.sent_bytes,
        "reconnects": stats.reconnects,
        "roundTripMs": stats.round_trip.map(ms),
    })
}

/// The options in force, without secrets. What is not given is missing; `healthCheckInterval` is `null` when it is off.
pub(super) fn encode_config(config: &TunnelConfig) -> Json {
    let (target, jumps) = match config.hops.split_last() {
        Some((target, jumps)) => (encode_hop(target), jumps),
        None => (json!({}), [].as_slice()),
    };
    let mut encoded = target;
    let check_interval = config.reconnect.check_interval.get().map(ms);
    for (key, value) in [
        ("jumpHosts", jumps.iter().map(encode_hop).collect()),
        ("maxRetries", config.reconnect.max_retries.into()),
        ("retryDelay", ms(config.reconnect.retry_delay).into()),
        ("healthCheckInterval", check_interval.into()),
        ("keepAliveIntervalMs", ms(config.keep_alive_interval).into()),
        ("keepAliveCount", config.keep_alive_count.into()),
        ("connectTimeoutMs", ms(config.connect_timeout).into()),
        ("maxPoolSize", config.limits.max_channels.into()),
        ("maxSessions", config.limits.max_sessions.into()),
    ] {
        encoded[key] = value;
    }
    match &config.remote {
        Some(ChannelTarget::Tcp { host, port }) => {
            encoded["remoteHost"] = host.as_str().into();
            encoded["remotePort"] = (*port).into();
        }
        Some(ChannelTarget::UnixSocket(path)) => {
            encoded["remoteSocketPath"] = path.as_str().into();
        }
        None => {}
    }
    if let Some(port) = config.local_port {
        encoded["localPort"] = port.into();
    }
    encoded
}

fn encode_hop(hop: &HopConfig) -> Json {
    let mut encoded = json!({
        "sshHost": hop.host, "sshPort": hop.port, "sshUsername": hop.user,
        "hostKeyVerification": "strict",
    });
    match &hop.key {
        Some(KeySource::File(path)) => encoded["sshKeyPath"] = shown(path),
        Some(KeySource::Given(_)) => encoded["privateKey"] = REDACTED.into(),
        None => {}
    }
    match &hop.certificate {
        Some(CertificateSource::File(path)) => encoded["certificate"] = shown(path),
        Some(CertificateSource::Given(text)) => encoded["certificate"] = text.as_str().into(),
        None => {}
    }
    if let Some(path) = &hop.agent {
        encoded["agent"] = shown(path);
    }
    for (key, is_given) in [
        ("passphrase", hop.passphrase.is_some()),
        ("password", hop.password.is_some()),
        ("keyboardInteractive", hop.is_interactive),
    ] {
        if is_given {
            encoded[key] = REDACTED.into();
        }
    }
    match &hop.host_keys {
        HostKeySource::Files(files) => {
            encoded["knownHosts"] = files.iter().map(|file| shown(file)).collect();
        }
        HostKeySource::Fingerprints(fingerprints) => {
            let all = fingerprints.iter().map(|one| Json::from(one.to_string()));
            encoded["hostKeyFingerprint"] = all.collect();
        }
        HostKeySource::Insecure => encoded["hostKeyVerification"] = "insecure".into(),
    }
    encoded
}

fn shown(path: &Path) -> Json {
    path.to_string_lossy().into()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
