//! A body as it comes from the network, through hyper or without it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    limit::Limit,
};

use super::{
    byte_count::CountingStream,
    detached_body::{DetachedBody, Framing},
    error::{CallContext, Stage, TOO_LARGE, Traffic},
    origin::{Checkout, PooledHttpConnection},
};

/// The number of chunks that are read and dropped to keep a connection.
const DISCARDED_CHUNKS: usize = 8;

/// A body as it comes from the network, before decoding.
pub(super) struct RawBody {
    /// `None` when the body is over.
    source: Option<Source>,
    left: Limit<u64>,
    max: Limit<u64>,
    pub(super) context: Arc<CallContext>,
}

/// The reader of a body.
enum Source {
    Hyper {
        incoming: Incoming,
        checkout: Checkout,
    },
    Detached {
        body: DetachedBody<CountingStream>,
        /// The connection counts for as long as it is open.
        _pooled: PooledHttpConnection,
    },
}

impl RawBody {
    pub(super) fn new(
        incoming: Incoming,
        checkout: Checkout,
        max: Limit<u64>,
        context: Arc<CallContext>,
    ) -> Self {
        checkout.release_body();
        let source = Source::Hyper { incoming, checkout };
        Self::of(source, max, context)
    }

    /// The same without hyper, where the connection can be taken from it.
    pub(super) fn detached(
        incoming: Incoming,
        headers: &HeaderMap,
        checkout: Checkout,
        max: Limit<u64>,
        context: Arc<CallContext>,
    ) -> Self {
        // Without a body there is nothing to wait for, and the connection is good for another request.
        if incoming.is_end_stream() {
            return Self::new(incoming, checkout, max, context);
        }
        match checkout.detach() {
            Err(checkout) => Self::new(incoming, checkout, max, context),
            Ok((stream, pooled)) => {
                let framing = Framing::new(incoming.size_hint().exact(), headers);
                let body = DetachedBody::new(stream, framing);
                let source = Source::Detached {
                    body,
                    _pooled: pooled,
                };
                Self::of(source, max, context)
            }
        }
    }

    fn of(source: Source, max: Limit<u64>, context: Arc<CallContext>) -> Self {
        let mut body = Self {
            source: Some(source),
            left: max,
            max,
            context,
        };
        // A response without a body needs its connection no longer.
        body.finish_at_end();
        body
    }

    /// Whether the announced length exceeds the limit.
    pub(super) fn is_too_long(&self) -> bool {
        self.max.get().is_some_and(|max| self.missing() > max)
    }

    /// The announced bytes that have not arrived.
    pub(super) fn missing(&self) -> u64 {
        match &self.source {
            Some(Source::Hyper { incoming, .. }) => incoming.size_hint().lower(),
            Some(Source::Detached { body, .. }) => body.missing(),
            None => 0,
        }
    }

    pub(super) fn too_long(&self) -> Failure {
        too_long(&self.context, "maxResponseBytes", self.max)
    }

    pub(super) async fn next(&mut self) -> Option<Outcome<Bytes>> {
        std::future::poll_fn(|context| self.poll_chunk(context)).await
    }

    /// The next bytes; `None` at the end, and after a failure.
    pub(super) fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Outcome<Bytes>>> {
        let polled = match &mut self.source {
            None => return Poll::Ready(None),
            Some(Source::Hyper { incoming, checkout }) => {
                ready!(poll_hyper(incoming, checkout, context)).map(|data| {
                    data.map_err(|error| {
                        self.context
                            .connection_failure(&error, Stage::Body, Traffic::default())
                    })
                })
            }
            Some(Source::Detached { body, .. }) => ready!(body.poll_next(context)).map(|data| {
                data.map_err(|error| {
                    self.context
                        .connection_failure(&error, Stage::Body, Traffic::default())
                })
            }),
        };
        let checked = match polled {
            // HTTP/2 may end a stream early without calling it an error.
            None if self.missing() > 0 => Some(Err(self.context.truncated())),
            Some(Ok(chunk)) => Some(self.check_limit(chunk)),
            other => other,
        };
        match &checked {
            Some(Ok(_)) => self.finish_at_end(),
            Some(Err(_)) => self.source = None,
            None => self.finish(),
        }
        Poll::Ready(checked)
    }

    /// The same bytes, if so many may come.
    fn check_limit(&mut self, chunk: Bytes) -> Outcome<Bytes> {
        if let Limit::At(left) = &mut self.left {
            let rest = left.checked_sub(chunk.len() as u64);
            *left = rest.ok_or_else(|| too_long(&self.context, "maxResponseBytes", self.max))?;
        }
        Ok(chunk)
    }

    /// Ends it when nothing more can come.
    fn finish_at_end(&mut self) {
        let at_end = match &self.source {
            Some(Source::Hyper { incoming, .. }) => incoming.is_end_stream(),
            Some(Source::Detached { body, .. }) => body.is_over(),
            None => false,
        };
        if at_end {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some(Source::Hyper { checkout, .. }) = self.source.take() {
            checkout.finish();
        }
    }
}

/// The next bytes of a body that hyper reads.
fn poll_hyper(
    incoming: &mut Incoming,
    checkout: &mut Checkout,
    context: &mut Context<'_>,
) -> Poll<Option<hyper::Result<Bytes>>> {
    loop {
        let frame = ready!(poll_frame(incoming, checkout, context));
        // Trailers are ignored.
        match frame.map(|frame| frame.map(Frame::into_data)) {
            None => return Poll::Ready(None),
            Some(Ok(Ok(data))) => return Poll::Ready(Some(Ok(data))),
            Some(Ok(Err(_))) => {}
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
        }
    }
}

fn poll_frame(
    incoming: &mut Incoming,
    checkout: &mut Checkout,
    context: &mut Context<'_>,
) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
    let Checkout::H1 { h1, .. } = checkout else {
        return Pin::new(incoming).poll_frame(context);
    };
    // Only driving the connection fills the body, so nothing but the socket need wake this task.
    let mut noop = Context::from_waker(Waker::noop());
    if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(&mut noop) {
        return Poll::Ready(frame);
    }
    let driven = h1.drive(context);
    match Pin::new(incoming).poll_frame(&mut noop) {
        Poll::Pending => match driven {
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
            Poll::Ready(Ok(())) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        },
        frame @ Poll::Ready(_) => frame,
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
            if !matches!(self.source, Some(Source::Hyper { .. }))
                || self.poll_chunk(&mut noop).is_pending()
            {
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
