//! The database a URL names.

use std::{
    borrow::Cow,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use moorline_core::{
    options::{OptionError, Read},
    secret::Secret,
};
use url::Url;

use crate::libsql::{local::LocalTarget, remote::transport::RemoteTarget, uri::Uri};
use moorline_net::dial::DialConfig;

/// The URL of a database in memory.
const MEMORY: &str = ":memory:";

/// The database.
pub enum Target {
    /// A file or memory.
    Local(LocalTarget),
    /// A server.
    Remote(Box<RemoteTarget>),
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

/// The options that decide the target.
pub(super) struct TargetOptions<'a> {
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
    /// For files and memory.
    pub inline: Duration,
    /// For servers.
    pub dial: DialConfig,
    /// The variable that the URL is of, for messages.
    pub origin: Option<String>,
}

impl TargetOptions<'_> {
    /// The database they name.
    pub(super) fn target(&self) -> Read<Target> {
        // `:memory:` by itself is no URL, and may have the query of one.
        let text = match self.url.strip_prefix(MEMORY) {
            Some(rest) if matches!(rest.chars().next(), None | Some('?')) => {
                Cow::Owned(format!("file:{}", self.url))
            }
            _ => Cow::Borrowed(self.url),
        };
        let uri = Uri::parse(&text).map_err(|reason| self.invalid(reason))?;
        // An escape would be part of a file's name.
        let in_memory = uri.scheme == "file" && uri.authority.is_none() && uri.path == MEMORY;
        let (token, tls) = self.read_query(&uri, in_memory)?;
        if uri.scheme == "libsql" && tls == Some(false) && !has_port(&uri) {
            return Err(self.invalid("needs a port when TLS is off"));
        }
        if !matches!(
            &*uri.scheme,
            "file" | "libsql" | "https" | "http" | "wss" | "ws"
        ) {
            let scheme = &uri.scheme;
            let reason = format!(
                "has the unsupported scheme \"{scheme}:\"; use 'file:', ':memory:', 'libsql:', 'https:' or 'http:'"
            );
            return Err(
                OptionError::bad_value(&self.path, reason).with_code("URL_SCHEME_NOT_SUPPORTED")
            );
        }
        if uri.has_fragment {
            return Err(self.invalid("has a fragment"));
        }
        match &*uri.scheme {
            "file" if in_memory => Ok(self.memory()),
            "file" => self.file(&uri),
            _ => self.remote(&uri, token, tls),
        }
    }

    fn invalid(&self, reason: &str) -> OptionError {
        OptionError::bad_value(&self.path, reason).with_code("URL_INVALID")
    }

    /// The token and whether TLS is on, by the query and else by the options. What is for servers alone means nothing to
    /// a file, as with the usual client, so that one URL may be put in the place of another.
    fn read_query(&self, uri: &Uri<'_>, in_memory: bool) -> Read<(Option<Secret>, Option<bool>)> {
        let is_remote = uri.scheme != "file";
        let mut token = match self.token {
            Some(token) if is_remote => read_token(
                token,
                &self.token_path,
                "must be a token of visible ASCII characters",
            )?,
            _ => None,
        };
        let mut tls = self.tls;
        for (key, value) in &uri.query {
            match (&**key, &**value) {
                // All connections of the pool share it in any case.
                ("cache", "shared" | "private") if in_memory => {}
                ("cache", _) if in_memory => {
                    return Err(
                        self.invalid("has a value of \"cache\" that is not 'shared' or 'private'")
                    );
                }
                ("authToken", value) if is_remote => {
                    let reason =
                        "has an \"authToken\" that is not a token of visible ASCII characters";
                    token = read_token(value, &self.path, reason)?;
                }
                ("authToken", _) => {}
                ("tls", "0") => tls = Some(false),
                ("tls", "1") => tls = Some(true),
                ("tls", value) => {
                    // What is long may be a token that stands in the wrong place.
                    let value = if value.len() <= 8 { value } else { "…" };
                    let reason =
                        format!("has \"tls\" set to \"{value}\", which is neither '0' nor '1'");
                    return Err(self.invalid(&reason));
                }
                (key, value) => return Err(self.unsupported(key, value)),
            }
        }
        Ok((token, tls))
    }

    fn unsupported(&self, key: &str, value: &str) -> OptionError {
        // What has no value may be a token without its name.
        let is_name = (1..=32).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphabetic());
        let reason = if is_name && !value.is_empty() {
            format!("has the unsupported query parameter \"{key}\"")
        } else {
            "has a query parameter that is not supported".to_owned()
        };
        OptionError::bad_value(&self.path, reason).with_code("URL_PARAM_NOT_SUPPORTED")
    }

    /// One database in memory for all connections of the pool, by SQLite's memdb VFS: with a shared cache,
    /// a locked table is an error at once and never waited for. Its name cannot be guessed, as SQL can attach it.
    fn memory(&self) -> Target {
        let mut name = [0; 16];
        if aws_lc_rs::rand::fill(&mut name).is_err() {
            fastrand::fill(&mut name);
        }
        let name = u128::from_ne_bytes(name);
        Target::Local(LocalTarget {
            path: format!("file:/moorline-{name:032x}?vfs=memdb"),
            memory_transactions: Some(Arc::new(AtomicUsize::new(0))),
            checkpointer: Arc::default(),
            busy_timeout: self.busy_timeout,
            inline: self.inline,
            origin: self.origin.clone(),
        })
    }

    fn file(&self, uri: &Uri<'_>) -> Read<Target> {
        // file:/a, file:///a and file:a: the authority of a file URL is this machine.
        let is_elsewhere = |host: &str| !host.is_empty() && !host.eq_ignore_ascii_case("localhost");
        if uri.authority.is_some_and(is_elsewhere) {
            return Err(self.invalid("names a remote host; use 'file:path' or 'file:///path'"));
        }
        let path = uri.decoded_path.as_str();
        if path.is_empty() || path.contains('\0') {
            return Err(self.invalid("has no file path"));
        }
        // The engine would read these as a URI with options, and as a database in memory.
        let path = if path.starts_with("file:") || path.starts_with(':') {
            format!("./{path}")
        } else {
            path.to_owned()
        };
        Ok(Target::Local(LocalTarget {
            path,
            memory_transactions: None,
            checkpointer: Arc::default(),
            busy_timeout: self.busy_timeout,
            inline: self.inline,
            origin: self.origin.clone(),
        }))
    }

    fn remote(&self, uri: &Uri<'_>, token: Option<Secret>, tls: Option<bool>) -> Read<Target> {
        let Some(authority) = uri.authority.filter(|authority| !authority.is_empty()) else {
            return Err(self.invalid("has no host after '//'"));
        };
        if authority.contains('@') {
            return Err(self.invalid("has a user name or a password; give a token in 'authToken'"));
        }
        // A parser of URLs would leave them out, or take them for a slash.
        if authority.contains(|c: char| c <= ' ' || c == '\\') {
            return Err(self.invalid("has invalid characters in its host"));
        }
        let secure = match (&*uri.scheme, tls) {
            ("libsql", tls) => tls.unwrap_or(true),
            ("https" | "wss", Some(false)) | ("http" | "ws", Some(true)) => {
                return Err(
                    self.invalid("contradicts 'tls': TLS is on with 'https:' and 'wss:' only")
                );
            }
            (scheme, _) => matches!(scheme, "https" | "wss"),
        };
        let scheme = if secure { "https" } else { "http" };
        let base = Url::parse(&format!("{scheme}://{authority}{}", uri.path))
            .map_err(|error| self.invalid(&format!("is not a URL: {error}")))?;
        Ok(Target::Remote(Box::new(RemoteTarget {
            base,
            auth_token: token,
            dial: self.dial.clone(),
        })))
    }
}

/// Whether its authority ends with a port.
fn has_port(uri: &Uri<'_>) -> bool {
    let port = uri
        .authority
        .and_then(|authority| authority.rsplit_once(':'));
    port.is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A token, without the blanks and line breaks around it that one from a file has, as `fetch` sends it. An empty one is
/// none. `refusal` does not show one that cannot be sent.
fn read_token(token: &str, path: &str, refusal: &str) -> Read<Option<Secret>> {
    let token = token.trim_matches([' ', '\t', '\r', '\n']);
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(OptionError::bad_value(path, refusal));
    }
    Ok((!token.is_empty()).then(|| Secret::new(token)))
}
