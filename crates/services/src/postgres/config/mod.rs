//! Raw options to a normalized configuration.
//!
//! An option comes before a parameter of `connectionString`, that before a variable of the environment, and that before the
//! profile. Of variables, those of a manager come before libpq's.

mod connection_string;
mod encryption;
mod manager;
mod parameters;
mod password_file;
mod servers;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use moorline_core::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
    pool::{LedgerConfig, OptionNames},
    profile::Profile,
    resilience::config::PolicyConfig,
    secret::Secret,
};
use moorline_net::{
    dial::{DialConfig, KeepAlive, Shared},
    pool::{PoolConfig, TimeoutNames},
};

pub use self::encryption::{ChannelBinding, Encryption, SslMode};
pub use self::manager::ManagerConfig;
pub(super) use self::password_file::{PasswordKey, find_password};
use super::{address::Server, session_target::SessionTarget};

const APPLICATION_NAME: &str = "moorline";
/// The time limit of one statement.
const QUERY_TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(30));
/// The time in which a server that has gone without a word is noticed.
const KEEP_ALIVE_TIMEOUT: Limit<Duration> = Limit::At(Duration::from_mins(1));
/// The time in which borrowers may finish when a pool ends.
pub const DRAIN_TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(5));
/// The options that are called as the specification calls them.
const NAMES: OptionNames = OptionNames {
    acquire_timeout: CONNECTION_TIMEOUT,
    idle_timeout: "idleTimeoutMillis",
    ..OptionNames::COMMON
};
/// The option that bounds the wait for a connection, and connecting itself.
pub(super) const CONNECTION_TIMEOUT: &str = "connectionTimeoutMillis";

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordOrigin {
    /// The options, the string or a variable.
    Given(Secret),
    /// A function of the user's, which is asked for each connection.
    Function,
    /// A file, if it is there, which is read for each connection.
    File(PathBuf),
    /// Nowhere.
    None,
}

/// How statements with a name are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatementMode {
    /// Prepared on each connection.
    #[default]
    Named,
    /// Parsed each time, as behind a pooler that gives each transaction another connection.
    Unnamed,
}

impl StatementMode {
    const NAMES: [(&'static str, Self); 2] = [("named", Self::Named), ("unnamed", Self::Unnamed)];
}

/// A normalized configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The servers, in the order in which they are tried.
    pub servers: Vec<Server>,
    /// Whether they are tried in an order of chance, each time another.
    pub is_shuffled: bool,
    /// Which of them is wanted.
    pub session_target: SessionTarget,
    /// How they are reached.
    pub dial: DialConfig,
    /// The TLS mode, and what goes with it.
    pub encryption: Encryption,
    /// The user.
    pub user: String,
    /// The password.
    pub password: PasswordOrigin,
    /// The database.
    pub database: String,
    /// The name under which the server shows the connections.
    pub application_name: String,
    /// Settings of each session, as they stand on a server's command line.
    pub options: Option<String>,
    /// Whether the password may be sent in plain text over a connection that others may listen to.
    pub allows_plain_password: bool,
    /// The pool.
    pub pool: PoolConfig,
    /// The time limit of one statement.
    pub query_timeout: Limit<Duration>,
    /// The options of its manager.
    pub manager: ManagerConfig,
    /// How statements with a name are sent.
    pub statement_mode: StatementMode,
    /// Retries of what has not reached the server, and a breaker.
    pub policy: PolicyConfig,
    /// The time after which a silent server counts as gone.
    pub keep_alive_timeout: Limit<Duration>,
}

impl Config {
    /// Reads a user's options. `variables` are environment variables.
    pub fn read(given: &PlainValue, variables: &PlainValue) -> Read<Self> {
        let written = Options::new("options", given)?;
        let string = written.text(parameters::CONNECTION_STRING)?;
        let tunnel = written.value("tunnel");
        let is_tunnelled = tunnel.is_some_and(|tunnel| *tunnel != PlainValue::Bool(false));
        let fallbacks = parameters::fallbacks(string, variables, is_tunnelled)?;
        let options = Options::new("options", given)?.with_fallbacks(&fallbacks);
        let _ = options.value(parameters::CONNECTION_STRING);
        let profile = Profile::read(&options, variables)?.unwrap_or(Profile::DEVELOPMENT);
        let pool = read_pool(&options, profile)?;
        let keep_alive_timeout =
            options.ms_limit("keepAliveTimeoutMs", KEEP_ALIVE_TIMEOUT, 1_000.0)?;
        let dial = read_dial(&options, pool.connect_timeout, keep_alive_timeout)?;
        let tunnel = dial.tunnel.as_ref();
        let end = tunnel.and_then(|Shared(tunnel)| tunnel.end());
        let servers = servers::read(&options, end.as_ref())?;
        let is_private = tunnel.is_some() || servers.iter().all(servers::is_local);
        let (encryption, tls) = encryption::read(&options, is_private)?;
        let user = non_empty(&options, "user")?;
        let user = user.map_or_else(|| options.required_text("user"), Ok)?;
        let text =
            |key, default| non_empty(&options, key).map(|text| text.unwrap_or(default).to_owned());
        let config = Self {
            servers,
            is_shuffled: choice(
                &options,
                "loadBalanceHosts",
                false,
                &[("disable", false), ("random", true)],
            )?,
            session_target: choice(
                &options,
                "targetSessionAttrs",
                SessionTarget::default(),
                &SessionTarget::NAMES,
            )?,
            dial: DialConfig { tls, ..dial },
            encryption,
            user: user.to_owned(),
            password: read_password(&options, variables)?,
            database: text("database", user)?,
            application_name: text("applicationName", APPLICATION_NAME)?,
            options: non_empty(&options, "options")?.map(ToOwned::to_owned),
            allows_plain_password: options.flag("allowPlainPassword", false)?,
            query_timeout: options.ms_limit("queryTimeoutMs", QUERY_TIMEOUT, 1.0)?,
            manager: ManagerConfig::read(&options, profile)?,
            statement_mode: choice(
                &options,
                "statementMode",
                StatementMode::default(),
                &StatementMode::NAMES,
            )?,
            policy: PolicyConfig::read_unbounded(&options)?,
            keep_alive_timeout,
            pool,
        };
        options.finish().map(|()| config)
    }

    /// Where it leads to, as it may be shown.
    pub fn name(&self) -> String {
        let servers: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
        format!("{}/{}", servers.join(","), self.database)
    }
}

/// How servers are reached; `tunnel: false` is no tunnel.
fn read_dial(
    options: &Options<'_>,
    connect_timeout: Duration,
    keep_alive_timeout: Limit<Duration>,
) -> Read<DialConfig> {
    let dial = DialConfig {
        connect_timeout,
        keep_alive: read_keep_alive(options, keep_alive_timeout.get())?,
        ..DialConfig::default().with_connect_option(CONNECTION_TIMEOUT)
    };
    match options.value("tunnel") {
        Some(PlainValue::Bool(false)) => Ok(dial),
        _ => dial.with_tunnel(options),
    }
}

/// The keep-alives of a connection: with the defaults a dead server is noticed within `limit`. `Infinity` leaves one to the system.
/// The system counts in seconds.
fn read_keep_alive(options: &Options<'_>, limit: Option<Duration>) -> Read<KeepAlive> {
    let ms = |key, part: fn(Duration) -> Duration| {
        let default = limit.map(|limit| part(limit).max(Duration::from_secs(1)));
        let default = default.map_or(Limit::Off, Limit::At);
        options.ms_limit(key, default, 1.0).map(Limit::get)
    };
    let count = limit.map_or(Limit::Off, |_| Limit::At(3));
    let count = options.integer_limit("keepAliveCount", count, 1..=127)?;
    Ok(KeepAlive {
        is_on: options.flag("keepAlive", true)?,
        idle: ms("keepAliveInitialDelayMillis", |limit| limit / 2)?,
        interval: ms("keepAliveIntervalMs", |limit| limit / 7)?,
        count: count.get().and_then(|count| u32::try_from(count).ok()),
        user_timeout: ms("tcpUserTimeoutMs", |limit| limit * 15 / 16)?,
    })
}

/// A text, where it is given and not empty.
fn non_empty<'a>(options: &Options<'a>, key: &'static str) -> Read<Option<&'a str>> {
    options
        .text(key)
        .map(|text| text.filter(|text| !text.is_empty()))
}

/// One of a closed set of words. What is there instead is not shown, since it may be a part of a password.
fn choice<T: Copy>(
    options: &Options<'_>,
    key: &'static str,
    default: T,
    choices: &[(&str, T)],
) -> Read<T> {
    let Some(word) = non_empty(options, key)? else {
        return Ok(default);
    };
    let found = choices.iter().find(|(name, _)| *name == word);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names = choices.iter().filter(|(name, _)| !name.is_empty());
        let names: Vec<_> = names.map(|(name, _)| format!("'{name}'")).collect();
        OptionError::bad_value(
            &options.path_of(key),
            format!("must be {}", names.join(" or ")),
        )
    })
}

fn read_password(options: &Options<'_>, variables: &PlainValue) -> Read<PasswordOrigin> {
    let file = non_empty(options, "passfile")?.map(PathBuf::from);
    let secret = match options.value("password") {
        Some(PlainValue::Text(text)) => Secret::new(text.as_str()),
        Some(PlainValue::Bytes(bytes)) => Secret::new(bytes.as_slice()),
        Some(PlainValue::Other("a function")) => return Ok(PasswordOrigin::Function),
        None | Some(PlainValue::Null) => Secret::new(""),
        Some(other) => {
            let expected = "a string, bytes or a function";
            return Err(OptionError::wrong_type(
                &options.path_of("password"),
                expected,
                other,
            ));
        }
    };
    if !secret.is_empty() {
        return Ok(PasswordOrigin::Given(secret));
    }
    let file = file.or_else(|| default_file(variables));
    Ok(file.map_or(PasswordOrigin::None, PasswordOrigin::File))
}

/// The file in the user's home.
fn default_file(variables: &PlainValue) -> Option<PathBuf> {
    let PlainValue::Map(entries) = variables else {
        return None;
    };
    let (variable, file) = if cfg!(windows) {
        ("APPDATA", "postgresql/pgpass.conf")
    } else {
        ("HOME", ".pgpass")
    };
    match entries.iter().find(|(name, _)| name == variable)? {
        (_, PlainValue::Text(home)) if !home.is_empty() => Some(PathBuf::from(home).join(file)),
        _ => None,
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
