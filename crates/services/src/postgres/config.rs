//! Raw options to a normalized configuration.

use std::{path::PathBuf, time::Duration};

use moorline_core::{
    limit::Limit,
    options::{Options, PlainValue, Read},
    pool::{LedgerConfig, OptionNames},
    profile::Profile,
    secret::Secret,
};
use moorline_net::{
    dial::DialConfig,
    pool::{PoolConfig, TimeoutNames},
};

use super::address::Address;

const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u64 = 5432;
const APPLICATION_NAME: &str = "moorline";
/// The time limit of one statement.
const QUERY_TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(30));
/// The time in which borrowers may finish when a pool ends.
pub const DRAIN_TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(5));
/// The options that are called as the specification calls them.
const NAMES: OptionNames = OptionNames {
    acquire_timeout: CONNECTION_TIMEOUT,
    idle_timeout: "idleTimeoutMillis",
    ..OptionNames::COMMON
};
const CONNECTION_TIMEOUT: &str = "connectionTimeoutMillis";

/// A normalized configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the server is.
    pub address: Address,
    /// How it is reached.
    pub dial: DialConfig,
    /// The user.
    pub user: String,
    /// The password.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// The name under which the server shows the connections.
    pub application_name: String,
    /// Whether the password may be sent in plain text over a connection that others may listen to.
    pub allows_plain_password: bool,
    /// The pool.
    pub pool: PoolConfig,
    /// The time limit of one statement.
    pub query_timeout: Limit<Duration>,
}

impl Config {
    /// Reads a user's options. `variables` are environment variables.
    pub fn read(given: &PlainValue, variables: &PlainValue) -> Read<Self> {
        let options = Options::new("options", given)?;
        let profile = Profile::read(&options, variables)?.unwrap_or(Profile::DEVELOPMENT);
        let pool = read_pool(&options, profile)?;
        let host = options.text("host")?.unwrap_or(DEFAULT_HOST);
        let port = options.integer("port", DEFAULT_PORT, 1..=u64::from(u16::MAX))? as u16;
        let address = if host.starts_with('/') {
            Address::Directory(PathBuf::from(host), port)
        } else {
            Address::Host(host.to_owned(), port)
        };
        let user = options.required_text("user")?.to_owned();
        let config = Self {
            address,
            dial: DialConfig {
                connect_timeout: pool.connect_timeout,
                ..DialConfig::default().with_connect_option(CONNECTION_TIMEOUT)
            }
            .with_tunnel(&options)?,
            password: options.text("password")?.map(Secret::new),
            database: options.text("database")?.unwrap_or(&user).to_owned(),
            application_name: options
                .text("applicationName")?
                .unwrap_or(APPLICATION_NAME)
                .to_owned(),
            allows_plain_password: options.flag("allowPlainPassword", false)?,
            query_timeout: options.ms_limit("queryTimeoutMs", QUERY_TIMEOUT, 1.0)?,
            user,
            pool,
        };
        options.finish().map(|()| config)
    }
}

fn read_pool(options: &Options<'_>, profile: Profile) -> Read<PoolConfig> {
    let connection_timeout = profile.connection_timeout;
    let ledger = LedgerConfig {
        max: profile.max_connections,
        acquire_timeout: Limit::At(connection_timeout),
        idle_timeout: Limit::At(profile.idle_timeout),
        // The driver hears of the end of a connection at once.
        validate_after: Limit::Off,
        ..LedgerConfig::defaults(profile.name == Profile::PRODUCTION.name)
    };
    let ledger = LedgerConfig::read(options, &NAMES, ledger)?;
    let connect_timeout = ledger
        .acquire_timeout
        .get()
        .unwrap_or(PoolConfig::new(ledger).connect_timeout);
    let defaults = PoolConfig::new(ledger);
    Ok(PoolConfig {
        connect_timeout,
        recycle_timeout: options.ms("recycleTimeoutMs", defaults.recycle_timeout, 1.0)?,
        names: TimeoutNames {
            acquire: CONNECTION_TIMEOUT,
            connect: CONNECTION_TIMEOUT,
            close: "closeTimeoutMs",
        },
        ..defaults
    })
}
