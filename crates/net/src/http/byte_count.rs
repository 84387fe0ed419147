//! Counts what really went over a connection: the proof behind `delivery`.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use moorline_core::error::{Failure, Kind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::TOO_LARGE;
use crate::dial::Stream;

/// The largest head of a response, with the interim responses before it.
pub(super) const MAX_HEAD_BYTES: u64 = 1 << 20;
/// So much is read without a pause; then others have their turn, and limits are looked at.
pub(super) const BURST_BYTES: usize = 64 << 10;

/// Bytes since the request began.
#[derive(Debug, Default)]
pub(super) struct ByteCounter {
    written: AtomicU64,
    read: AtomicU64,
    /// A head is awaited, and nothing before it may be endless.
    awaiting: AtomicBool,
}

impl ByteCounter {
    pub(super) fn reset(&self) {
        self.written.store(0, Ordering::Relaxed);
        self.read.store(0, Ordering::Relaxed);
        self.awaiting.store(true, Ordering::Relaxed);
    }

    /// The head of the answer is there.
    pub(super) fn on_response(&self) {
        self.awaiting.store(false, Ordering::Relaxed);
    }

    /// So much may be read at once: while a head is awaited, not beyond where it must have ended.
    fn room(&self) -> usize {
        if !self.awaiting.load(Ordering::Relaxed) {
            return usize::MAX;
        }
        let left = MAX_HEAD_BYTES.saturating_sub(self.bytes_read());
        // What comes with a head is its body, and no more of that than this is taken for a head.
        BURST_BYTES.min(left as usize)
    }

    pub(super) fn bytes_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// A connection whose bytes are counted.
pub(super) struct CountingStream {
    stream: Stream,
    byte_counter: Arc<ByteCounter>,
    /// Read since there was last nothing to read.
    burst: usize,
}

impl CountingStream {
    pub(super) fn new(stream: Stream) -> (Self, Arc<ByteCounter>) {
        let byte_counter = Arc::<ByteCounter>::default();
        let counting_stream = Self {
            stream,
            byte_counter: Arc::clone(&byte_counter),
            burst: 0,
        };
        (counting_stream, byte_counter)
    }

    fn wrote(&self, written: io::Result<usize>) -> io::Result<usize> {
        if let Ok(bytes) = written {
            self.byte_counter
                .written
                .fetch_add(bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncRead for CountingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.burst >= BURST_BYTES {
            self.burst = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = self.byte_counter.room();
        if room == 0 {
            return Poll::Ready(Err(io::Error::other(endless_head())));
        }
        let before = buffer.filled().len();
        let read = if buffer.remaining() > room {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
            let read = Pin::new(&mut self.stream).poll_read(context, &mut part);
            let bytes = part.filled().len();
            buffer.advance(bytes);
            read
        } else {
            Pin::new(&mut self.stream).poll_read(context, buffer)
        };
        let Poll::Ready(read) = read else {
            self.burst = 0;
            return Poll::Pending;
        };
        read?;
        let bytes = buffer.filled().len() - before;
        self.burst += bytes;
        self.byte_counter
            .read
            .fetch_add(bytes as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

fn endless_head() -> Failure {
    let message = format!("the head of the response is longer than {MAX_HEAD_BYTES} bytes");
    Failure::new(Kind::Protocol, message).with_code(TOO_LARGE)
}

impl AsyncWrite for CountingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        Poll::Ready(self.wrote(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        Poll::Ready(self.wrote(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
