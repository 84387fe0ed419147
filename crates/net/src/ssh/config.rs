//! What a session is made with, and the defaults.

use std::time::Duration;

use moorline_core::ssh::{HostKeyPolicy, HostName};

use super::{
    key_exchange::KeyExchangeMethod,
    transport::{Cipher, Mac},
};

const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEP_ALIVE_COUNT: u32 = 3;
/// RFC 4253, section 9.
const REKEY_BYTES: u64 = 1 << 30;
const REKEY_INTERVAL: Duration = Duration::from_hours(1);
/// The window and the largest packet of a channel in OpenSSH.
const WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// The configuration of a session.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The host, by the name that its key is looked up with.
    pub host: HostName,
    /// Which host keys are trusted.
    pub host_keys: HostKeyPolicy,
    /// The name of the user.
    pub user: String,
    /// The time between two keep-alives. Default: 15 s.
    pub keep_alive_interval: Duration,
    /// The number of intervals without a sign of the server after which the session is lost. Default: 3.
    pub keep_alive_count: u32,
    /// The bytes, sent and received, after which keys are exchanged anew. Default: 1 GiB.
    pub rekey_bytes: u64,
    /// The time after which keys are exchanged anew. Default: 1 h.
    pub rekey_interval: Duration,
    /// The bytes that a channel receives without its owner reading them. Default: 2 MiB.
    pub window_bytes: u32,
    /// The key exchange methods, in order of preference. Default: all.
    pub key_exchange_methods: Vec<KeyExchangeMethod>,
    /// The ciphers, in order of preference. Default: all.
    pub ciphers: Vec<Cipher>,
    /// The MACs, in order of preference. Default: all.
    pub macs: Vec<Mac>,
}

impl SessionConfig {
    /// The defaults of [`SessionConfig::keep_alive_interval`] and [`SessionConfig::keep_alive_count`].
    pub(crate) const fn keep_alive_defaults() -> (Duration, u32) {
        (KEEP_ALIVE_INTERVAL, KEEP_ALIVE_COUNT)
    }

    /// A configuration with the defaults.
    pub fn new(host: HostName, host_keys: HostKeyPolicy, user: impl Into<String>) -> Self {
        Self {
            host,
            host_keys,
            user: user.into(),
            keep_alive_interval: KEEP_ALIVE_INTERVAL,
            keep_alive_count: KEEP_ALIVE_COUNT,
            rekey_bytes: REKEY_BYTES,
            rekey_interval: REKEY_INTERVAL,
            window_bytes: WINDOW_BYTES,
            key_exchange_methods: KeyExchangeMethod::ALL.to_vec(),
            ciphers: Cipher::ALL.to_vec(),
            macs: Mac::ALL.to_vec(),
        }
    }
}
