//! Streams that misbehave.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{
        AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, copy, duplex,
        split,
    },
    sync::oneshot,
};

/// A stream that gives and takes one byte at a time.
pub(crate) struct ByteByByte(pub(crate) DuplexStream);

impl AsyncRead for ByteByByte {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut one = [0];
        let mut small = ReadBuf::new(&mut one);
        let read = Pin::new(&mut self.0).poll_read(context, &mut small);
        buffer.put_slice(small.filled());
        read
    }
}

impl AsyncWrite for ByteByByte {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, &bytes[..bytes.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// What happens to the server's bytes after so many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The stream ends.
    Close,
    /// Nothing comes any more.
    Silence,
    /// The next bytes are others.
    Garbage,
}

/// A stream to the server behind `server` with a fault. The count of all bytes comes at the server's end.
pub(crate) fn faulty(
    server: DuplexStream,
    after: usize,
    fault: Fault,
) -> (DuplexStream, oneshot::Receiver<usize>) {
    let (client, relay) = duplex(256 * 1024);
    let (sender, counted) = oneshot::channel();
    tokio::spawn(async move {
        let (mut from_client, mut to_client) = split(relay);
        let (mut from_server, mut to_server) = split(server);
        let up = tokio::spawn(async move {
            let _ = copy(&mut from_client, &mut to_server).await;
            let _ = to_server.shutdown().await;
        });
        let (mut passed, mut buffer) = (0, vec![0; 4096]);
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            let bytes = &mut buffer[..count];
            let good = after.saturating_sub(passed).min(count);
            passed += count;
            if good < count {
                match fault {
                    Fault::Close => {
                        let _ = to_client.write_all(&bytes[..good]).await;
                        break;
                    }
                    Fault::Silence => {
                        let _ = to_client.write_all(&bytes[..good]).await;
                        // Until the client has left.
                        let _ = up.await;
                        return;
                    }
                    Fault::Garbage => fastrand::fill(&mut bytes[good..]),
                }
            }
            if to_client.write_all(bytes).await.is_err() {
                break;
            }
        }
        let _ = to_client.shutdown().await;
        up.abort();
        let _ = sender.send(passed);
    });
    (client, counted)
}

/// A server that sends this and nothing else, and keeps the stream open.
pub(crate) fn saying(bytes: Vec<u8>, closes: bool) -> DuplexStream {
    let (ours, theirs) = duplex(256 * 1024);
    tokio::spawn(async move {
        let (mut reader, mut writer) = split(theirs);
        let _ = writer.write_all(&bytes).await;
        if closes {
            let _ = writer.shutdown().await;
        }
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest).await;
    });
    ours
}

/// A stream to the server behind `server`, with a packet put in after its version.
pub(crate) fn inserting(server: DuplexStream, packet: Vec<u8>) -> DuplexStream {
    let (ours, relay) = duplex(256 * 1024);
    tokio::spawn(async move {
        let (mut from_client, mut to_client) = split(relay);
        let (mut from_server, mut to_server) = split(server);
        let down = async move {
            let mut byte = [0];
            while byte != *b"\n" {
                from_server.read_exact(&mut byte).await?;
                to_client.write_all(&byte).await?;
            }
            to_client.write_all(&packet).await?;
            copy(&mut from_server, &mut to_client).await
        };
        let _ = tokio::join!(down, copy(&mut from_client, &mut to_server));
    });
    ours
}
