//! A server by another implementation, russh's, on a stream in memory.

use std::{borrow::Cow, sync::Arc, time::Duration};

use moorline_core::{
    error::Outcome,
    secret::Secret,
    ssh::{Fingerprint, HostKeyPolicy, HostName},
};
use moorline_net::ssh::{Channel as OurChannel, ChannelTarget, Credential, Session, SessionConfig};
use russh::{
    Channel, ChannelOpenFailure, ChannelStream, MethodKind, MethodSet, Preferred,
    keys::{Algorithm, PrivateKey, PublicKeyBase64, ssh_key::private::Ed25519Keypair},
    server::{
        Auth, ChannelOpenHandle, Config, Handler, Msg, Response, Session as ServerSession,
        VerifiedPublicKey, run_stream,
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, copy, duplex, split},
    time::Instant,
};

pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "the right password";

/// What the server does otherwise.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    /// The key with which the user may log in, in base64.
    pub(crate) public_key: Option<String>,
    /// Password and answer are wanted both.
    pub(crate) wants_both: bool,
    pub(crate) banner: Option<String>,
}

pub(crate) struct TestHandler {
    rules: Rules,
    /// Requests that are never answered.
    unanswered: Vec<ChannelOpenHandle>,
}

fn more(method: MethodKind) -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(MethodSet::from([method].as_slice())),
        partial_success: true,
    }
}

impl Handler for TestHandler {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(match user == USER && password == PASSWORD {
            true if self.rules.wants_both => more(MethodKind::KeyboardInteractive),
            true => Auth::Accept,
            false => Auth::reject(),
        })
    }

    async fn auth_publickey(
        &mut self,
        _: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let is_known = self.rules.public_key == Some(key.public_key.public_key_base64());
        Ok(if is_known {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(response) = response else {
            return Ok(Auth::Partial {
                name: Cow::Borrowed("Second factor"),
                instructions: Cow::Borrowed("two questions"),
                prompts: Cow::Borrowed(&[
                    (Cow::Borrowed("Name: "), true),
                    (Cow::Borrowed("Code: "), false),
                ]),
            });
        };
        let answers: Vec<_> = response.collect();
        let is_right = answers == [b"alice".as_slice(), b"1234"];
        Ok(if is_right {
            Auth::Accept
        } else {
            Auth::reject()
        })
    }

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(self.rules.banner.clone())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut ServerSession,
    ) -> Result<(), Self::Error> {
        match host {
            "never" => self.unanswered.push(reply),
            "refused" => reply.reject(ChannelOpenFailure::ConnectFailed).await,
            "prohibited" => {
                reply
                    .reject(ChannelOpenFailure::AdministrativelyProhibited)
                    .await;
            }
            "unknown" => reply.reject(ChannelOpenFailure::UnknownChannelType).await,
            "shortage" => reply.reject(ChannelOpenFailure::ResourceShortage).await,
            host => {
                reply.accept().await;
                let host = host.to_owned();
                tokio::spawn(async move { serve(&host, port, channel.into_stream()).await });
            }
        }
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut ServerSession,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        let path = path.to_owned();
        tokio::spawn(async move { serve(&path, 0, channel.into_stream()).await });
        Ok(())
    }
}

/// A target, by its name.
async fn serve(name: &str, port: u32, mut stream: ChannelStream<Msg>) {
    match name {
        // As many megabytes as the port says.
        "source" => {
            let block: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
            for _ in 0..port {
                if stream.write_all(&block).await.is_err() {
                    return;
                }
            }
            let _ = stream.shutdown().await;
        }
        // Takes everything, then tells how much.
        "counter" => {
            let (mut count, mut buffer) = (0, vec![0; 65536]);
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                count += read;
            }
            let _ = stream.write_all(count.to_string().as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        "ssh" => run_server(stream, server_config(), Rules::default()),
        _ => {
            let (mut reader, mut writer) = split(stream);
            let _ = copy(&mut reader, &mut writer).await;
            let _ = writer.shutdown().await;
        }
    }
}

pub(crate) fn host_key() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))
}

pub(crate) fn server_config() -> Config {
    Config {
        keys: vec![host_key()],
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        inactivity_timeout: None,
        ..Config::default()
    }
}

/// The server with these algorithms alone.
pub(crate) fn preferring(
    kex: russh::kex::Name,
    cipher: russh::cipher::Name,
    mac: russh::mac::Name,
    key: Algorithm,
) -> Preferred {
    Preferred {
        kex: Cow::Owned(vec![
            kex,
            russh::kex::EXTENSION_SUPPORT_AS_SERVER,
            russh::kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
        ]),
        cipher: Cow::Owned(vec![cipher]),
        mac: Cow::Owned(vec![mac]),
        key: Cow::Owned(vec![key]),
        ..Preferred::default()
    }
}

/// Runs the server on a stream.
pub(crate) fn run_server<S>(stream: S, config: Config, rules: Rules)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handler = TestHandler {
        rules,
        unanswered: Vec::new(),
    };
    tokio::spawn(async move {
        if let Ok(session) = run_stream(Arc::new(config), stream, handler).await {
            let _ = session.await;
        }
    });
}

/// A server on the other end of a stream.
pub(crate) fn start(config: Config, rules: Rules) -> DuplexStream {
    let (ours, theirs) = duplex(256 * 1024);
    run_server(theirs, config, rules);
    ours
}

/// A client's configuration that trusts a server with this key.
pub(crate) fn trusting(key: &PrivateKey) -> SessionConfig {
    let fingerprint = Fingerprint::of(&key.public_key().to_bytes().unwrap());
    SessionConfig::new(
        HostName::new("server.test", 22),
        HostKeyPolicy::Fingerprints(vec![fingerprint]),
        USER,
    )
}

pub(crate) fn password() -> Credential {
    Credential::Password(Secret::new(PASSWORD))
}

pub(crate) fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// A session with a server.
pub(crate) async fn connected(config: SessionConfig) -> Session {
    let stream = start(server_config(), Rules::default());
    let session = Session::connect(stream, config, &[password()], deadline()).await;
    session.unwrap()
}

pub(crate) fn tcp(host: &str, port: u16) -> ChannelTarget {
    ChannelTarget::Tcp {
        host: host.to_owned(),
        port,
    }
}

pub(crate) async fn opened(session: &Session, host: &str) -> OurChannel {
    session.open(tcp(host, 1)).await.unwrap()
}

/// Sends and gets back.
pub(crate) async fn round_trip(channel: &mut OurChannel, bytes: &[u8]) {
    channel.write_all(bytes).await.unwrap();
    let mut got = vec![0; bytes.len()];
    channel.read_exact(&mut got).await.unwrap();
    assert_eq!(got, bytes);
}

/// A failure where a value would be long to print.
pub(crate) fn failure<T>(outcome: Outcome<T>) -> moorline_core::error::Failure {
    match outcome {
        Ok(_) => panic!("a failure was expected"),
        Err(failure) => failure,
    }
}
