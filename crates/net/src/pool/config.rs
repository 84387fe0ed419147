//! The configuration of a pool that dials by itself.

use std::time::Duration;

use moorline_core::{
    limit::{Limit, TimeLimit},
    options::{Options, Read},
    pool::{LedgerConfig, OptionNames},
};
use tokio_util::sync::CancellationToken;

/// The time limit of opening one connection.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit of checking an idle connection, after which it counts as dead.
const DEFAULT_VALIDATE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit of recycling, after which the connection is closed.
const DEFAULT_RECYCLE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit of closing, after which the connection is dropped.
const DEFAULT_CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout and the cancellation of one call on a pooled connection.
#[derive(Clone, Debug, Default)]
pub struct CallLimits {
    /// In place of the pool's `queryTimeoutMs`.
    pub timeout: Option<Limit<Duration>>,
    /// Fires when the caller gives up.
    pub cancel: CancellationToken,
}

/// The limits of a pool and of each step it takes on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Sizes and times of the pool itself.
    pub ledger: LedgerConfig,
    /// The time limit of opening one connection (default 10 s). Not part of the wait in the queue.
    pub connect_timeout: Duration,
    /// The time limit of checking an idle connection (default 5 s); then it is replaced.
    pub validate_timeout: Duration,
    /// The time limit of recycling a connection (default 5 s); then it is closed.
    pub recycle_timeout: Duration,
    /// The time limit of closing a connection (default 5 s); then it is cut.
    pub close_timeout: Duration,
    /// The names its user knows these times by.
    pub names: TimeoutNames,
}

/// The options that bound what a pool waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutNames {
    /// For [`LedgerConfig::acquire_timeout`].
    pub acquire: &'static str,
    /// For [`PoolConfig::connect_timeout`].
    pub connect: &'static str,
    /// For [`PoolConfig::close_timeout`].
    pub close: &'static str,
}

impl TimeoutNames {
    const COMMON: Self = Self {
        acquire: OptionNames::COMMON.acquire_timeout,
        connect: "connectTimeoutMs",
        close: "closeTimeoutMs",
    };
}

impl PoolConfig {
    /// The documented defaults around `ledger`.
    pub const fn new(ledger: LedgerConfig) -> Self {
        Self {
            ledger,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            validate_timeout: DEFAULT_VALIDATE_TIMEOUT,
            recycle_timeout: DEFAULT_RECYCLE_TIMEOUT,
            close_timeout: DEFAULT_CLOSE_TIMEOUT,
            names: TimeoutNames::COMMON,
        }
    }

    /// The longest wait of a borrower that sets none of its own.
    pub const fn acquire_timeout(&self) -> TimeLimit {
        TimeLimit {
            time: self.ledger.acquire_timeout,
            option: self.names.acquire,
        }
    }

    /// Reads the user's options: the limits under `pool_names`, the rest under `connectTimeoutMs`,
    /// `validateTimeoutMs` and `closeTimeoutMs`.
    pub fn read(options: &Options, pool_names: &OptionNames, defaults: Self) -> Read<Self> {
        let names = TimeoutNames {
            acquire: pool_names.acquire_timeout,
            ..TimeoutNames::COMMON
        };
        Ok(Self {
            ledger: LedgerConfig::read(options, pool_names, defaults.ledger)?,
            connect_timeout: options.ms(names.connect, defaults.connect_timeout, 1.0)?,
            validate_timeout: options.ms("validateTimeoutMs", defaults.validate_timeout, 1.0)?,
            close_timeout: options.ms(names.close, defaults.close_timeout, 1.0)?,
            recycle_timeout: defaults.recycle_timeout,
            names,
        })
    }
}
