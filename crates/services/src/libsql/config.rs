//! What a user may say about a libSQL pool, and what we make of it.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use moorline_core::{
    limit::Limit,
    options::{OptionError, Options, Plain, Read},
    pool::{Keys, PoolLimits},
    secret::{Secret, redact_url},
};
use url::Url;

use super::{local::LocalTarget, result::IntMode, stream::RemoteTarget};
use crate::{
    http::{HttpClient, HttpOptions},
    pool::PoolSettings,
};

/// Connections at most, as the seed has it.
const POOL_SIZE: u32 = 5;
/// How long a statement, a batch or a transaction step may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a statement waits for another connection's lock on a file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The seed's names for the pool's limits.
const KEYS: Keys = Keys {
    max: "poolSize",
    acquire_timeout: "connectionTimeoutMs",
    ..Keys::COMMON
};

/// Options of the usual client that need what this build does not have, with the reason (docs/adr/0002).
const REFUSED: [(&str, &str); 6] = [
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

/// Where the database is.
pub enum Target {
    /// A file or memory.
    Local(LocalTarget),
    /// A server.
    Remote(RemoteTarget),
}

impl Target {
    /// The word of the client API for how it is reached.
    pub const fn protocol(&self) -> &'static str {
        match self {
            Self::Local(_) => "file",
            Self::Remote(_) => "http",
        }
    }
}

impl Config {
    /// Reads a user's options. `production` turns leak reports off by default.
    pub fn read(value: &Plain, production: bool) -> Read<Self> {
        let options = Options::new("options", value)?;
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
            max: POOL_SIZE,
            // Nothing to ask: a file is there or not, and a stream is judged by its age when it is used.
            validate_after: Limit::Off,
            ..PoolLimits::defaults(production)
        };
        let pool = PoolSettings::read(&options, &KEYS, PoolSettings::new(limits))?;
        let busy_timeout = options.ms("busyTimeoutMs", BUSY_TIMEOUT, 0.0)?;
        let url = options.required_text("url")?;
        let token = options.text("authToken")?.filter(|token| !token.is_empty());
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
            tls,
            busy_timeout,
            connect_timeout: pool.connect_timeout,
        };
        let config = Self {
            target: given.target()?,
            pool,
            query_timeout: options.ms_limit("queryTimeoutMs", Limit::At(QUERY_TIMEOUT), 1.0)?,
            int_mode: options.choice("intMode", IntMode::Number, &IntMode::CHOICES)?,
            shown_url: redact_url(url),
        };
        options.finish()?;
        Ok(config)
    }
}

/// What decides the target.
struct Given<'a> {
    url: &'a str,
    path: String,
    token: Option<&'a str>,
    tls: Option<bool>,
    busy_timeout: Duration,
    connect_timeout: Duration,
}

impl Given<'_> {
    fn target(&self) -> Read<Target> {
        if matches!(self.url, ":memory:" | "file::memory:") {
            return Ok(self.memory());
        }
        let Some((scheme, rest)) = self.url.split_once(':') else {
            return Err(self.invalid("is not a URL: it has no scheme such as 'file:' or 'libsql:'"));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "file" => self.file(rest),
            "libsql" | "https" | "http" | "wss" | "ws" => self.remote(),
            other => Err(OptionError::bad_value(
                &self.path,
                format!(
                    "has the unsupported scheme '{other}:'; use 'file:', ':memory:', 'libsql:', 'https:' or 'http:'"
                ),
            )
            .with_code("URL_SCHEME_NOT_SUPPORTED")),
        }
    }

    fn invalid(&self, reason: &str) -> OptionError {
        OptionError::bad_value(&self.path, reason).with_code("URL_INVALID")
    }

    /// One database in memory for all connections of the pool, by SQLite's memdb VFS: with a shared cache,
    /// a locked table is an error at once and never waited for.
    fn memory(&self) -> Target {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Target::Local(LocalTarget {
            path: format!("file:/moorline-{}-{number}?vfs=memdb", std::process::id()),
            in_memory: true,
            busy_timeout: self.busy_timeout,
        })
    }

    fn file(&self, rest: &str) -> Read<Target> {
        if rest.contains(['?', '#']) {
            let reason = "has a query or a fragment, which 'file:' URLs do not take here";
            return Err(
                OptionError::bad_value(&self.path, reason).with_code("URL_PARAM_NOT_SUPPORTED")
            );
        }
        // file:/a, file:///a and file:a: the authority of a file URL is this machine.
        let path = match rest.strip_prefix("//") {
            Some(authority) => authority
                .find('/')
                .filter(|at| matches!(&authority[..*at], "" | "localhost"))
                .map(|at| &authority[at..])
                .ok_or_else(|| {
                    self.invalid("names another machine; write 'file:path' or 'file:///path'")
                })?,
            None => rest,
        };
        let path = percent_decode(path).ok_or_else(|| self.invalid("has a broken %-escape"))?;
        if path.is_empty() || path.contains('\0') {
            return Err(self.invalid("names no file"));
        }
        Ok(Target::Local(LocalTarget {
            path: Path::new(&path).to_string_lossy().into_owned(),
            in_memory: false,
            busy_timeout: self.busy_timeout,
        }))
    }

    fn remote(&self) -> Read<Target> {
        let mut url = Url::parse(self.url)
            .map_err(|error| self.invalid(&format!("is not a URL: {error}")))?;
        let mut token = self.token.map(ToOwned::to_owned);
        let mut tls = self.tls;
        for (key, value) in url.query_pairs() {
            match (&*key, &*value) {
                ("authToken", value) => token = Some(value.to_owned()),
                ("tls", "0") => tls = Some(false),
                ("tls", "1") => tls = Some(true),
                _ => {
                    let reason = format!("has the unsupported query parameter '{key}'");
                    let error = OptionError::bad_value(&self.path, reason);
                    return Err(error.with_code("URL_PARAM_NOT_SUPPORTED"));
                }
            }
        }
        let secure = match (url.scheme(), tls) {
            ("libsql", Some(false)) if url.port().is_none() => {
                return Err(self.invalid("needs a port when TLS is off"));
            }
            ("libsql", tls) => tls.unwrap_or(true),
            ("https" | "wss", Some(false)) | ("http" | "ws", Some(true)) => {
                return Err(self.invalid("contradicts the option 'tls'"));
            }
            (scheme, _) => matches!(scheme, "https" | "wss"),
        };
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err(self.invalid("names no host"));
        };
        let port = url
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        let scheme = if secure { "https" } else { "http" };
        // A scheme that is not special cannot be set to one that is, so the URL is put together anew.
        let rebuilt = format!("{scheme}://{host}{port}{}", url.path());
        url = Url::parse(&rebuilt)
            .map_err(|error| self.invalid(&format!("is not a URL: {error}")))?;
        Ok(Target::Remote(RemoteTarget {
            base: url,
            auth_token: token.map(Secret::new),
            http: HttpClient::with(HttpOptions {
                connect_timeout: self.connect_timeout,
                ..HttpOptions::default()
            }),
        }))
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, more: &[(&str, Plain)]) -> Read<Config> {
        let mut entries = vec![("url".to_owned(), Plain::Text(url.to_owned()))];
        entries.extend(
            more.iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone())),
        );
        Config::read(&Plain::Map(entries), false)
    }

    fn base(url: &str) -> String {
        match read(url, &[]).unwrap().target {
            Target::Remote(target) => target.base.to_string(),
            Target::Local(target) => target.path,
        }
    }

    #[test]
    fn urls_name_files_and_servers() {
        assert_eq!(base("file:local.db"), "local.db");
        assert_eq!(base("file:///a/b%20c.db"), "/a/b c.db");
        assert_eq!(base("file://localhost/a.db"), "/a.db");
        assert_eq!(base("libsql://db.turso.io"), "https://db.turso.io/");
        assert_eq!(
            base("libsql://127.0.0.1:8080?tls=0"),
            "http://127.0.0.1:8080/"
        );
        assert_eq!(base("ws://127.0.0.1:8080"), "http://127.0.0.1:8080/");
        assert_ne!(
            base(":memory:"),
            base(":memory:"),
            "each pool has its own memory"
        );
    }

    #[test]
    fn each_wrong_url_says_what_is_wrong_with_it() {
        for (url, code, part) in [
            ("local.db", "URL_INVALID", "no scheme"),
            ("mysql://h/d", "URL_SCHEME_NOT_SUPPORTED", "'mysql:'"),
            ("file:a.db?mode=ro", "URL_PARAM_NOT_SUPPORTED", "query"),
            ("file://other/a.db", "URL_INVALID", "another machine"),
            ("file:", "URL_INVALID", "no file"),
            ("libsql://h?tls=0", "URL_INVALID", "needs a port"),
            ("http://h?x=1", "URL_PARAM_NOT_SUPPORTED", "'x'"),
        ] {
            let error = read(url, &[]).err().unwrap();
            assert_eq!(error.code(), code, "{url}");
            assert!(error.message.contains(part), "{url}: {}", error.message);
        }
    }

    #[test]
    fn what_this_build_lacks_is_refused_by_name() {
        for (key, _) in REFUSED {
            let error = read("file:a.db", &[(key, Plain::Text("x".into()))])
                .err()
                .unwrap();
            assert!(
                error
                    .message
                    .starts_with(&format!("options.{key} is refused"))
            );
        }
    }

    #[test]
    fn the_seeds_defaults_hold() {
        let config = read("file:a.db", &[]).unwrap();
        assert_eq!(config.pool.limits.max, 5);
        assert_eq!(
            config.pool.limits.acquire_timeout,
            Limit::At(Duration::from_secs(10))
        );
        assert_eq!(
            config.pool.limits.idle_timeout,
            Limit::At(Duration::from_mins(5))
        );
        assert_eq!(config.query_timeout, Limit::At(Duration::from_secs(30)));
        assert_eq!(config.int_mode, IntMode::Number);
    }

    #[test]
    fn a_token_in_the_url_is_not_shown() {
        let config = read("https://db.example.com/?authToken=secret", &[]).unwrap();
        assert_eq!(config.shown_url, "https://db.example.com/");
    }
}
