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
}

impl<S: ByteStream> Transport<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            reader: PacketReader::new(),
            writer: PacketWriter::new(),
        }
    }

    /// Receives what there is.
    pub(crate) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SessionError>> {
        let mut buffer = ReadBuf::new(self.reader.spare());
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        let count = buffer.filled().len();
        if count == 0 {
            return Poll::Ready(Err(SessionError::closed()));
        }
        self.reader.filled(count);
        Poll::Ready(Ok(()))
    }

    /// Sends what is to be sent.
    pub(crate) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SessionError>> {
        while !self.writer.unsent().is_empty() {
            let stream = Pin::new(&mut self.stream);
            let count = ready!(stream.poll_write(context, self.writer.unsent()))?;
            if count == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
            }
            self.writer.advance(count);
        }
        Pin::new(&mut self.stream)
            .poll_flush(context)
            .map_err(SessionError::from)
    }

    /// Ends the stream, best effort.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.stream)
            .poll_shutdown(context)
            .map(|_| ())
    }
}
