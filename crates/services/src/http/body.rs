//! The body of a request: nothing, bytes, or a stream that is written as fast as the server reads.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use moorline_core::error::Failure;
use tokio::sync::mpsc;

/// Pieces that wait between the caller and the socket.
const QUEUED_PIECES: usize = 2;

/// What is sent after the head.
pub enum RequestBody {
    /// Nothing.
    Empty,
    /// Bytes that are there.
    Full(Bytes),
    /// Pieces that come one by one, with their length in all when it is known.
    Stream(Pieces),
}

/// The receiving end of a streamed body.
pub struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    length: Option<u64>,
    ended: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
}

/// How far a body has come, seen from outside.
#[derive(Clone)]
pub(super) enum Outgoing {
    /// So many bytes, there from the beginning.
    Whole(u64),
    /// Bytes taken so far, and whether that is all.
    Pieces(Arc<AtomicU64>, Arc<AtomicBool>),
}

/// The sending end of a streamed body. Dropping it without [`BodySender::end`] breaks the request off.
pub struct BodySender {
    sender: mpsc::Sender<Bytes>,
    ended: Arc<AtomicBool>,
}

impl RequestBody {
    /// A streamed body and its sender.
    pub fn channel() -> (BodySender, Self) {
        let (sender, receiver) = mpsc::channel(QUEUED_PIECES);
        let ended = Arc::new(AtomicBool::new(false));
        let pieces = Pieces {
            receiver,
            length: None,
            ended: Arc::clone(&ended),
            taken: Arc::default(),
        };
        (BodySender { sender, ended }, Self::Stream(pieces))
    }

    /// The same body once more; `None` for a stream, which is gone when it was sent.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Full(bytes) => Some(Self::Full(bytes.clone())),
            Self::Stream(_) => None,
        }
    }

    pub(super) fn outgoing(&self) -> Outgoing {
        match self {
            Self::Empty => Outgoing::Whole(0),
            Self::Full(bytes) => Outgoing::Whole(bytes.len() as u64),
            Self::Stream(pieces) => {
                Outgoing::Pieces(Arc::clone(&pieces.taken), Arc::clone(&pieces.ended))
            }
        }
    }

    /// What the caller's `content-length` says about a stream.
    pub(super) fn announce(&mut self, bytes: u64) {
        if let Self::Stream(pieces) = self {
            pieces.length = Some(bytes);
        }
    }
}

impl BodySender {
    /// Sends a piece when there is room for it; false when nobody reads any more.
    pub async fn send(&self, piece: Bytes) -> bool {
        self.sender.send(piece).await.is_ok()
    }

    /// The body is complete; drop the sender now.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
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
            Self::Stream(pieces) => pieces.receiver.poll_recv(context).map(|piece| match piece {
                Some(piece) => {
                    pieces
                        .taken
                        .fetch_add(piece.len() as u64, Ordering::Relaxed);
                    Some(Ok(Frame::data(piece)))
                }
                None if pieces.ended.load(Ordering::Acquire) => None,
                None => Some(Err(Failure::aborted())),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(pieces) => pieces
                .length
                .map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}
