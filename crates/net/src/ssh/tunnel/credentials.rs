//! The credentials of a hop, gathered before each attempt.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    secret::Secret,
    sync::lock,
};

use super::{
    config::{CertificateSource, HopConfig, KeySource, SecretSource},
    file::{self, Stamps},
};
use crate::{
    blocking::run_blocking,
    ssh::{AnswerFuture, Credential, PrivateKey, PrivateKeyError, PromptRequest, Prompter},
};

/// Node's code for a value that cannot be used; `lib/` throws a `TypeError` for it.
const INVALID_VALUE: &str = "ERR_INVALID_ARG_VALUE";

/// The future of a secret.
pub type SecretFuture<'a> = Pin<Box<dyn Future<Output = Outcome<Secret>> + Send + 'a>>;

/// What a function is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// `password`.
    Password,
    /// `passphrase`.
    Passphrase,
}

/// The hop that a function is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRequest {
    /// Its index in [`super::TunnelConfig::hops`]; the last one is the server itself.
    pub hop: usize,
    /// Its host.
    pub host: String,
    /// The name of the user.
    pub user: String,
}

/// The user's functions that give credentials. A failure of kind `auth` is not repeated, any other as a lost connection is.
pub trait CredentialSource: Send + Sync {
    /// Gives a secret, before an attempt.
    fn secret<'a>(&'a self, hop: &'a CredentialRequest, kind: SecretKind) -> SecretFuture<'a>;

    /// Answers a server's questions.
    fn answer<'a>(
        &'a self,
        hop: &'a CredentialRequest,
        request: &'a PromptRequest,
    ) -> AnswerFuture<'a>;
}

/// The answers to one hop's server.
struct HopPrompter {
    source: Arc<dyn CredentialSource>,
    request: CredentialRequest,
}

impl Prompter for HopPrompter {
    fn answer<'a>(&'a self, request: &'a PromptRequest) -> AnswerFuture<'a> {
        self.source.answer(&self.request, request)
    }
}

/// A key that was read, and what it was read from.
struct KnownKey {
    stamps: Stamps,
    key: Arc<PrivateKey>,
}

/// Gathers the credentials of one hop.
pub(super) struct Credentials {
    request: CredentialRequest,
    source: Option<Arc<dyn CredentialSource>>,
    known: Mutex<Option<KnownKey>>,
}

impl Credentials {
    pub(super) fn new(
        hop: usize,
        config: &HopConfig,
        source: Option<Arc<dyn CredentialSource>>,
    ) -> Self {
        Self {
            request: CredentialRequest {
                hop,
                host: config.host.clone(),
                user: config.user.clone(),
            },
            source,
            known: Mutex::default(),
        }
    }

    /// The credentials for a session that is opened now, in the order in which they are tried.
    pub(super) async fn gather(&self, config: &HopConfig) -> Outcome<Vec<Credential>> {
        let mut credentials = Vec::new();
        if let Some(key) = &config.key {
            let key = self.key(key, config).await?;
            credentials.push(Credential::PrivateKey(key));
        }
        if let Some(path) = &config.agent {
            credentials.push(Credential::Agent(path.clone()));
        }
        if let Some(password) = &config.password {
            let password = self.secret(password, SecretKind::Password).await?;
            credentials.push(Credential::Password(password));
        }
        if config.is_interactive {
            credentials.push(Credential::KeyboardInteractive(Arc::new(HopPrompter {
                source: Arc::clone(self.source()?),
                request: self.request.clone(),
            })));
        }
        Ok(credentials)
    }

    fn source(&self) -> Outcome<&Arc<dyn CredentialSource>> {
        self.source.as_ref().ok_or_else(Failure::defect)
    }

    async fn secret(&self, source: &SecretSource, kind: SecretKind) -> Outcome<Secret> {
        match source {
            SecretSource::Given(secret) => Ok(secret.clone()),
            SecretSource::Function => self.source()?.secret(&self.request, kind).await,
        }
    }

    /// The private key: that of the last attempt, while its files are as they were and nobody is asked for its passphrase.
    async fn key(&self, source: &KeySource, config: &HopConfig) -> Outcome<Arc<PrivateKey>> {
        let certificate = config.certificate.clone();
        let source = source.clone();
        let is_asked = config.passphrase == Some(SecretSource::Function);
        let files = KeyFiles {
            source,
            certificate,
        };
        let (files, stamps) = run_blocking(move || {
            let stamps = file::stamps_of(&files.paths());
            (files, stamps)
        })
        .await?;
        let known = lock(&self.known)
            .as_ref()
            .filter(|known| !is_asked && known.stamps == stamps)
            .map(|known| Arc::clone(&known.key));
        if let Some(key) = known {
            return Ok(key);
        }
        let passphrase = match &config.passphrase {
            Some(passphrase) => Some(self.secret(passphrase, SecretKind::Passphrase).await?),
            None => None,
        };
        let name = files.name();
        let (text, certificate) = run_blocking(move || files.read()).await??;
        let decoded = PrivateKey::decode(text, passphrase, certificate).await?;
        let key = Arc::new(decoded.map_err(|error| unusable(&name, error))?);
        *lock(&self.known) = Some(KnownKey {
            stamps,
            key: Arc::clone(&key),
        });
        Ok(key)
    }
}

/// The files of a key.
struct KeyFiles {
    source: KeySource,
    certificate: Option<CertificateSource>,
}

impl KeyFiles {
    /// The certificate's file: the one that was given, else the one beside the key.
    fn certificate_path(&self) -> Option<PathBuf> {
        match (&self.certificate, &self.source) {
            (Some(CertificateSource::File(path)), _) => Some(path.clone()),
            (None, KeySource::File(key)) => {
                let mut name = key.clone().into_os_string();
                name.push("-cert.pub");
                Some(name.into())
            }
            _ => None,
        }
    }

    fn paths(&self) -> Vec<PathBuf> {
        let key = match &self.source {
            KeySource::File(path) => Some(path.clone()),
            KeySource::Given(_) => None,
        };
        key.into_iter().chain(self.certificate_path()).collect()
    }

    /// The key in a message.
    fn name(&self) -> String {
        match &self.source {
            KeySource::File(path) => format!("the SSH key file {}", path.display()),
            KeySource::Given(_) => "the option privateKey".to_owned(),
        }
    }

    /// The texts of the key and of its certificate.
    fn read(&self) -> Outcome<(Secret, Option<String>)> {
        let key = match &self.source {
            KeySource::File(path) => file::read(path)
                .map(Secret::new)
                .map_err(|error| unreadable("SSH key file", path, &error))?,
            KeySource::Given(text) => text.clone(),
        };
        let certificate = match (&self.certificate, self.certificate_path()) {
            (Some(CertificateSource::Given(text)), _) => Some(text.clone()),
            (given, Some(path)) => match file::read(&path) {
                Ok(text) => Some(String::from_utf8_lossy(&text).into_owned()),
                Err(_) if given.is_none() => None,
                Err(error) => return Err(unreadable("SSH certificate file", &path, &error)),
            },
            (_, None) => None,
        };
        Ok((key, certificate))
    }
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Failure {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "not found",
        _ => "cannot be read",
    };
    let message = format!("{what} {why} at path: {}", path.display());
    Failure::new(Kind::Auth, message)
        .with_code(INVALID_VALUE)
        .with_cause(error.to_string(), None)
        .with_detail("path", path.display().to_string())
}

/// What is no key at all is the caller's mistake; a key that cannot be used has a code of its own.
fn unusable(name: &str, error: PrivateKeyError) -> Failure {
    let failure = Failure::from(error);
    let message = format!("{name}: {}", failure.message);
    let failure = failure.with_message(message);
    match error {
        PrivateKeyError::NotAKey | PrivateKeyError::NotACertificate => {
            failure.with_code(INVALID_VALUE)
        }
        _ => failure,
    }
}
