//! Asking a proxy for a connection: HTTP `CONNECT` and SOCKS5 (RFC 1928, 1929).

use std::{io, net::IpAddr};

use moorline_core::error::{Failure, Kind};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    error::{FailureClass, Phase, failure, phase_failure},
    proxy::{ProxyProtocol, ProxyRoute},
    target::Target,
};

/// A proxy's answer to `CONNECT` is not longer than this.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Asks for a connection to `destination`; `shown_target` is what messages say about it.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    route: &ProxyRoute,
    destination: &Target,
    shown_target: &Target,
) -> Result<(), Failure> {
    let done = match route.protocol {
        ProxyProtocol::Connect => connect(stream, route, destination).await,
        ProxyProtocol::Socks { .. } => socks(stream, route, destination).await,
    };
    done.map_err(|error| error.failure(shown_target, route))
}

enum HandshakeError {
    Io(io::Error),
    /// The proxy's answer is a no.
    Refused {
        class: FailureClass,
        detail: (&'static str, u16),
    },
    /// The proxy's answer is not one.
    Garbled,
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl HandshakeError {
    fn failure(self, target: &Target, route: &ProxyRoute) -> Failure {
        let failure = match self {
            Self::Io(error) => phase_failure(Phase::Proxy, target, &error),
            Self::Refused { class, detail } => {
                let message = format!(
                    "the proxy {} refused a connection to {} ({} {})",
                    route.target.authority(),
                    target.authority(),
                    detail.0,
                    detail.1
                );
                failure(class, Phase::Proxy, target)
                    .with_message(message)
                    .with_detail(detail.0, detail.1)
            }
            Self::Garbled => {
                failure(FailureClass::of(Kind::Connect), Phase::Proxy, target).with_message(
                    format!("{} does not respond as a proxy", route.target.authority()),
                )
            }
        };
        failure.with_detail("proxy", route.target.authority())
    }
}

async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    route: &ProxyRoute,
    destination: &Target,
) -> Result<(), HandshakeError> {
    let authority = destination.authority();
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(authorization) = &route.authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.expose());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut head = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match head.windows(4).position(|it| it == b"\r\n\r\n") {
            // We speak first, so nothing may follow.
            Some(end) if end + 4 == head.len() => break,
            None if head.len() < MAX_HEAD_BYTES => {}
            // A refusal has a body, which is not read.
            Some(_) if status_of(&head).is_some_and(|status| status >= 300) => break,
            _ => return Err(HandshakeError::Garbled),
        }
    }
    match status_of(&head) {
        Some(200..=299) => Ok(()),
        Some(status) => Err(HandshakeError::Refused {
            class: match status {
                401 | 403 | 407 => FailureClass::of(Kind::Auth),
                _ => FailureClass::new(Kind::Connect, "ERR_MOORLINE_PROXY_REFUSED"),
            },
            detail: ("status", status),
        }),
        None => Err(HandshakeError::Garbled),
    }
}

fn status_of(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.")?;
    let digits = rest.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

const SOCKS_VERSION: u8 = 5;
const SOCKS_NO_AUTHENTICATION: u8 = 0;
const SOCKS_USERNAME_PASSWORD: u8 = 2;

async fn socks<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    route: &ProxyRoute,
    destination: &Target,
) -> Result<(), HandshakeError> {
    let methods: &[u8] = match route.login {
        Some(_) => &[
            SOCKS_VERSION,
            2,
            SOCKS_NO_AUTHENTICATION,
            SOCKS_USERNAME_PASSWORD,
        ],
        None => &[SOCKS_VERSION, 1, SOCKS_NO_AUTHENTICATION],
    };
    stream.write_all(methods).await?;
    stream.flush().await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    match (chosen, &route.login) {
        ([SOCKS_VERSION, SOCKS_NO_AUTHENTICATION], _) => {}
        ([SOCKS_VERSION, SOCKS_USERNAME_PASSWORD], Some((name, password))) => {
            log_in(stream, name.expose(), password.expose()).await?;
        }
        ([SOCKS_VERSION, method], _) => {
            return Err(HandshakeError::Refused {
                class: FailureClass::of(Kind::Auth),
                detail: ("socksMethod", method.into()),
            });
        }
        _ => return Err(HandshakeError::Garbled),
    }
    stream.write_all(&socks_request(destination)?).await?;
    stream.flush().await?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await?;
    let [SOCKS_VERSION, code, _, address_kind] = reply else {
        return Err(HandshakeError::Garbled);
    };
    if code != 0 {
        return Err(HandshakeError::Refused {
            class: socks_class(code),
            detail: ("socksReply", code.into()),
        });
    }
    let rest = match address_kind {
        1 => 4,
        3 => usize::from(stream.read_u8().await?),
        4 => 16,
        _ => return Err(HandshakeError::Garbled),
    };
    // The address the proxy dials from, and its port; neither is used.
    stream.read_exact(&mut vec![0; rest + 2]).await?;
    Ok(())
}

async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    name: &[u8],
    password: &[u8],
) -> Result<(), HandshakeError> {
    let mut login = vec![1];
    for part in [name, password] {
        login.push(u8::try_from(part.len()).map_err(|_| too_long())?);
        login.extend_from_slice(part);
    }
    stream.write_all(&login).await?;
    stream.flush().await?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    if answer[1] == 0 {
        return Ok(());
    }
    Err(HandshakeError::Refused {
        class: FailureClass::of(Kind::Auth),
        detail: ("socksLogin", answer[1].into()),
    })
}

fn socks_request(destination: &Target) -> Result<Vec<u8>, HandshakeError> {
    let mut request = vec![SOCKS_VERSION, 1, 0];
    match destination.host.parse() {
        Ok(IpAddr::V4(ip)) => {
            request.push(1);
            request.extend_from_slice(&ip.octets());
        }
        Ok(IpAddr::V6(ip)) => {
            request.push(4);
            request.extend_from_slice(&ip.octets());
        }
        Err(_) => {
            let name = destination.host.as_bytes();
            request.push(3);
            request.push(u8::try_from(name.len()).map_err(|_| too_long())?);
            request.extend_from_slice(name);
        }
    }
    request.extend_from_slice(&destination.port.to_be_bytes());
    Ok(request)
}

fn too_long() -> HandshakeError {
    HandshakeError::Io(io::Error::new(
        io::ErrorKind::InvalidInput,
        "the host name is longer than 255 bytes, the limit of SOCKS",
    ))
}

/// The codes Node gives for what the proxy met.
fn socks_class(reply: u8) -> FailureClass {
    match reply {
        2 => FailureClass::of(Kind::Auth),
        3 => FailureClass::new(Kind::Connect, "ENETUNREACH"),
        4 => FailureClass::new(Kind::Connect, "EHOSTUNREACH"),
        5 => FailureClass::new(Kind::Connect, "ECONNREFUSED"),
        6 => FailureClass::new(Kind::Connect, "ETIMEDOUT"),
        _ => FailureClass::new(Kind::Connect, "ERR_MOORLINE_PROXY_REFUSED"),
    }
}
