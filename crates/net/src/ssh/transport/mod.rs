//! The packets of a session, on any stream of bytes.

mod algorithm;
mod cipher;
mod packet;
#[cfg(test)]
mod tests;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::ReadBuf;

pub use self::algorithm::{Cipher, Mac};
pub(crate) use self::{
    cipher::PacketCipher,
    packet::{Packet, PacketReader, PacketWriter},
};
use super::error::SessionError;
use crate::dial::ByteStream;

/// A stream, and the packets that were received from it and are to be sent to it.
pub(crate) struct Transport<S> {
    stream: S,
    pub(crate) reader: PacketReader,
    pub(crate) writer: PacketWriter,
    /// Why nothing can be sent any more.
    send_error: Option<io::Error>,
}

impl<S: ByteStream> Transport<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            reader: PacketReader::new(),
            writer: PacketWriter::new(),
            send_error: None,
        }
    }

    /// Receives what there is. What the server said before it stopped to read is received first.
    pub(crate) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SessionError>> {
        let mut buffer = ReadBuf::new(self.reader.spare());
        let received = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
        if received.is_pending()
            && let Some(error) = self.send_error.take()
        {
            return Poll::Ready(Err(error.into()));
        }
        ready!(received)?;
        let count = buffer.filled().len();
        if count == 0 {
            return Poll::Ready(Err(SessionError::closed()));
        }
        self.reader.filled(count);
        Poll::Ready(Ok(()))
    }

    /// Sends what is to be sent. When that fails, [`Transport::poll_fill`] says so.
    pub(crate) fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Err(error) = ready!(self.poll_write(context)) {
            self.writer.discard();
            self.send_error.get_or_insert(error);
        }
        Poll::Ready(())
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.writer.unsent().is_empty() {
            let stream = Pin::new(&mut self.stream);
            let count = ready!(stream.poll_write(context, self.writer.unsent()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.writer.advance(count);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Ends the stream, best effort.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.stream)
            .poll_shutdown(context)
            .map(|_| ())
    }
}
