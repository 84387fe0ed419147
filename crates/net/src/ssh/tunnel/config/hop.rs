//! A server on the way, or at its end: address, user, credentials, host keys.

use std::{
    env,
    path::{Path, PathBuf},
};

use moorline_core::{
    options::{OptionError, Options, PlainValue, Read},
    secret::Secret,
    ssh::HostName,
};

use super::{host_keys::HostKeySource, non_empty, required};
use crate::dial::Target;

const DEFAULT_PORT: u64 = 22;
/// The types of certificates end so.
const CERTIFICATE_SUFFIX: &str = "-cert-v01@openssh.com";
/// The pipe of OpenSSH's agent on Windows.
#[cfg(windows)]
const WINDOWS_AGENT: &str = r"\\.\pipe\openssh-ssh-agent";

/// Where a private key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// `sshKeyPath`: a file.
    File(PathBuf),
    /// `privateKey`: the text itself.
    Given(Secret),
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// A file that must be there.
    File(PathBuf),
    /// The text itself.
    Given(String),
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The secret itself.
    Given(Secret),
    /// A function, asked before each attempt.
    Function,
}

/// The configuration of one hop.
#[derive(Clone, Debug, PartialEq)]
pub struct HopConfig {
    /// `sshHost`.
    pub host: String,
    /// `sshPort` (default 22).
    pub port: u16,
    /// `sshUsername`.
    pub user: String,
    /// `sshKeyPath` or `privateKey`.
    pub key: Option<KeySource>,
    /// `passphrase`.
    pub passphrase: Option<SecretSource>,
    /// `certificate` (default: the file beside the key whose name ends in `-cert.pub`, when there is one).
    pub certificate: Option<CertificateSource>,
    /// `agent`: the path of its socket.
    pub agent: Option<PathBuf>,
    /// `password`.
    pub password: Option<SecretSource>,
    /// `keyboardInteractive`: whether a function answers the server's questions.
    pub is_interactive: bool,
    /// `knownHosts`, `hostKeyFingerprint` and `hostKeyVerification`.
    pub host_keys: HostKeySource,
}

impl HopConfig {
    pub(super) fn read(options: &Options<'_>) -> Read<Self> {
        let hop = Self {
            host: required(options, "sshHost")?.to_owned(),
            port: options.integer("sshPort", DEFAULT_PORT, 1..=65_535)? as u16,
            user: required(options, "sshUsername")?.to_owned(),
            key: read_key(options)?,
            passphrase: read_secret(options, "passphrase")?,
            certificate: read_certificate(options)?,
            agent: read_agent(options)?,
            password: read_secret(options, "password")?,
            is_interactive: read_interactive(options)?,
            host_keys: HostKeySource::read(options)?,
        };
        let needs_key = |key| {
            let reason = "needs sshKeyPath or privateKey";
            Err(OptionError::bad_value(&options.path_of(key), reason))
        };
        match (&hop.key, &hop.passphrase, &hop.certificate) {
            (None, Some(_), _) => return needs_key("passphrase"),
            (None, None, Some(_)) => return needs_key("certificate"),
            _ => {}
        }
        if hop.has_credential() {
            return Ok(hop);
        }
        Err(OptionError::bad_value(
            &options.path_of("sshKeyPath"),
            "or another credential must be given: privateKey, agent, password or keyboardInteractive",
        ))
    }

    const fn has_credential(&self) -> bool {
        self.key.is_some() || self.agent.is_some() || self.password.is_some() || self.is_interactive
    }

    /// The host, as its key is looked up.
    pub(in crate::ssh::tunnel) fn host_name(&self) -> HostName {
        HostName::new(&self.host, self.port)
    }

    /// The host and the port, as they are dialled.
    pub(in crate::ssh::tunnel) fn target(&self) -> Target {
        Target::new(self.host.as_str(), self.port, false)
    }

    /// Both in a message.
    pub(in crate::ssh::tunnel) fn authority(&self) -> String {
        Target::new(self.host.to_ascii_lowercase(), self.port, false).authority()
    }
}

fn read_key(options: &Options<'_>) -> Read<Option<KeySource>> {
    let path = non_empty(options, "sshKeyPath")?.map(|path| KeySource::File(expand_home(path)));
    let text = match options.value("privateKey") {
        None => None,
        Some(PlainValue::Text(text)) => Some(Secret::new(text.as_str())),
        Some(PlainValue::Bytes(bytes)) => Some(Secret::new(bytes.as_slice())),
        Some(other) => {
            let path = options.path_of("privateKey");
            return Err(OptionError::wrong_type(&path, "a string or bytes", other));
        }
    };
    match (path, text) {
        (Some(_), Some(_)) => Err(OptionError::bad_value(
            &options.path_of("privateKey"),
            "cannot be given with sshKeyPath",
        )),
        (path, text) => Ok(path.or(text.map(KeySource::Given))),
    }
}

/// A secret, or the function that is asked for it.
fn read_secret(options: &Options<'_>, key: &'static str) -> Read<Option<SecretSource>> {
    Ok(Some(match options.value(key) {
        None => return Ok(None),
        Some(PlainValue::Text(text)) => SecretSource::Given(Secret::new(text.as_str())),
        Some(PlainValue::Bytes(bytes)) => SecretSource::Given(Secret::new(bytes.as_slice())),
        Some(value) if is_function(value) => SecretSource::Function,
        Some(other) => {
            let path = options.path_of(key);
            let expected = "a string, bytes or a function";
            return Err(OptionError::wrong_type(&path, expected, other));
        }
    }))
}

fn read_interactive(options: &Options<'_>) -> Read<bool> {
    match options.value("keyboardInteractive") {
        None => Ok(false),
        Some(value) if is_function(value) => Ok(true),
        Some(other) => {
            let path = options.path_of("keyboardInteractive");
            Err(OptionError::wrong_type(&path, "a function", other))
        }
    }
}

fn is_function(value: &PlainValue) -> bool {
    matches!(value, PlainValue::Other("a function"))
}

/// The text of a certificate, or the path of its file.
fn read_certificate(options: &Options<'_>) -> Read<Option<CertificateSource>> {
    let Some(given) = non_empty(options, "certificate")? else {
        return Ok(None);
    };
    let first_word = given.split_ascii_whitespace().next().unwrap_or_default();
    Ok(Some(if first_word.ends_with(CERTIFICATE_SUFFIX) {
        CertificateSource::Given(given.to_owned())
    } else {
        CertificateSource::File(expand_home(given))
    }))
}

fn read_agent(options: &Options<'_>) -> Read<Option<PathBuf>> {
    let path = options.path_of("agent");
    match options.value("agent") {
        None | Some(PlainValue::Bool(false)) => Ok(None),
        Some(PlainValue::Text(given)) if !given.is_empty() => Ok(Some(expand_home(given))),
        Some(PlainValue::Text(_)) => Err(OptionError::bad_value(&path, "must not be empty")),
        Some(PlainValue::Bool(true)) => default_agent()
            .ok_or_else(|| OptionError::bad_value(&path, "needs SSH_AUTH_SOCK, which is not set"))
            .map(Some),
        Some(other) => {
            let expected = "a boolean or a string";
            Err(OptionError::wrong_type(&path, expected, other))
        }
    }
}

fn default_agent() -> Option<PathBuf> {
    let given = env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
    #[cfg(windows)]
    let given = given.or_else(|| Some(WINDOWS_AGENT.into()));
    given.map(PathBuf::from)
}

/// The path, where `~` is the user's home.
pub(super) fn expand_home(path: &str) -> PathBuf {
    let rest = match path.strip_prefix('~') {
        Some("") => Some(""),
        Some(rest) => rest
            .strip_prefix('/')
            .or_else(|| rest.strip_prefix(std::path::MAIN_SEPARATOR)),
        None => None,
    };
    match (rest, home()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => Path::new(path).to_owned(),
    }
}

fn home() -> Option<PathBuf> {
    let name = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    env::var_os(name)
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
}
