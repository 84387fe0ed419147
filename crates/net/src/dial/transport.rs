//! The byte stream below TLS: a TCP or Unix socket, or a channel of a tunnel.

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

/// A two-way stream of bytes.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> ByteStream for S {}

/// The remote end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The address of the host, or of the proxy.
    Address(SocketAddr),
    /// The path of a Unix socket.
    Path(PathBuf),
    /// What a tunnel was asked for: a host and a port, or a path.
    Tunnelled(String),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Path(path) => path.display().fmt(f),
            Self::Tunnelled(authority) => authority.fmt(f),
        }
    }
}

/// What carries the bytes.
pub(super) enum Transport {
    Tcp(TcpStream),
    /// A TCP socket that acknowledges what it received at once.
    Acknowledging(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Channel(Box<dyn ByteStream>),
}

impl Transport {
    /// The TCP socket, where it is one.
    pub(super) const fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(socket) | Self::Acknowledging(socket) => Some(socket),
            _ => None,
        }
    }

    fn stream(&mut self) -> Pin<&mut dyn ByteStream> {
        match self {
            Self::Tcp(socket) | Self::Acknowledging(socket) => Pin::new(socket),
            #[cfg(unix)]
            Self::Unix(socket) => Pin::new(socket),
            Self::Channel(channel) => Pin::new(channel.as_mut()),
        }
    }
}

/// Sends the acknowledgement that waits, best effort. The system goes back to waiting by itself, so it is told each time.
fn acknowledge(socket: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(socket).set_tcp_quickack(true);
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = self.stream().poll_read(context, buffer);
        if polled.is_ready()
            && let Self::Acknowledging(socket) = &*self
        {
            acknowledge(socket);
        }
        polled
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Channel(channel) => channel.is_write_vectored(),
            _ => true,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}
