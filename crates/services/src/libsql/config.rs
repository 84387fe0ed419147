//! What a user may say about a libSQL pool, and what we make of it.

use std::time::Duration;

use moorline_core::{
    limit::Limit,
    options::{OptionError, Options, Plain, Read},
    pool::{Keys, PoolLimits},
    secret::redact_url,
};

use super::{
    result::IntMode,
    target::{Given, Target},
};
use crate::pool::PoolSettings;

/// Connections at most, as the seed has it.
const POOL_SIZE: u32 = 5;
/// How long a statement, a batch or a transaction step may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a statement waits for another connection's lock on a file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests at once of the usual client.
const CLIENT_CONCURRENCY: u32 = 20;

/// What `concurrency: 0`, no limit, comes to: the largest pool there is.
const LARGEST_CONCURRENCY: f64 = 10_000.0;

/// In whose words the options are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// The seed's `TursoPool`.
    Pool,
    /// `createClient` of `@libsql/client`.
    Client,
}

impl Face {
    /// The face by its word across the bridge.
    pub fn named(word: &str) -> Self {
        match word {
            "client" => Self::Client,
            _ => Self::Pool,
        }
    }

    const fn keys(self) -> Keys {
        Keys {
            max: match self {
                Self::Pool => "poolSize",
                Self::Client => "concurrency",
            },
            acquire_timeout: "connectionTimeoutMs",
            ..Keys::COMMON
        }
    }

    const fn connections(self) -> u32 {
        match self {
            Self::Pool => POOL_SIZE,
            Self::Client => CLIENT_CONCURRENCY,
        }
    }

    /// The usual client writes `concurrency: 0` for no limit.
    fn unlimited_as_largest(self, value: &Plain) -> Plain {
        let mut value = value.clone();
        if let (Self::Client, Plain::Map(entries)) = (self, &mut value) {
            for (key, number) in entries {
                if key == "concurrency" && *number == Plain::Number(0.0) {
                    *number = Plain::Number(LARGEST_CONCURRENCY);
                }
            }
        }
        value
    }

    const fn busy_timeout_key(self) -> &'static str {
        match self {
            Self::Pool => "busyTimeoutMs",
            Self::Client => "timeout",
        }
    }
}

/// Options of the usual client that need what this build does not have, with the reason (docs/adr/0002).
const REFUSED: [(&str, &str); 7] = [
    ("fetch", "requests do not go through JavaScript"),
    (
        "syncUrl",
        "embedded replicas are not in this build: connect to the remote database itself",
    ),
    ("syncInterval", "embedded replicas are not in this build"),
    ("readYourWrites", "embedded replicas are not in this build"),
    ("offline", "embedded replicas are not in this build"),
    (
        "encryptionKey",
        "encrypted files are not in this build: encrypt the disk, or use a remote database",
    ),
    (
        "remoteEncryptionKey",
        "encrypted remote databases are not in this build",
    ),
];

/// A normalized configuration.
pub struct Config {
    /// Where the database is.
    pub target: Target,
    /// The pool.
    pub pool: PoolSettings,
    /// How long one operation may take.
    pub query_timeout: Limit<Duration>,
    /// How integers reach JavaScript.
    pub int_mode: IntMode,
    /// The database as it may be shown.
    pub shown_url: String,
}

impl Config {
    /// Reads a user's options. `production` turns leak reports off by default.
    pub fn read(value: &Plain, face: Face, production: bool) -> Read<Self> {
        Self::read_at("options", value, face, production)
    }

    /// The same for options that stand at `path` among others.
    pub fn read_at(path: &str, value: &Plain, face: Face, production: bool) -> Read<Self> {
        let value = &face.unlimited_as_largest(value);
        let options = Options::new(path, value)?;
        for (key, reason) in REFUSED {
            if options
                .value(key)
                .is_some_and(|value| *value != Plain::Null)
            {
                let path = options.path_of(key);
                return Err(OptionError::bad_value(
                    &path,
                    format!("is refused: {reason}"),
                ));
            }
        }
        let limits = PoolLimits {
            max: face.connections(),
            // Nothing to ask: a file is there or not, and a stream is judged by its age when it is used.
            validate_after: Limit::Off,
            ..PoolLimits::defaults(production)
        };
        let pool = PoolSettings::read(&options, &face.keys(), PoolSettings::new(limits))?;
        let busy_timeout = options.ms(face.busy_timeout_key(), BUSY_TIMEOUT, 0.0)?;
        let url = options.required_text("url")?;
        let token = options.text("authToken")?;
        let tls = options.value("tls");
        let tls = match tls {
            None => None,
            Some(Plain::Bool(flag)) => Some(*flag),
            Some(other) => {
                return Err(OptionError::wrong_type(
                    &options.path_of("tls"),
                    "a boolean",
                    other,
                ));
            }
        };
        let given = Given {
            url,
            path: options.path_of("url"),
            token,
            token_path: options.path_of("authToken"),
            tls,
            busy_timeout,
            connect_timeout: pool.connect_timeout,
        };
        let target = given.target()?;
        let config = Self {
            // `:memory:` and a relative path are no URLs that a parser would leave as they are.
            shown_url: match target {
                Target::Local(_) => url.split(['?', '#']).next().unwrap_or_default().to_owned(),
                Target::Remote(_) => redact_url(url),
            },
            target,
            pool,
            query_timeout: options.ms_limit("queryTimeoutMs", Limit::At(QUERY_TIMEOUT), 1.0)?,
            int_mode: options.choice("intMode", IntMode::Number, &IntMode::CHOICES)?,
        };
        options.finish()?;
        Ok(config)
    }
}
