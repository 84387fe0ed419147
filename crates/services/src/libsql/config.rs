//! The configuration of a libSQL pool and its defaults.

use std::time::Duration;

use moorline_core::{
    environment::Form,
    limit::Limit,
    options::{Fallback, OptionError, Options, PlainValue, Read},
    pool::{LedgerConfig, OptionNames},
    secret::redact_url,
};

use crate::libsql::{
    result::IntMode,
    target::{Target, TargetOptions},
};
use moorline_net::{dial::DialConfig, pool::PoolConfig};

/// Connections at most, as the specification has it.
const POOL_SIZE: u32 = 5;
/// The time limit of a statement, a batch or a transaction step.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time that `drain` lets borrowers finish.
pub(super) const DRAIN_TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(30));
/// The longest wait for another connection's lock on a file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time for which a statement runs on the thread of its caller.
const INLINE: Duration = Duration::from_micros(500);

/// The concurrent requests of `@libsql/client` by default.
const CLIENT_CONCURRENCY: u32 = 20;

/// The URL of the specification's pool without a configuration.
const URL_VARIABLE: &str = "INTENTVISION_DB_URL";
const DEFAULT_URL: &str = "file:db/intentvision.db";
const TOKEN_VARIABLE: &str = "INTENTVISION_DB_AUTH_TOKEN";

/// The pool size for `concurrency: 0` (no limit): the largest one allowed.
const MAX_CONCURRENCY: f64 = 10_000.0;

/// The API whose option names and conventions the options follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionStyle {
    /// The specification's `TursoPool`.
    Pool,
    /// `createClient` of `@libsql/client`.
    Client,
    /// The specification's pool without a configuration: the options come from the environment.
    Environment,
}

impl OptionStyle {
    /// The style by its name across the bridge.
    pub fn from_name(word: &str) -> Self {
        match word {
            "client" => Self::Client,
            "environment" => Self::Environment,
            _ => Self::Pool,
        }
    }

    const fn option_names(self) -> OptionNames {
        OptionNames {
            max: match self {
                Self::Pool | Self::Environment => "poolSize",
                Self::Client => "concurrency",
            },
            acquire_timeout: "connectionTimeoutMs",
            max_connecting: None,
            ..OptionNames::COMMON
        }
    }

    const fn default_connections(self) -> u32 {
        match self {
            Self::Pool | Self::Environment => POOL_SIZE,
            Self::Client => CLIENT_CONCURRENCY,
        }
    }

    /// Converts options to the conventions of the pool: for the client `null` means absent, and `concurrency: 0` no
    /// limit.
    fn normalize(self, value: &PlainValue) -> PlainValue {
        let mut value = value.clone();
        if let (Self::Client, PlainValue::Map(entries)) = (self, &mut value) {
            entries.retain(|(_, given)| *given != PlainValue::Null);
            for (key, number) in entries {
                if key == "concurrency" && *number == PlainValue::Number(0.0) {
                    *number = PlainValue::Number(MAX_CONCURRENCY);
                }
            }
        }
        value
    }

    /// Refuses `createClient(url)`, a common mistake, with the message of `@libsql/client`.
    fn check_is_object(self, path: &str, value: &PlainValue) -> Read<()> {
        if self != Self::Client || matches!(value, PlainValue::Map(_) | PlainValue::Excess(_)) {
            return Ok(());
        }
        let mut error = OptionError::wrong_type(path, "an object", value);
        let given = value.type_name().trim_start_matches("a ");
        error.message = format!("{path} must be passed as object, got {given}");
        Err(error)
    }

    /// The fallbacks of options that are not given.
    fn fallbacks(self, variables: &PlainValue) -> Read<Vec<Fallback>> {
        let (Self::Environment, PlainValue::Map(entries)) = (self, variables) else {
            return Ok(Vec::new());
        };
        let lookup = |name: &str| {
            let found = entries.iter().find(|(key, _)| key == name);
            found.and_then(|(_, value)| match value {
                PlainValue::Text(text) => Some(text.as_str()),
                _ => None,
            })
        };
        let read = |key, name: &str| Form::Text.fallback(key, name.to_owned(), lookup);
        let url = read("url", URL_VARIABLE)?.unwrap_or_else(|| Fallback {
            key: "url",
            name: format!("the default of {URL_VARIABLE}"),
            value: PlainValue::Text(DEFAULT_URL.to_owned()),
        });
        Ok([Some(url), read("authToken", TOKEN_VARIABLE)?]
            .into_iter()
            .flatten()
            .collect())
    }

    /// The error for a missing or invalid URL; for the client with its code of an invalid one.
    fn url_error(self, error: OptionError) -> OptionError {
        match self {
            Self::Pool | Self::Environment => error,
            Self::Client => error.with_code("URL_INVALID"),
        }
    }

    /// Quotes values as `@libsql/client` does, whose users test for that.
    fn quote(self, mut error: OptionError) -> OptionError {
        if self == Self::Client {
            error.message = error.message.replace('\'', "\"");
        }
        error
    }

    /// How a server is reached. A tunnel is an option of the pool alone.
    fn read_dial(self, options: &Options<'_>, connect_timeout: Duration) -> Read<DialConfig> {
        let dial = DialConfig {
            connect_timeout,
            ..DialConfig::default()
        };
        match self {
            Self::Pool => dial.with_tunnel(options),
            Self::Client | Self::Environment => Ok(dial),
        }
    }

    const fn busy_timeout_key(self) -> &'static str {
        match self {
            Self::Pool | Self::Environment => "busyTimeoutMs",
            Self::Client => "timeout",
        }
    }
}

/// Whether a value switches an option off, as `syncUrl: ''` does.
fn is_disabled(value: &PlainValue) -> bool {
    match value {
        PlainValue::Null | PlainValue::Bool(false) => true,
        PlainValue::Number(number) => *number == 0.0,
        PlainValue::Text(text) => text.is_empty(),
        _ => false,
    }
}

/// Options of `@libsql/client` that this build does not support, with the reason
/// (docs/adr/0002-no-embedded-replicas-no-encryption.md).
const UNSUPPORTED: [(&str, &str); 7] = [
    ("fetch", "requests do not go through JavaScript"),
    (
        "syncUrl",
        "this build has no embedded replicas: connect to the remote database directly",
    ),
    ("syncInterval", "this build has no embedded replicas"),
    ("readYourWrites", "this build has no embedded replicas"),
    ("offline", "this build has no embedded replicas"),
    (
        "encryptionKey",
        "this build has no encrypted files: encrypt the disk, or use a remote database",
    ),
    (
        "remoteEncryptionKey",
        "this build has no encrypted remote databases",
    ),
];

fn refuse_unsupported(options: &Options<'_>) -> Read<()> {
    for (key, reason) in UNSUPPORTED {
        if options.value(key).is_some_and(|value| !is_disabled(value)) {
            let path = options.path_of(key);
            let refused = OptionError::bad_value(&path, format!("is not supported: {reason}"));
            return Err(match key {
                "encryptionKey" => refused.with_code("ENCRYPTION_KEY_NOT_SUPPORTED"),
                _ => refused,
            });
        }
    }
    Ok(())
}

fn read_tls(options: &Options<'_>) -> Read<Option<bool>> {
    match options.value("tls") {
        None => Ok(None),
        Some(PlainValue::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => {
            let path = options.path_of("tls");
            Err(OptionError::wrong_type(&path, "a boolean", other))
        }
    }
}

/// A normalized configuration.
pub struct Config {
    /// The database.
    pub target: Target,
    /// The pool.
    pub pool: PoolConfig,
    /// The time limit of one operation.
    pub query_timeout: Limit<Duration>,
    /// The JavaScript type of integers.
    pub int_mode: IntMode,
    /// The URL of the database without secrets.
    pub shown_url: String,
}

impl Config {
    /// Reads a user's options. `production` turns leak reports off by default.
    pub fn read(value: &PlainValue, style: OptionStyle, production: bool) -> Read<Self> {
        Self::read_at("options", value, style, production)
    }

    /// The same for options that stand at `path` among others.
    pub fn read_at(
        path: &str,
        value: &PlainValue,
        style: OptionStyle,
        production: bool,
    ) -> Read<Self> {
        style.check_is_object(path, value)?;
        let value = &style.normalize(value);
        let fallbacks = style.fallbacks(value)?;
        let given = match style {
            OptionStyle::Environment => &PlainValue::Undefined,
            OptionStyle::Pool | OptionStyle::Client => value,
        };
        let options = Options::new(path, given)?.with_fallbacks(&fallbacks);
        refuse_unsupported(&options)?;
        let limits = LedgerConfig {
            max: style.default_connections(),
            // No check has a point: a file is there or not, and a stream is checked by its age when it is used.
            validate_after: Limit::Off,
            // Opening one sends nothing to a server.
            max_connecting: Limit::Off,
            // A client lends no connection to its user, so none can leak.
            ..LedgerConfig::defaults(production || matches!(style, OptionStyle::Client))
        };
        let pool = PoolConfig::read(&options, &style.option_names(), PoolConfig::new(limits))?;
        let busy_timeout = options.ms(style.busy_timeout_key(), BUSY_TIMEOUT, 0.0)?;
        let inline = options.ms("inlineMs", INLINE, 0.0)?;
        let url = options
            .required_text("url")
            .map_err(|error| style.url_error(error))?;
        let token = options.text("authToken")?;
        let given = TargetOptions {
            url,
            path: options.path_of("url"),
            token,
            token_path: options.path_of("authToken"),
            tls: read_tls(&options)?,
            busy_timeout,
            inline,
            dial: style.read_dial(&options, pool.connect_timeout)?,
            origin: fallbacks.first().map(|url| url.name.clone()),
        };
        let target = given.target()?;
        if given.dial.tunnel.is_some() && matches!(target, Target::Local(_)) {
            let reason = "needs the URL of a server: a file and memory are on this machine";
            let path = options.path_of("tunnel");
            return Err(OptionError::bad_value(&path, reason));
        }
        let config = Self {
            // A URL parser would change `:memory:` and a relative path.
            shown_url: match target {
                Target::Local(_) => url.split(['?', '#']).next().unwrap_or_default().to_owned(),
                Target::Remote(_) => redact_url(url),
            },
            target,
            pool,
            query_timeout: options.ms_limit("queryTimeoutMs", Limit::At(QUERY_TIMEOUT), 1.0)?,
            int_mode: options
                .choice("intMode", IntMode::Number, &IntMode::CHOICES)
                .map_err(|error| style.quote(error))?,
        };
        options.finish()?;
        Ok(config)
    }
}
