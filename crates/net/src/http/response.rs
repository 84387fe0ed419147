//! The response: its head, and its body as it arrives.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderMap, StatusCode, Uri};
use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    limit::Limit,
};
use tokio::{task, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    decode::Decoder,
    engine::closed_failure,
    error::{CallContext, Stage, TOO_LARGE, Traffic},
    raw_body::RawBody,
    timeouts,
};

/// The most memory that is allocated in advance for a body of announced length.
const MAX_PREALLOCATED_BYTES: u64 = 1 << 20;
/// The number of chunks after which the task yields to others.
const CHUNKS_AT_ONCE: u32 = 64;

/// A response.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers; without those about the content encoding when the body was decoded.
    pub headers: HeaderMap,
    /// The URL it came from, when that is not the one of the request.
    pub url: Option<Uri>,
    /// The body.
    pub body: ResponseBody,
}

/// A body, complete or streamed.
pub enum ResponseBody {
    /// The complete body.
    Full(Bytes),
    /// A stream of chunks.
    Streaming(Streaming),
}

impl ResponseBody {
    /// The whole body. One of more than `max_bytes` is a failure, and its connection is closed.
    pub async fn read(self, max_bytes: usize) -> Outcome<Bytes> {
        match self {
            Self::Full(bytes) => Ok(bytes),
            Self::Streaming(body) => body.read(max_bytes).await,
        }
    }
}

/// A body that is read in chunks. Dropping it before the end closes its connection.
pub struct Streaming {
    source: Source,
    chunks: u32,
    idle: Limit<Duration>,
    context: Arc<CallContext>,
    /// Fires when the transport is closed.
    ended: Option<CancellationToken>,
}

enum Source {
    Raw(Box<RawBody>),
    Encoded(Box<Decoder>),
}

impl Streaming {
    pub(super) fn raw(body: RawBody, idle: Limit<Duration>) -> Self {
        Self {
            context: Arc::clone(&body.context),
            source: Source::Raw(Box::new(body)),
            chunks: 0,
            idle,
            ended: None,
        }
    }

    pub(super) fn encoded(
        decoder: Decoder,
        idle: Limit<Duration>,
        context: Arc<CallContext>,
    ) -> Self {
        Self {
            source: Source::Encoded(Box::new(decoder)),
            chunks: 0,
            idle,
            ended: None,
            context,
        }
    }

    /// The same, for as long as `ended` does not fire.
    pub(super) fn with_end(self, ended: CancellationToken) -> Self {
        Self {
            ended: Some(ended),
            ..self
        }
    }

    /// The next chunk; `None` at the end. After a failure there is no further chunk.
    pub async fn next(&mut self) -> Outcome<Option<Bytes>> {
        let Some(ended) = self.ended.clone() else {
            return self.next_until(None).await;
        };
        tokio::select! {
            biased;
            () = ended.cancelled() => Err(closed_failure(Delivery::Answered)),
            chunk = self.next_until(None) => chunk,
        }
    }

    /// The next chunk, or the end, where that has come already; else [`Self::next`] waits for it. This looks neither at the
    /// clock nor at the end of the transport: the caller does by `next`, after so many bytes.
    pub fn next_ready(&mut self) -> Option<Outcome<Option<Bytes>>> {
        match &mut self.source {
            Source::Raw(body) => {
                let mut noop = Context::from_waker(Waker::noop());
                match body.poll_chunk(&mut noop) {
                    Poll::Ready(chunk) => Some(chunk.transpose()),
                    Poll::Pending => None,
                }
            }
            Source::Encoded(decoder) => decoder.next().now_or_never(),
        }
    }

    async fn next_until(&mut self, until: Option<Instant>) -> Outcome<Option<Bytes>> {
        self.chunks = self.chunks.wrapping_add(1);
        if self.chunks.is_multiple_of(CHUNKS_AT_ONCE) {
            task::yield_now().await;
        }
        let chunk = async {
            match &mut self.source {
                Source::Raw(body) => body.next().await.transpose(),
                // Its future is large, and most bodies are not encoded.
                Source::Encoded(decoder) => Box::pin(decoder.next()).await,
            }
        };
        let now = Instant::now();
        let idle = self.idle.get().and_then(|idle| now.checked_add(idle));
        let Some(at) = [until, idle].into_iter().flatten().min() else {
            return chunk.await;
        };
        // After the deadline a chunk that is already there is too late as well.
        let found = if at > now {
            timeouts::run_until(at, std::pin::pin!(chunk)).await
        } else {
            None
        };
        found.unwrap_or_else(|| {
            // The failure of its own deadline is made by the caller.
            let after = self.idle.get().unwrap_or_default();
            let traffic = Traffic::default();
            Err(self
                .context
                .timeout_failure("bodyTimeoutMs", after, Stage::Body, traffic))
        })
    }

    async fn read(mut self, max_bytes: usize) -> Outcome<Bytes> {
        let mut full = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            if full.len() + chunk.len() > max_bytes {
                let peer = &self.context.peer;
                let message = format!("the response of {peer} is longer than {max_bytes} bytes");
                let failure = Failure::new(Kind::Protocol, message).with_code(TOO_LARGE);
                return Err(self
                    .context
                    .annotate(failure, Stage::Body, Traffic::default()));
            }
            full.extend_from_slice(&chunk);
        }
        Ok(full.freeze())
    }

    /// The whole body.
    pub(super) async fn collect(mut self, until: Option<Instant>) -> Outcome<Bytes> {
        let Some(first) = self.next_until(until).await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next_until(until).await? else {
            return Ok(first);
        };
        let expected = match &self.source {
            Source::Raw(body) => body.missing().min(MAX_PREALLOCATED_BYTES),
            Source::Encoded(_) => 0,
        };
        let room = first.len() + second.len() + expected as usize;
        let mut full = BytesMut::with_capacity(room);
        full.extend_from_slice(&first);
        full.extend_from_slice(&second);
        while let Some(chunk) = self.next_until(until).await? {
            full.extend_from_slice(&chunk);
        }
        Ok(full.freeze())
    }
}
