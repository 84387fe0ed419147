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

use bytes::{Buf, Bytes};
use moorline_core::error::{Failure, Kind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{error::TOO_LARGE, head_scanner::HeadScanner};
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
    /// The reader gets nothing behind the head.
    holding: AtomicBool,
    /// It has got the head, and gets nothing more.
    at_end_of_head: AtomicBool,
    /// All that the writer has was written.
    flushed: AtomicBool,
}

impl ByteCounter {
    pub(super) fn reset(&self) {
        self.written.store(0, Ordering::Relaxed);
        self.read.store(0, Ordering::Relaxed);
        self.awaiting.store(true, Ordering::Relaxed);
        self.release_body();
    }

    /// The head of the answer is there.
    pub(super) fn on_response(&self) {
        self.awaiting.store(false, Ordering::Relaxed);
    }

    /// Keeps what comes behind the head of the answer from the reader.
    pub(super) fn hold_body(&self) {
        self.holding.store(true, Ordering::Relaxed);
    }

    /// Lets the reader go on behind the head.
    pub(super) fn release_body(&self) {
        self.holding.store(false, Ordering::Relaxed);
        self.at_end_of_head.store(false, Ordering::Relaxed);
    }

    /// Whether the body is kept from the reader, and nothing is left to be written.
    pub(super) fn is_detachable(&self) -> bool {
        self.holding.load(Ordering::Relaxed) && self.flushed.load(Ordering::Relaxed)
    }

    /// Whether the reader was kept from what comes behind a head; from here on it gets that up to the end of the next head.
    pub(super) fn pass_interim_head(&self) -> bool {
        self.at_end_of_head.swap(false, Ordering::Relaxed)
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
    head_scanner: HeadScanner,
    /// Bytes that were read and not given out yet.
    held: Bytes,
}

impl CountingStream {
    pub(super) fn new(stream: Stream) -> (Self, Arc<ByteCounter>) {
        let byte_counter = Arc::<ByteCounter>::default();
        let counting_stream = Self {
            stream,
            byte_counter: Arc::clone(&byte_counter),
            burst: 0,
            head_scanner: HeadScanner::default(),
            held: Bytes::new(),
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
    /// Puts bytes back that were read too early.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.held = [bytes, &self.held[..]].concat().into();
        }
    }

    /// Returns bytes that were held back.
    fn read_held(&mut self, buffer: &mut ReadBuf<'_>) {
        let mut bytes = self.held.len().min(buffer.remaining());
        if let Some(head) = self.scan(&self.held.slice(..bytes)) {
            bytes = head;
        }
        buffer.put_slice(&self.held[..bytes]);
        self.held.advance(bytes);
        if self.held.is_empty() {
            // Nothing of a larger allocation is kept.
            self.held = Bytes::new();
        }
    }

    /// Holds back what was read behind the head.
    fn hold_back(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        if let Some(head) = self.scan(&buffer.filled()[before..]) {
            self.held = Bytes::copy_from_slice(&buffer.filled()[before + head..]);
            buffer.set_filled(before + head);
        }
    }

    /// The number of bytes up to the end of the head, if that is among them and what follows is to be held back.
    fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        if !self.byte_counter.holding.load(Ordering::Relaxed) {
            return None;
        }
        let head = self.head_scanner.scan(bytes)?;
        let at_end_of_head = &self.byte_counter.at_end_of_head;
        at_end_of_head.store(true, Ordering::Relaxed);
        Some(head)
    }

    fn poll_socket(
        &mut self,
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

impl AsyncRead for CountingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whoever lets the reader go on polls it again.
        if self.byte_counter.at_end_of_head.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        if !self.held.is_empty() {
            self.read_held(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(self.poll_socket(context, buffer))?;
        self.hold_back(buffer, before);
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
        self.byte_counter.flushed.store(false, Ordering::Relaxed);
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        Poll::Ready(self.wrote(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.byte_counter.flushed.store(false, Ordering::Relaxed);
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        Poll::Ready(self.wrote(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.byte_counter.flushed.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
