//! The transport below: plain TCP, which two threads may write to, or TLS.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use moorline_net::dial::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
};

/// An open connection.
pub(super) enum SocketStream {
    /// The socket itself. The thread that sends shares its writing half, and writes to it without a detour.
    Plain(OwnedReadHalf, Arc<OwnedWriteHalf>),
    /// TLS.
    Layered(Stream),
}

/// A ping must be answered in seconds, also by a peer that reads slowly.
const UNSENT_BYTES: u32 = 128 * 1024;

impl From<Stream> for SocketStream {
    fn from(stream: Stream) -> Self {
        stream.bound_unsent(UNSENT_BYTES);
        match stream.into_socket() {
            Ok(socket) => {
                let (reads, writes) = socket.into_split();
                Self::Plain(reads, Arc::new(writes))
            }
            Err(stream) => Self::Layered(stream),
        }
    }
}

impl SocketStream {
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        match self {
            Self::Plain(socket, _) => ready!(Pin::new(socket).poll_read(context, &mut buffer))?,
            Self::Layered(stream) => ready!(Pin::new(stream).poll_read(context, &mut buffer))?,
        }
        Poll::Ready(Ok(buffer.filled().len()))
    }

    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(_, socket) => loop {
                ready!(socket.as_ref().as_ref().poll_write_ready(context))?;
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
            Self::Plain(..) => Poll::Ready(Ok(())),
            Self::Layered(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    /// The socket, when the sender may write to it.
    pub(super) fn shared(&self) -> Option<Arc<OwnedWriteHalf>> {
        match self {
            Self::Plain(_, socket) => Some(Arc::clone(socket)),
            Self::Layered(_) => None,
        }
    }
}
