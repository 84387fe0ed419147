//! Dialling the server, and the handshake.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use moorline_core::error::Outcome;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{
        Error,
        client::IntoClientRequest,
        handshake::client::{Request, Response},
        http::{HeaderValue, header},
    },
};

use super::{
    config::Config,
    error::{SERVICE, handshake_failure, handshake_timed_out, unreadable_handshake},
    permessage_deflate::{Agreement, agree, offer},
    refusal::refusal_failure,
    stream::SocketStream,
};
use moorline_net::dial::{Alpn, Dialer, Target};

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("moorline/", env!("CARGO_PKG_VERSION")));

/// The result of the handshake.
pub(super) struct OpenConnection {
    pub(super) stream: SocketStream,
    /// Bytes that came behind the server's answer.
    pub(super) leading_bytes: Vec<u8>,
    pub(super) protocol: String,
    pub(super) compression: Option<Agreement>,
}

/// Connects and shakes hands, within `connectTimeoutMs`.
pub(super) async fn open(config: &Config, dialer: &Dialer) -> Outcome<OpenConnection> {
    let limit = dialer.config().connect_timeout;
    timeout(limit, handshake(config, dialer))
        .await
        .unwrap_or_else(|_| Err(handshake_timed_out(limit)))
}

async fn handshake(config: &Config, dialer: &Dialer) -> Outcome<OpenConnection> {
    let request = request(config)?;
    let target = Target::of(&config.url)?;
    let mut stream = dialer
        .dial(&target, Alpn::HTTP1)
        .await
        .map_err(|failure| failure.during(SERVICE, "connect"))?;
    let mut head = HeadOnly::new(&mut stream);
    // tungstenite's own connection is dropped at once: it has read nothing but the head, so all that is lost
    // is its buffers.
    let shaken = client_async(request, &mut head).await;
    let answer = shaken.map(|(_, response)| response);
    let leading_bytes = head.into_leading_bytes();
    let response = match answer {
        Ok(response) => response,
        Err(Error::Http(response)) => {
            return Err(refusal_failure(config, &response, leading_bytes, &mut stream).await);
        }
        Err(error) => return Err(handshake_failure(error)),
    };
    let answer = extensions(&response)?;
    let compression = agree(config.compression.as_ref(), answer.as_deref())
        .map_err(|what| unreadable_handshake(&what))?;
    let protocol = response
        .headers()
        .get(header::SEC_WEBSOCKET_PROTOCOL)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    Ok(OpenConnection {
        stream: stream.into(),
        leading_bytes,
        protocol,
        compression,
    })
}

fn request(config: &Config) -> Outcome<Request> {
    let mut request = config
        .url
        .as_str()
        .into_client_request()
        .map_err(handshake_failure)?;
    let headers = request.headers_mut();
    headers.insert(header::USER_AGENT, USER_AGENT);
    let mut last = None;
    for (name, value) in &config.headers {
        // The first of a name replaces a default, the others come beside it.
        if last == Some(name) {
            headers.append(name, value.clone());
        } else {
            headers.insert(name, value.clone());
        }
        last = Some(name);
    }
    let text =
        |text: String| HeaderValue::try_from(text).map_err(|error| handshake_failure(error.into()));
    if !config.protocols.is_empty() {
        let protocols = text(config.protocols.join(", "))?;
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocols);
    }
    if let Some(compression) = &config.compression {
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, text(offer(compression))?);
    }
    Ok(request)
}

/// The answered extensions, as one list.
fn extensions(response: &Response) -> Outcome<Option<String>> {
    let mut list: Option<String> = None;
    for value in response.headers().get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        let value = value
            .to_str()
            .map_err(|error| unreadable_handshake(&error.to_string()))?;
        list = Some(list.map_or_else(|| value.to_owned(), |list| format!("{list}, {value}")));
    }
    Ok(list)
}

const END_OF_HEAD: [u8; 4] = *b"\r\n\r\n";

/// A stream that ends where the head of the answer does; what came behind it is kept.
struct HeadOnly<'s, S> {
    stream: &'s mut S,
    /// The number of bytes of the end of the head that have been seen.
    matched: usize,
    leading_bytes: Vec<u8>,
}

impl<'s, S> HeadOnly<'s, S> {
    fn new(stream: &'s mut S) -> Self {
        Self {
            stream,
            matched: 0,
            leading_bytes: Vec::new(),
        }
    }

    fn into_leading_bytes(self) -> Vec<u8> {
        self.leading_bytes
    }

    /// The length of the head within `bytes`.
    fn head_of(&mut self, bytes: &[u8]) -> usize {
        for (index, byte) in bytes.iter().enumerate() {
            self.matched = if *byte == END_OF_HEAD[self.matched] {
                self.matched + 1
            } else {
                usize::from(*byte == END_OF_HEAD[0])
            };
            if self.matched == END_OF_HEAD.len() {
                return index + 1;
            }
        }
        bytes.len()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadOnly<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.matched == END_OF_HEAD.len() {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut *self.stream).poll_read(context, buffer))?;
        let head = before + self.head_of(&buffer.filled()[before..]);
        self.leading_bytes = buffer.filled()[head..].to_vec();
        buffer.set_filled(head);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadOnly<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_comes_behind_the_head_is_not_lost_wherever_it_is_cut() {
        let sent = b"HTTP/1.1 101 X\r\nA: b\r\r\n\r\nframe";
        let head_length = sent.len() - 5;
        for cut in 1..sent.len() {
            let (mut server, mut client) = tokio::io::duplex(1024);
            let mut head = HeadOnly::new(&mut client);
            server.write_all(&sent[..cut]).await.unwrap();
            let mut read = vec![0; 1024];
            let mut got = head.read(&mut read).await.unwrap();
            server.write_all(&sent[cut..]).await.unwrap();
            drop(server);
            while got < head_length {
                got += head.read(&mut read[got..]).await.unwrap();
            }
            assert_eq!(head.read(&mut read[got..]).await.unwrap(), 0);
            assert_eq!(&read[..got], &sent[..head_length]);
            let mut rest = head.into_leading_bytes();
            client.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"frame");
        }
    }
}
