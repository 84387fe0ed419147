//! The byte stream to a server, with TLS where it is wanted.

use std::{net::SocketAddr, sync::Arc};

use bytes::BytesMut;
use moorline_core::error::{Delivery, Failure, Kind, Outcome};
use moorline_net::dial::{Alpn, Dialer, Peer, Stream, Target};
use postgres_protocol::message::frontend;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    address::{Address, Server},
    config::{Encryption, SslMode},
    error::{ended, protocol_failure, unexpected},
};

/// The protocol by which a server knows what comes, when TLS is spoken at once.
const POSTGRESQL: &str = "postgresql";
const ALPN: Alpn = Alpn::of(&[POSTGRESQL]);
/// More than the answer about TLS, so that what comes with it is seen.
const ANSWER_BYTES: usize = 64;

/// How a byte stream to a server is opened.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) server: Server,
    pub(super) dialer: Arc<Dialer>,
    pub(super) encryption: Encryption,
}

impl Way {
    /// Opens it. The dialer bounds each step.
    pub(super) async fn open(&self) -> Outcome<Stream> {
        let (host, port) = match &self.server.address {
            Address::Directory(directory, port) => {
                let path = directory.join(format!(".s.PGSQL.{port}"));
                // Nobody listens there, so there is no TLS, as in libpq.
                return self.dialer.dial_path(&path).await;
            }
            Address::Socket(path) => return self.dialer.dial_path(path).await,
            Address::Host(host, port) => (host, *port),
        };
        let reached = self.server.numeric.as_ref().unwrap_or(host);
        let target = Target::new(reached, port, false);
        let stream = self.dialer.dial(&target, Alpn::NONE).await?;
        let target = Target::new(host, port, true);
        if self.encryption.mode == SslMode::Disable {
            return Ok(stream);
        }
        if self.encryption.is_direct {
            let stream = self.dialer.secure(stream, &target, ALPN).await?;
            // Else it could be a server of another protocol, which an attacker has led us to.
            if stream.alpn() != Some(POSTGRESQL.as_bytes()) {
                let message = "The server did not choose the protocol 'postgresql' (ALPN)";
                return Err(tls_failure(message));
            }
            return Ok(stream);
        }
        self.ask(stream, &target).await
    }

    /// Asks whether the server speaks TLS, and goes on as it answers.
    async fn ask(&self, mut stream: Stream, target: &Target) -> Outcome<Stream> {
        let limit = self.dialer.config().connect_timeout;
        let asked = timeout(limit, ask_for_tls(&mut stream)).await;
        let speaks = asked.unwrap_or_else(|_| {
            let option = self.dialer.config().connect_option;
            let message = "The server did not say in time whether it speaks TLS";
            Err(Failure::timed_out(Kind::Connect, message, option).with_code("ETIMEDOUT"))
        })?;
        match (speaks, self.encryption.mode) {
            (true, _) => self.dialer.secure(stream, target, ALPN).await,
            (false, SslMode::Prefer) => Ok(stream),
            (false, mode) => {
                let message = format!(
                    "The server speaks no TLS, which sslmode '{}' requires (sslmode)",
                    mode.as_str()
                );
                Err(tls_failure(&message).with_code("ERR_POSTGRES_NO_TLS"))
            }
        }
    }

    /// The way to the very server that `stream` has reached, with TLS if that has it: another of the same name knows nothing
    /// of the session.
    pub(super) fn to_peer_of(&self, stream: &Stream) -> Self {
        let mode = match (stream.is_secure(), self.encryption.mode) {
            (false, _) => SslMode::Disable,
            (true, mode) => mode.max(SslMode::Require),
        };
        let numeric = match stream.peer() {
            Peer::Address(address) => Some(SocketAddr::ip(address).to_string()),
            _ => self.server.numeric.clone(),
        };
        Self {
            server: Server {
                numeric,
                ..self.server.clone()
            },
            encryption: Encryption {
                mode,
                ..self.encryption
            },
            dialer: Arc::clone(&self.dialer),
        }
    }
}

/// Whether the server speaks TLS. A byte behind the answer would later be taken for one that came by TLS (CVE-2021-23222).
async fn ask_for_tls(stream: &mut Stream) -> Outcome<bool> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    let mut answer = [0; ANSWER_BYTES];
    let asked = async {
        stream.write_all(&request).await?;
        stream.flush().await?;
        stream.read(&mut answer).await
    };
    let length = asked.await.map_err(|error| ended(Some(&error)))?;
    match &answer[..length] {
        [] => Err(ended(None)),
        b"S" => Ok(true),
        b"N" => Ok(false),
        // It is not shown: nobody has said yet who sent it (CVE-2024-10977).
        [b'E', 0, ..] | b"E" => Err(protocol_failure(
            "The server answered the question about TLS by an error",
        )),
        // Whether it was injected, or this is another protocol's server, which speaks first.
        [b'S' | b'N', ..] => Err(unexpected(
            "One byte was expected, which says whether the server speaks TLS",
            &answer[..length],
        )),
        other => Err(unexpected("Messages of PostgreSQL were expected", other)),
    }
    .map_err(|failure| failure.with_delivery(Delivery::None))
}

fn tls_failure(message: &str) -> Failure {
    Failure::new(Kind::Tls, message).with_delivery(Delivery::None)
}
