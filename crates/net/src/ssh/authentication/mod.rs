//! Authentication of the user (RFC 4252): the credentials in turn, for as many methods as the server asks for.

mod agent;
mod identity;
mod keyboard_interactive;
mod pem;
mod private_key;
mod reply;
mod short_number;

use std::{fmt, path::PathBuf, sync::Arc};

use moorline_core::{error::Failure, secret::Secret};

pub use self::{
    keyboard_interactive::{AnswerFuture, Prompt, PromptRequest, Prompter},
    private_key::{PrivateKey, PrivateKeyError},
};
use self::{private_key::auth_failure, reply::Reply};
use super::{
    connection::Connection,
    error::SessionError,
    message::{
        SERVICE_ACCEPT, SERVICE_REQUEST, USERAUTH_BANNER, USERAUTH_FAILURE, USERAUTH_METHOD_REPLY,
        USERAUTH_REQUEST, USERAUTH_SUCCESS,
    },
    wire::{Reader, printable, put_string},
};
use crate::dial::ByteStream;

const SERVICE: &[u8] = b"ssh-userauth";
/// The service that is used after authentication.
const NEXT_SERVICE: &[u8] = b"ssh-connection";
/// The longest banner that is kept.
const MAX_BANNER: usize = 16 * 1024;
/// The default of sshd's `MaxAuthTries`, at which it ends the connection.
const USUAL_MAX_TRIES: usize = 6;

/// One way to authenticate.
#[derive(Clone)]
pub enum Credential {
    /// A key, and its certificate if it has one.
    PrivateKey(Arc<PrivateKey>),
    /// The keys of an agent, at the path of its socket (on Windows: of its pipe).
    Agent(PathBuf),
    /// A password.
    Password(Secret),
    /// Answers to the server's questions.
    KeyboardInteractive(Arc<dyn Prompter>),
}

impl Credential {
    /// The name of its method.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::PrivateKey(_) | Self::Agent(_) => "publickey",
            Self::Password(_) => "password",
            Self::KeyboardInteractive(_) => "keyboard-interactive",
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method())
    }
}

/// Authenticates the user; returns the server's banner.
pub(crate) async fn authenticate<S: ByteStream>(
    connection: &mut Connection<S>,
    credentials: &[Credential],
) -> Result<String, SessionError> {
    let mut authenticator = Authenticator {
        connection,
        banner: String::new(),
        refused: Vec::new(),
        local_failure: None,
    };
    authenticator.request_service().await?;
    match authenticator.run(credentials).await {
        Ok(()) => Ok(authenticator.banner),
        Err(error) => Err(authenticator.explain(error)),
    }
}

struct Authenticator<'c, S> {
    connection: &'c mut Connection<S>,
    banner: String,
    /// What the server has refused, as a message names it.
    refused: Vec<String>,
    /// Why a credential could not be used at all.
    local_failure: Option<Failure>,
}

/// What came of a credential.
enum Attempt {
    Accepted,
    /// The server wants another, or one more.
    Refused {
        /// The methods that can go on.
        methods: Vec<String>,
        /// Whether the credential was accepted, as one of several.
        is_partial: bool,
    },
    /// It could not be tried.
    Unusable(Failure),
}

impl<S: ByteStream> Authenticator<'_, S> {
    async fn request_service(&mut self) -> Result<(), SessionError> {
        let mut message = vec![SERVICE_REQUEST];
        put_string(&mut message, SERVICE);
        let answer = self.connection.request(&message).await?;
        match answer.payload.first() {
            Some(&SERVICE_ACCEPT) => Ok(()),
            _ => Err(SessionError::violation(
                "it did not accept the request to authenticate",
            )),
        }
    }

    /// Tries the credentials whose method can go on, in their order. One is used once.
    async fn run(&mut self, credentials: &[Credential]) -> Result<(), SessionError> {
        let mut allowed = None;
        // A single one is tried at once; among several the server's methods decide.
        if credentials.len() != 1 {
            let probe = self.begin_request(b"none");
            match self.exchange(&probe).await? {
                Reply::Success => return Ok(()),
                Reply::Failure { methods, .. } => allowed = Some(methods),
                Reply::Method(_) => return Err(reply::unexpected()),
            }
        }
        let mut unused: Vec<&Credential> = credentials.iter().collect();
        loop {
            let can_go_on = |one: &&Credential| {
                let name = one.method();
                let is_allowed = |names: &Vec<String>| names.iter().any(|other| other == name);
                allowed.as_ref().is_none_or(is_allowed)
            };
            let Some(index) = unused.iter().position(can_go_on) else {
                return Err(self.refusal(&allowed.unwrap_or_default()).into());
            };
            let credential = unused.remove(index);
            match self.attempt(credential, unused.len()).await? {
                Attempt::Accepted => return Ok(()),
                Attempt::Refused { methods, .. } => allowed = Some(methods),
                Attempt::Unusable(failure) => self.local_failure = Some(failure),
            }
        }
    }

    async fn attempt(
        &mut self,
        credential: &Credential,
        others: usize,
    ) -> Result<Attempt, SessionError> {
        match credential {
            Credential::PrivateKey(key) => self.attempt_private_key(key).await,
            Credential::Agent(path) => {
                // So that the server does not end the connection before the others had their turn.
                let tries = match others {
                    0 => usize::MAX,
                    others => USUAL_MAX_TRIES.saturating_sub(1 + others).max(1),
                };
                self.attempt_agent(path, tries).await
            }
            Credential::Password(password) => self.attempt_password(password).await,
            Credential::KeyboardInteractive(prompter) => {
                self.attempt_keyboard_interactive(prompter.as_ref()).await
            }
        }
    }

    /// RFC 4252, section 8.
    async fn attempt_password(&mut self, password: &Secret) -> Result<Attempt, SessionError> {
        let mut message = self.begin_request(b"password");
        message.push(0);
        put_string(&mut message, password.expose());
        let reply = self.exchange(&message).await;
        message.fill(0);
        match reply? {
            Reply::Success => Ok(Attempt::Accepted),
            Reply::Failure {
                methods,
                is_partial,
            } => Ok(self.refused("password", methods, is_partial)),
            Reply::Method(_) => Ok(Attempt::Unusable(auth_failure(
                "ERR_SSH_PASSWORD_EXPIRED",
                "the SSH server wants the password to be changed".to_owned(),
            ))),
        }
    }

    /// The beginning of every request: user, service, method.
    fn begin_request(&self, method: &[u8]) -> Vec<u8> {
        let mut message = vec![USERAUTH_REQUEST];
        put_string(&mut message, self.connection.config.user.as_bytes());
        put_string(&mut message, NEXT_SERVICE);
        put_string(&mut message, method);
        message
    }

    /// Sends a message of a method and waits for what decides about it.
    async fn exchange(&mut self, message: &[u8]) -> Result<Reply, SessionError> {
        self.connection.send(message)?;
        loop {
            let packet = self.connection.receive().await?;
            match packet.payload.first().copied() {
                Some(USERAUTH_SUCCESS) => return Ok(Reply::Success),
                Some(USERAUTH_FAILURE) => return Ok(Reply::parse_failure(&packet.payload)?),
                Some(USERAUTH_METHOD_REPLY) => return Ok(Reply::Method(packet.payload)),
                Some(USERAUTH_BANNER) => {
                    let mut reader = Reader::new(packet.payload.get(1..).unwrap_or_default());
                    let room = MAX_BANNER.saturating_sub(self.banner.len());
                    self.banner.push_str(&printable(reader.string()?, room));
                }
                _ => self.connection.refuse(&packet)?,
            }
        }
    }

    /// A credential that was refused, or accepted as one of several.
    fn refused(&mut self, what: &str, methods: Vec<String>, is_partial: bool) -> Attempt {
        if !is_partial {
            self.refused.push(what.to_owned());
        }
        Attempt::Refused {
            methods,
            is_partial,
        }
    }

    /// What was refused before a server that had enough of it ended the connection, as sshd does after `MaxAuthTries`.
    fn explain(&self, error: SessionError) -> SessionError {
        match error {
            SessionError::Disconnected(disconnect) if !self.refused.is_empty() => {
                let message = format!(
                    "the SSH server ended the connection: {} ({}), after it had refused {}",
                    disconnect.description,
                    disconnect.reason,
                    self.refused.join(", ")
                );
                let failure = auth_failure("ERR_SSH_AUTH_REFUSED", message)
                    .with_detail("reason", disconnect.reason)
                    .with_detail("refused", self.refused.clone());
                failure.into()
            }
            error => error,
        }
    }

    /// The failure once no credential is left.
    fn refusal(&mut self, methods: &[String]) -> Failure {
        if self.refused.is_empty()
            && let Some(failure) = self.local_failure.take()
        {
            return failure;
        }
        let user = &self.connection.config.user;
        let refused = match self.refused.as_slice() {
            [] => "no credential was for a method that it accepts".to_owned(),
            refused => format!("refused: {}", refused.join(", ")),
        };
        let message = format!(
            "the SSH server did not authenticate {user} ({refused}); it accepts {}",
            match methods {
                [] => "nothing more".to_owned(),
                methods => methods.join(", "),
            }
        );
        let failure = auth_failure("ERR_SSH_AUTH_REFUSED", message)
            .with_detail("methods", methods)
            .with_detail("refused", self.refused.clone());
        let failure = if self.banner.is_empty() {
            failure
        } else {
            failure.with_detail("banner", self.banner.as_str())
        };
        match self.local_failure.take() {
            Some(local) => {
                let code = local.code.clone().into_owned();
                failure.with_cause(local.message.clone(), Some(code))
            }
            None => failure,
        }
    }
}
