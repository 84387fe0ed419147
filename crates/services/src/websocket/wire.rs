//! The connection below: plain TCP, which two threads may write to, or anything else.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::dial::Stream;

/// An open connection.
pub(super) enum Wire {
    /// The socket itself. The thread that sends shares it, and writes to it without a detour.
    Plain(Arc<TcpStream>),
    /// TLS.
    Layered(Stream),
}

impl From<Stream> for Wire {
    fn from(stream: Stream) -> Self {
        match stream.into_socket() {
            Ok(socket) => Self::Plain(Arc::new(socket)),
            Err(stream) => Self::Layered(stream),
        }
    }
}

impl Wire {
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => loop {
                ready!(socket.poll_read_ready(context))?;
                match socket.try_read(into) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return Poll::Ready(read),
                }
            },
            Self::Layered(stream) => {
                let mut buffer = ReadBuf::new(into);
                ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
                Poll::Ready(Ok(buffer.filled().len()))
            }
        }
    }

    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => loop {
                ready!(socket.poll_write_ready(context))?;
                match socket.try_write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    wrote => return Poll::Ready(wrote),
                }
            },
            Self::Layered(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Layered(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    /// The socket, when whoever sends may write to it.
    pub(super) fn shared(&self) -> Option<Arc<TcpStream>> {
        match self {
            Self::Plain(socket) => Some(Arc::clone(socket)),
            Self::Layered(_) => None,
        }
    }
}
