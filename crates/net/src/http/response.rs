//! The response: its head, and its body as it arrives.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, Stream};
use http::{HeaderMap, StatusCode, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
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
    origin::Checkout,
    timeouts,
};

/// The most memory that is allocated in advance for a body of announced length.
const MAX_PREALLOCATED_BYTES: u64 = 1 << 20;
/// The number of chunks that are read and dropped to keep a connection.
const DISCARDED_CHUNKS: usize = 8;
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
                Source::Encoded(decoder) => decoder.next().await,
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

    /// The whole body.
    pub(super) async fn collect(mut self, until: Option<Instant>) -> Outcome<Bytes> {
        let Some(first) = self.next_until(until).await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next_until(until).await? else {
            return Ok(first);
        };
        let expected = match &self.source {
            Source::Raw(body) => body
                .incoming
                .size_hint()
                .lower()
                .min(MAX_PREALLOCATED_BYTES),
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

/// A body as it comes from the network, before decoding.
pub(super) struct RawBody {
    incoming: Incoming,
    /// `None` when the body is over.
    checkout: Option<Checkout>,
    left: Limit<u64>,
    max: Limit<u64>,
    context: Arc<CallContext>,
}

impl RawBody {
    pub(super) fn new(
        incoming: Incoming,
        checkout: Checkout,
        max: Limit<u64>,
        context: Arc<CallContext>,
    ) -> Self {
        let mut body = Self {
            incoming,
            checkout: Some(checkout),
            left: max,
            max,
            context,
        };
        // A response without a body needs its connection no longer.
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    /// Whether the announced length exceeds the limit.
    pub(super) fn is_too_long(&self) -> bool {
        let over = |max| self.missing() > max;
        self.checkout.is_some() && self.max.get().is_some_and(over)
    }

    /// The announced bytes that have not arrived.
    fn missing(&self) -> u64 {
        self.incoming.size_hint().lower()
    }

    pub(super) fn too_long(&self) -> Failure {
        too_long(&self.context, "maxResponseBytes", self.max)
    }

    pub(super) async fn next(&mut self) -> Option<Outcome<Bytes>> {
        std::future::poll_fn(|context| self.poll_chunk(context)).await
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Outcome<Bytes>>> {
        loop {
            if self.checkout.is_none() {
                return Poll::Ready(None);
            }
            let Some(frame) = ready!(self.poll_frame(context)) else {
                // HTTP/2 may end a stream early without calling it an error.
                if self.missing() > 0 {
                    self.checkout = None;
                    return Poll::Ready(Some(Err(self.context.truncated())));
                }
                self.finish();
                return Poll::Ready(None);
            };
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    self.checkout = None;
                    let failure =
                        self.context
                            .connection_failure(&error, Stage::Body, Traffic::default());
                    return Poll::Ready(Some(Err(failure)));
                }
            };
            // Trailers are ignored.
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            if let Limit::At(left) = &mut self.left {
                let Some(rest) = left.checked_sub(chunk.len() as u64) else {
                    self.checkout = None;
                    return Poll::Ready(Some(Err(self.too_long())));
                };
                *left = rest;
            }
            if self.incoming.is_end_stream() {
                self.finish();
            }
            return Poll::Ready(Some(Ok(chunk)));
        }
    }

    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<hyper::body::Frame<Bytes>>>> {
        let Some(Checkout::H1 { h1, .. }) = &mut self.checkout else {
            return Pin::new(&mut self.incoming).poll_frame(context);
        };
        // Only driving the connection fills the body, so nothing but the socket need wake this task.
        let mut noop = Context::from_waker(Waker::noop());
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(&mut noop) {
            return Poll::Ready(frame);
        }
        let driven = h1.drive(context);
        match Pin::new(&mut self.incoming).poll_frame(&mut noop) {
            Poll::Pending => match driven {
                Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
                Poll::Ready(Ok(())) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            },
            frame @ Poll::Ready(_) => frame,
        }
    }

    fn finish(&mut self) {
        if let Some(checkout) = self.checkout.take() {
            checkout.finish();
        }
    }
}

impl Stream for RawBody {
    type Item = io::Result<Bytes>;

    /// For the decoder, which passes the failure on as the source of its error.
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = ready!(self.poll_chunk(context));
        Poll::Ready(chunk.map(|chunk| chunk.map_err(io::Error::other)))
    }
}

impl Drop for RawBody {
    fn drop(&mut self) {
        // Decoding may end before the last, empty piece was read, and the body of a redirect is not read; the
        // connection is still good when all of it is there.
        let mut noop = Context::from_waker(Waker::noop());
        for _ in 0..DISCARDED_CHUNKS {
            if self.checkout.is_none() || self.poll_chunk(&mut noop).is_pending() {
                return;
            }
        }
    }
}

pub(super) fn too_long(context: &CallContext, option: &str, max: Limit<u64>) -> Failure {
    let message = format!(
        "the response of {} is longer than {} bytes ({option})",
        context.peer,
        max.get().unwrap_or_default()
    );
    let failure = Failure::new(Kind::Protocol, message).with_code(TOO_LARGE);
    context
        .annotate(failure, Stage::Body, Traffic::default())
        .with_delivery(Delivery::Answered)
}
