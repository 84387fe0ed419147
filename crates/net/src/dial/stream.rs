//! An open connection, with or without TLS.

use std::{
    fmt,
    io::{self, IoSlice},
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
};

#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{
    server_end_point,
    transport::{ByteStream, Peer, Transport},
};

/// An open connection: a byte stream, TLS over one, or TLS through a proxy that is itself reached by TLS.
pub struct Stream {
    inner: Inner,
    peer: Peer,
}

enum Inner {
    Plain(Transport),
    Secure(Box<TlsStream<Transport>>),
    Nested(Box<TlsStream<Box<TlsStream<Transport>>>>),
}

impl Stream {
    pub(super) fn tcp(socket: TcpStream, peer: SocketAddr) -> Self {
        Self::over(Transport::Tcp(socket), Peer::Address(peer))
    }

    #[cfg(unix)]
    pub(super) fn unix(socket: UnixStream, path: PathBuf) -> Self {
        Self::over(Transport::Unix(socket), Peer::Path(path))
    }

    /// A connection through a tunnel, which was asked for `authority`.
    pub(super) fn tunnelled(channel: Box<dyn ByteStream>, authority: String) -> Self {
        Self::over(Transport::Channel(channel), Peer::Tunnelled(authority))
    }

    const fn over(transport: Transport, peer: Peer) -> Self {
        Self {
            inner: Inner::Plain(transport),
            peer,
        }
    }

    /// The TCP socket, where there is nothing else between; else the stream, unchanged.
    pub fn into_socket(self) -> Result<TcpStream, Self> {
        match self.inner {
            Inner::Plain(Transport::Tcp(socket)) => Ok(socket),
            _ => Err(self),
        }
    }

    /// Acknowledges what is received at once (`TCP_QUICKACK`, on Linux). A peer that uses Nagle's algorithm keeps a
    /// small packet back until the last one is acknowledged, which the system delays by up to 40 ms.
    #[must_use]
    pub fn acknowledging_at_once(mut self) -> Self {
        self.inner = match self.inner {
            Inner::Plain(Transport::Tcp(socket)) => Inner::Plain(Transport::Acknowledging(socket)),
            inner => inner,
        };
        self
    }

    /// What carries the bytes in the end.
    fn transport(&self) -> &Transport {
        match &self.inner {
            Inner::Plain(transport) => transport,
            Inner::Secure(stream) => stream.get_ref().0,
            Inner::Nested(stream) => stream.get_ref().0.get_ref().0,
        }
    }

    /// Limits the unsent bytes in the system's send buffer (`TCP_NOTSENT_LOWAT`), so that a ping or a close frame does
    /// not wait there behind many messages.
    pub fn bound_unsent(&self, bytes: u32) {
        let Some(socket) = self.transport().socket() else {
            return;
        };
        // Best effort: without it control frames wait longer.
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        let _ = socket2::SockRef::from(socket).set_tcp_notsent_lowat(bytes);
        #[cfg(not(any(target_os = "linux", target_os = "macos")))]
        let _ = (socket, bytes);
    }

    /// The remote end: the host, or the proxy.
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether the connection has TLS.
    pub const fn is_secure(&self) -> bool {
        !matches!(self.inner, Inner::Plain(_))
    }

    /// The TLS session with the server.
    fn session(&self) -> Option<&rustls::ClientConnection> {
        match &self.inner {
            Inner::Plain(_) => None,
            Inner::Secure(stream) => Some(stream.get_ref().1),
            Inner::Nested(stream) => Some(stream.get_ref().1),
        }
    }

    /// The protocol that the server chose by ALPN.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.session()?.alpn_protocol()
    }

    /// Returns what a login is bound to by `tls-server-end-point` (RFC 5929); `None` without TLS, and where the RFC defines none for
    /// the server's certificate.
    pub fn server_end_point(&self) -> Option<Vec<u8>> {
        let certificate = self.session()?.peer_certificates()?.first()?;
        server_end_point::of_certificate(certificate)
    }

    /// Whether the server chose HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.alpn() == Some(b"h2")
    }

    /// Performs a TLS handshake over the stream.
    pub(super) async fn handshake_tls(
        self,
        config: std::sync::Arc<rustls::ClientConfig>,
        name: rustls::pki_types::ServerName<'static>,
    ) -> io::Result<Self> {
        let connector = tokio_rustls::TlsConnector::from(config);
        let inner = match self.inner {
            Inner::Plain(stream) => Inner::Secure(Box::new(connector.connect(name, stream).await?)),
            Inner::Secure(stream) => {
                Inner::Nested(Box::new(connector.connect(name, stream).await?))
            }
            Inner::Nested(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Self {
            inner,
            peer: self.peer,
        })
    }

    fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Send + Unpin)> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream),
            Inner::Secure(stream) => Pin::new(stream.as_mut()),
            Inner::Nested(stream) => Pin::new(stream.as_mut()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Inner::Secure(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
            Inner::Nested(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_shutdown(context)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("peer", &self.peer)
            .field("secure", &self.is_secure())
            .finish_non_exhaustive()
    }
}
