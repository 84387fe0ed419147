//! The body of a request: empty, bytes, or a stream written as fast as the server reads.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use moorline_core::{
    error::{Failure, Kind, Outcome},
    options::OptionError,
};
use tokio::sync::mpsc;

/// Pieces that wait between the caller and the socket.
const QUEUED_CHUNKS: usize = 2;
/// Bytes that are there are handed over in parts of this size where it matters how far they have come.
const PART_BYTES: usize = 64 << 10;
/// Beside the bytes taken: that is all of them.
const ALL: u64 = 1 << 63;

/// The body sent after the head.
pub enum RequestBody {
    /// Nothing.
    Empty,
    /// Bytes that are there.
    Full(Bytes),
    /// The same, part by part.
    Parts(Parts),
    /// Pieces that come one by one, with their length in all when it is known.
    Stream(BodyChunks),
}

/// Bytes that are there, and how many of them were taken.
pub struct Parts {
    rest: Bytes,
    taken: Arc<AtomicU64>,
}

/// The receiving end of a streamed body.
pub struct BodyChunks {
    /// Not there before the first piece is wanted of a body that can be read again.
    receiver: Option<mpsc::Receiver<Bytes>>,
    /// Asks for a body that can be read again.
    reader: Option<mpsc::UnboundedSender<BodySender>>,
    length: Option<u64>,
    /// Received so far.
    received: u64,
    /// The piece that completes the length: it goes when it is known to be the last.
    last: Option<Bytes>,
    ended: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
}

/// The progress of a body, as its sender and the transport share it.
#[derive(Clone)]
pub(super) enum UploadProgress {
    /// A number of bytes, there from the beginning.
    Full(u64),
    /// Bytes taken so far.
    Streamed(Arc<AtomicU64>),
}

impl UploadProgress {
    /// The progress; it changes with every chunk that is taken.
    pub(super) fn progress(&self) -> u64 {
        match self {
            Self::Full(_) => 0,
            Self::Streamed(taken) => taken.load(Ordering::Relaxed) & !ALL,
        }
    }

    /// Whether all was handed over, when `written` bytes of the request were written.
    pub(super) fn is_complete(&self, written: Option<u64>) -> bool {
        match self {
            Self::Full(bytes) => written.is_none_or(|written| written > *bytes),
            Self::Streamed(taken) => taken.load(Ordering::Relaxed) & ALL != 0 && written != Some(0),
        }
    }
}

/// The sending end of a streamed body. Dropping it without [`BodySender::end`] breaks the request off.
pub struct BodySender {
    sender: mpsc::Sender<Bytes>,
    ended: Arc<AtomicBool>,
}

/// Receives a sender each time that a body which can be read again is to be sent; nothing more when its request is
/// over.
pub type BodySenders = mpsc::UnboundedReceiver<BodySender>;

impl RequestBody {
    /// A streamed body and its sender; of `length` bytes where that is known.
    pub fn channel(length: Option<u64>) -> (BodySender, Self) {
        let mut chunks = BodyChunks::unopened(None, length);
        let sender = chunks.open();
        (sender, Self::Stream(chunks))
    }

    /// A streamed body of `length` bytes that can be read again.
    pub fn repeatable(length: u64) -> (BodySenders, Self) {
        let (reader, senders) = mpsc::unbounded_channel();
        let chunks = BodyChunks::unopened(Some(reader), Some(length));
        (senders, Self::Stream(chunks))
    }

    /// The same body once more; `None` for a stream that is gone when it was sent.
    pub(super) fn replay(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Full(bytes) => Some(Self::Full(bytes.clone())),
            Self::Parts(parts) => Some(Self::Full(parts.rest.clone())),
            Self::Stream(chunks) => {
                let reader = chunks.reader.clone()?;
                Some(Self::Stream(BodyChunks::unopened(
                    Some(reader),
                    chunks.length,
                )))
            }
        }
    }

    /// Makes it be handed over in parts, where nothing else tells how much of it was taken.
    pub(super) fn split_into_parts(&mut self) {
        if let Self::Full(bytes) = self
            && bytes.len() > PART_BYTES
        {
            *self = Self::Parts(Parts {
                rest: std::mem::take(bytes),
                taken: Arc::default(),
            });
        }
    }

    /// Whether its length is unknown.
    pub(super) fn has_unknown_length(&self) -> bool {
        matches!(self, Self::Stream(BodyChunks { length: None, .. }))
    }

    pub(super) fn upload_progress(&self) -> UploadProgress {
        match self {
            Self::Empty => UploadProgress::Full(0),
            Self::Full(bytes) => UploadProgress::Full(bytes.len() as u64),
            Self::Parts(Parts { taken, .. }) | Self::Stream(BodyChunks { taken, .. }) => {
                UploadProgress::Streamed(Arc::clone(taken))
            }
        }
    }

    /// Sets the length of a stream by the caller's `content-length`.
    pub(super) fn set_length(&mut self, bytes: u64) {
        if let Self::Stream(chunks) = self {
            chunks.length = Some(bytes);
        }
    }
}

impl BodySender {
    /// Sends a piece when there is room for it; false when the body is not read any more.
    pub async fn send(&self, chunk: Bytes) -> bool {
        self.sender.send(chunk).await.is_ok()
    }

    /// The body is complete; drop the sender now.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }
}

impl Parts {
    fn next(&mut self) -> Option<Bytes> {
        if self.rest.is_empty() {
            return None;
        }
        let part = self.rest.split_to(PART_BYTES.min(self.rest.len()));
        self.taken.fetch_add(part.len() as u64, Ordering::Relaxed);
        if self.rest.is_empty() {
            self.taken.fetch_or(ALL, Ordering::Relaxed);
        }
        Some(part)
    }
}

impl BodyChunks {
    fn unopened(reader: Option<mpsc::UnboundedSender<BodySender>>, length: Option<u64>) -> Self {
        Self {
            receiver: None,
            reader,
            length,
            received: 0,
            last: None,
            ended: Arc::default(),
            taken: Arc::default(),
        }
    }

    fn open(&mut self) -> BodySender {
        let (sender, receiver) = mpsc::channel(QUEUED_CHUNKS);
        self.receiver = Some(receiver);
        let ended = Arc::clone(&self.ended);
        BodySender { sender, ended }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.receiver.is_none() {
            let sender = self.open();
            // When the receiver of senders is gone, the sender is dropped and the body breaks off.
            let _ = self.reader.as_ref().map(|reader| reader.send(sender));
        }
        self.receiver
            .as_mut()
            .map_or(Poll::Ready(None), |chunks| chunks.poll_recv(context))
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Outcome<Bytes>>> {
        while let Some(chunk) = ready!(self.poll_chunk(context)) {
            if chunk.is_empty() {
                continue;
            }
            self.received += chunk.len() as u64;
            match self.length {
                Some(length) if self.received > length => {
                    return Poll::Ready(Some(Err(self.length_mismatch("longer"))));
                }
                Some(length) if self.received == length => self.last = Some(chunk),
                _ => return Poll::Ready(Some(Ok(self.take(chunk)))),
            }
        }
        Poll::Ready(self.end())
    }

    fn take(&self, chunk: Bytes) -> Bytes {
        self.taken.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        chunk
    }

    fn end(&mut self) -> Option<Outcome<Bytes>> {
        if !self.ended.load(Ordering::Acquire) {
            return Some(Err(Failure::aborted()));
        }
        if self.length.is_some_and(|length| self.received < length) {
            return Some(Err(self.length_mismatch("shorter")));
        }
        let last = self.last.take().map(|last| Ok(self.take(last)));
        self.taken.fetch_or(ALL, Ordering::Relaxed);
        last
    }

    fn length_mismatch(&self, how: &str) -> Failure {
        let length = self.length.unwrap_or_default();
        let reason = format!("is {how} than its content-length of {length} bytes");
        let error = OptionError::bad_value("request.body", &reason);
        Failure::new(Kind::Internal, error.message.as_str()).with_code(error.code())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Parts(parts) => Poll::Ready(parts.next().map(|part| Ok(Frame::data(part)))),
            Self::Stream(chunks) => chunks
                .poll_next(context)
                .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) | Self::Parts(Parts { rest: bytes, .. }) => bytes.is_empty(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) | Self::Parts(Parts { rest: bytes, .. }) => {
                SizeHint::with_exact(bytes.len() as u64)
            }
            Self::Stream(chunks) => chunks
                .length
                .map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}
