//! Logging in: the start of a session, and the user's proof.

use std::io;

use bytes::BytesMut;
use moorline_core::{
    error::{Failure, Kind, Outcome},
    secret::Secret,
};
use moorline_net::blocking::run_blocking;
use postgres_protocol::{
    authentication::{
        md5_hash,
        sasl::{
            ChannelBinding as ChannelBindingData, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
        },
    },
    message::{
        backend::{
            AUTHENTICATION_TAG, BACKEND_KEY_DATA_TAG, ERROR_RESPONSE_TAG, NOTICE_RESPONSE_TAG,
            PARAMETER_STATUS_TAG, READY_FOR_QUERY_TAG,
        },
        frontend,
    },
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    config::ChannelBinding,
    error::{ServerMessage, ended, protocol_failure, unexpected},
    frame::{Fields, Frame, Phase, next_frame},
    password::Password,
};

/// Who logs in, and where.
#[derive(Clone)]
pub(super) struct Login {
    /// The user.
    pub(super) user: String,
    /// The parameters of the session, the database among them.
    pub(super) parameters: Vec<(String, String)>,
    /// Where its password is looked for.
    pub(super) password: Password,
    /// Whether the password may be sent as it is, or as a hash that stands for it: nobody listens, or it was allowed.
    pub(super) reveals_password: bool,
    /// Whether the login is bound to the TLS session below it.
    pub(super) channel_binding: ChannelBinding,
    /// The data of the TLS session that it is bound to; `None` without TLS.
    pub(super) end_point: Option<Vec<u8>>,
}

/// A session that has begun.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    /// The number of the server process.
    pub(super) process_id: i32,
    /// The key that a cancellation needs.
    pub(super) secret_key: i32,
    /// The parameters that the server has told, such as `server_version`.
    pub(super) parameters: Vec<(String, String)>,
}

/// The messages of a server before the session has begun.
struct Greeting<'a, S> {
    stream: &'a mut S,
    received: &'a mut BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Greeting<'_, S> {
    async fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Outcome<()> {
        let mut bytes = BytesMut::new();
        write(&mut bytes).map_err(|error| unusable(&error))?;
        let sent = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| ended(Some(&error)))
    }

    /// The next message that is no notice; an error is a failure.
    async fn next(&mut self) -> Outcome<Frame> {
        loop {
            while let Some(frame) = next_frame(self.received, Phase::Greeting)? {
                match frame.tag {
                    NOTICE_RESPONSE_TAG => {}
                    ERROR_RESPONSE_TAG => {
                        let message = ServerMessage::read(&frame.body);
                        let failure =
                            message.map_or_else(|failure| failure, ServerMessage::into_failure);
                        return Err(failure.with_attempts(1));
                    }
                    _ => return Ok(frame),
                }
            }
            match self.stream.read_buf(self.received).await {
                Ok(0) => return Err(ended(None)),
                Ok(_) => {}
                Err(error) => return Err(ended(Some(&error))),
            }
        }
    }

    /// The next message about the login: its kind, and what follows.
    async fn next_request(&mut self) -> Outcome<(i32, bytes::Bytes)> {
        let frame = self.next().await?;
        if frame.tag != AUTHENTICATION_TAG {
            let came = [&[frame.tag][..], &frame.body].concat();
            return Err(unexpected("A message about the login was expected", &came));
        }
        let kind = Fields(&frame.body).i32()?;
        Ok((kind, frame.body.slice(4..)))
    }
}

/// Begins a session over `stream`; what was received beyond it stays in `received`.
pub(super) async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    received: &mut BytesMut,
    login: &Login,
) -> Outcome<Session> {
    let mut greeting = Greeting { stream, received };
    let parameters = || {
        let user = ("user", login.user.as_str());
        let others = login.parameters.iter();
        [user]
            .into_iter()
            .chain(others.map(|(name, value)| (name.as_str(), value.as_str())))
    };
    greeting
        .send(|bytes| frontend::startup_message(parameters(), bytes))
        .await?;
    authenticate(&mut greeting, login).await?;
    let mut session = Session::default();
    loop {
        let frame = greeting.next().await?;
        let mut fields = Fields(&frame.body);
        match frame.tag {
            PARAMETER_STATUS_TAG => {
                let (name, value) = (fields.text()?, fields.text()?);
                session.parameters.push((name.to_owned(), value.to_owned()));
            }
            BACKEND_KEY_DATA_TAG => {
                session.process_id = fields.i32()?;
                session.secret_key = fields.i32()?;
            }
            READY_FOR_QUERY_TAG => return Ok(session),
            _ => {
                return Err(protocol_failure(
                    "The server sent what belongs to no beginning of a session",
                ));
            }
        }
    }
}

async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    greeting: &mut Greeting<'_, S>,
    login: &Login,
) -> Outcome<()> {
    let (kind, data) = greeting.next_request().await?;
    if login.channel_binding == ChannelBinding::Require && kind != 10 {
        return Err(unbound());
    }
    match kind {
        0 => return Ok(()),
        3 => {
            let password = revealed(login, "as it is").await?;
            greeting
                .send(|bytes| frontend::password_message(password.expose(), bytes))
                .await?;
        }
        5 => {
            let password = revealed(login, "as an MD5 hash").await?;
            let salt = <[u8; 4]>::try_from(&*data)
                .map_err(|_| protocol_failure("The server sent a salt that is none"))?;
            let hash = md5_hash(login.user.as_bytes(), password.expose(), salt);
            greeting
                .send(|bytes| frontend::password_message(hash.as_bytes(), bytes))
                .await?;
        }
        10 => authenticate_by_scram(greeting, login, &data).await?,
        other => return Err(unsupported(other)),
    }
    match greeting.next_request().await? {
        (0, _) => Ok(()),
        _ => Err(protocol_failure("The server wants a second proof")),
    }
}

async fn authenticate_by_scram<S: AsyncRead + AsyncWrite + Unpin>(
    greeting: &mut Greeting<'_, S>,
    login: &Login,
    mechanisms: &[u8],
) -> Outcome<()> {
    let offers = |name: &str| {
        mechanisms
            .split(|byte| *byte == 0)
            .any(|offered| offered == name.as_bytes())
    };
    let end_point = login.end_point.as_ref();
    let end_point = end_point.filter(|_| login.channel_binding != ChannelBinding::Disable);
    let (mechanism, binding) = match end_point {
        Some(end_point) if offers(SCRAM_SHA_256_PLUS) => (
            SCRAM_SHA_256_PLUS,
            ChannelBindingData::tls_server_end_point(end_point.clone()),
        ),
        _ if login.channel_binding == ChannelBinding::Require => return Err(unbound()),
        // The server finds out whether somebody between has taken its offer away.
        Some(_) => (SCRAM_SHA_256, ChannelBindingData::unrequested()),
        None => (SCRAM_SHA_256, ChannelBindingData::unsupported()),
    };
    if !offers(mechanism) {
        return Err(auth_failure(
            "ERR_POSTGRES_AUTH_METHOD",
            "The server offers no mechanism that is supported (SCRAM-SHA-256)",
        ));
    }
    let password = login.password.get().await?;
    let mut scram = ScramSha256::new(password.expose(), binding);
    greeting
        .send(|bytes| frontend::sasl_initial_response(mechanism, scram.message(), bytes))
        .await?;
    let (kind, challenge) = greeting.next_request().await?;
    if kind != 11 {
        return Err(protocol_failure("The server broke off the login"));
    }
    // Thousands of rounds of a hash: the runtime has other connections to serve.
    let (mut scram, proved) = run_blocking(move || {
        let proved = scram.update(&challenge);
        (scram, proved)
    })
    .await?;
    proved.map_err(|error| scram_failure(&error))?;
    greeting
        .send(|bytes| frontend::sasl_response(scram.message(), bytes))
        .await?;
    let (kind, proof) = greeting.next_request().await?;
    if kind != 12 {
        return Err(protocol_failure("The server broke off the login"));
    }
    // The server has to know the password, too.
    scram.finish(&proof).map_err(|error| scram_failure(&error))
}

/// The password where it may be shown to whoever listens.
async fn revealed(login: &Login, how: &str) -> Outcome<Secret> {
    if login.reveals_password {
        return login.password.get().await;
    }
    let message = format!(
        "The server wants the password {how} over a connection without TLS (allowPlainPassword)"
    );
    Err(auth_failure("ERR_POSTGRES_PLAIN_PASSWORD", &message))
}

fn unbound() -> Failure {
    auth_failure(
        "ERR_POSTGRES_CHANNEL_BINDING",
        "The server does not bind the login to TLS, which channelBinding 'require' demands",
    )
}

fn unsupported(kind: i32) -> Failure {
    let method = match kind {
        2 => "Kerberos V5",
        6 => "SCM credentials",
        7 | 8 => "GSSAPI",
        9 => "SSPI",
        _ => "an unknown method",
    };
    let message = format!("The server wants {method}, which is not supported");
    auth_failure("ERR_POSTGRES_AUTH_METHOD", &message)
}

fn scram_failure(error: &io::Error) -> Failure {
    auth_failure("ERR_POSTGRES_SCRAM", "The login by SCRAM-SHA-256 failed")
        .with_cause(error.to_string(), None)
}

fn auth_failure(code: &'static str, message: &str) -> Failure {
    Failure::new(Kind::Auth, message)
        .with_code(code)
        .with_attempts(1)
}

/// A user or a parameter that no message can carry.
fn unusable(error: &io::Error) -> Failure {
    auth_failure(
        "ERR_POSTGRES_STARTUP",
        "The user, the database or a parameter cannot be sent",
    )
    .with_cause(error.to_string(), None)
}
