//! From a URL to a database.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use moorline_core::{
    options::{OptionError, Read},
    secret::Secret,
};
use url::Url;

use super::{local::LocalTarget, stream::RemoteTarget};
use crate::{dial::DialOptions, http::HttpClient};

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

/// What decides the target.
pub(super) struct Given<'a> {
    /// The URL as written.
    pub url: &'a str,
    /// Its path among the options, for messages.
    pub path: String,
    /// The option `authToken`.
    pub token: Option<&'a str>,
    /// Its path among the options.
    pub token_path: String,
    /// The option `tls`.
    pub tls: Option<bool>,
    /// For files and memory.
    pub busy_timeout: Duration,
    /// For servers.
    pub connect_timeout: Duration,
}

impl Given<'_> {
    /// The database they name.
    pub(super) fn target(&self) -> Read<Target> {
        let (bare, query) = self.url.split_once('?').unwrap_or((self.url, ""));
        if matches!(bare, ":memory:" | "file::memory:") {
            // All connections of the pool share it, which is what a shared cache is asked for.
            self.check_query(query, |key, value| (key, value) == ("cache", "shared"))?;
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

    fn unsupported(&self, key: &str, value: &str) -> OptionError {
        // What has no value may be a token without its name.
        let is_name = (1..=32).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphabetic());
        let reason = if is_name && !value.is_empty() {
            format!("has the unsupported query parameter '{key}'")
        } else {
            "has a query parameter that is not supported".to_owned()
        };
        OptionError::bad_value(&self.path, reason).with_code("URL_PARAM_NOT_SUPPORTED")
    }

    /// One database in memory for all connections of the pool, by SQLite's memdb VFS: with a shared cache,
    /// a locked table is an error at once and never waited for. Nobody can guess its name, as SQL can attach it.
    fn memory(&self) -> Target {
        let mut name = [0; 16];
        if aws_lc_rs::rand::fill(&mut name).is_err() {
            fastrand::fill(&mut name);
        }
        let name = u128::from_ne_bytes(name);
        Target::Local(LocalTarget {
            path: format!("file:/moorline-{name:032x}?vfs=memdb"),
            memory_transactions: Some(Arc::new(AtomicUsize::new(0))),
            busy_timeout: self.busy_timeout,
        })
    }

    /// Refuses what a file does not take in its query. What is for servers alone means nothing here, as with the usual
    /// client, so that one URL may be put in the place of another.
    fn check_query(&self, query: &str, accepts: impl Fn(&str, &str) -> bool) -> Read<()> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let of_a_server = key == "authToken" || key == "tls" && matches!(value, "0" | "1");
            if !of_a_server && !accepts(key, value) {
                return Err(self.unsupported(key, value));
            }
        }
        Ok(())
    }

    fn file(&self, rest: &str) -> Read<Target> {
        if rest.contains('#') {
            let reason = "has a fragment, which 'file:' URLs do not take here";
            return Err(
                OptionError::bad_value(&self.path, reason).with_code("URL_PARAM_NOT_SUPPORTED")
            );
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        self.check_query(query, |_, _| false)?;
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
        // The engine would read these as a URI with options, and as a database in memory.
        let path = if path.starts_with("file:") || path.starts_with(':') {
            format!("./{path}")
        } else {
            path
        };
        Ok(Target::Local(LocalTarget {
            path,
            memory_transactions: None,
            busy_timeout: self.busy_timeout,
        }))
    }

    fn remote(&self) -> Read<Target> {
        let mut url = Url::parse(self.url)
            .map_err(|error| self.invalid(&format!("is not a URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.invalid("has a user name or a password; give a token in 'authToken'"));
        }
        if url.fragment().is_some() {
            return Err(self.invalid("has a fragment"));
        }
        let mut token = self
            .token
            .map(|token| read_token(token, &self.token_path))
            .transpose()?
            .flatten();
        let mut tls = self.tls;
        for (key, value) in url.query_pairs() {
            match (&*key, &*value) {
                ("authToken", value) => token = read_token(value, &self.path)?,
                ("tls", "0") => tls = Some(false),
                ("tls", "1") => tls = Some(true),
                (key, value) => return Err(self.unsupported(key, value)),
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
            auth_token: token,
            http: HttpClient::with(DialOptions {
                connect_timeout: self.connect_timeout,
                ..DialOptions::default()
            }),
        }))
    }
}

/// A token, without the blanks and line breaks around it that one from a file has, as `fetch` sends it. An empty one is
/// none.
fn read_token(token: &str, path: &str) -> Read<Option<Secret>> {
    let token = token.trim_matches([' ', '\t', '\r', '\n']);
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        // Not shown.
        let reason = "must be a token of visible ASCII characters";
        return Err(OptionError::bad_value(path, reason));
    }
    Ok((!token.is_empty()).then(|| Secret::new(token)))
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
