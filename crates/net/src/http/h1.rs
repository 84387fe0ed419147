//! One HTTP/1 connection, driven by the task of the request that uses it.
//!
//! hyper wants its connection polled by a task of its own; then every request costs two hops between tasks.
//! Here the request's own task polls it, and nothing does while it is unused: whether the server has closed it
//! meanwhile is found out when it is taken again.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{HeaderMap, Request, Response, header};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{
    body::RequestBody,
    byte_count::{BURST_BYTES, ByteCounter, CountingStream, MAX_HEAD_BYTES},
};
use crate::dial::Stream;

/// The most headers a response may have; room for them is made for each.
const MAX_HEADERS: usize = 2000;
/// More than is read of a head, so that it is the byte counter which ends one that is too long.
const BUFFER_BYTES: usize = MAX_HEAD_BYTES as usize + 2 * BURST_BYTES;
/// A server that says it closes after so many seconds is not relied on in the last one.
const HINT_MARGIN: Duration = Duration::from_secs(1);
/// A longer hint means no more than this one, and is no number to reckon with: servers write "for ever" as the largest
/// one they have.
const MAX_HINT: Duration = Duration::from_hours(1);

/// Sent, or given back unsent.
pub(super) type SendResult = Result<Response<Incoming>, Box<TrySendError<Request<RequestBody>>>>;

pub(super) struct H1 {
    sender: SendRequest<RequestBody>,
    connection: http1::Connection<TokioIo<CountingStream>, RequestBody>,
    pub(super) byte_counter: Arc<ByteCounter>,
    /// Until when the server keeps it, where it said so.
    expires_at: Option<Instant>,
    /// Whether it has carried a request before.
    pub(super) used: bool,
    ended: bool,
}

impl H1 {
    pub(super) async fn new(stream: Stream) -> hyper::Result<Self> {
        let (counting_stream, byte_counter) = CountingStream::new(stream);
        let (sender, connection) = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_buf_size(BUFFER_BYTES)
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake(TokioIo::new(counting_stream))
            .await?;
        Ok(Self {
            sender,
            connection,
            byte_counter,
            expires_at: None,
            used: false,
            ended: false,
        })
    }

    /// Whether a request may be sent on it. Looks at the socket, so that a close by the server is seen once it has arrived.
    pub(super) fn is_ready(&mut self) -> bool {
        let expired = self.expires_at.is_some_and(|at| at <= Instant::now());
        let _ = self.drive(&mut Context::from_waker(Waker::noop()));
        !expired && !self.ended && self.sender.is_ready()
    }

    /// Moves bytes; ready when the connection has ended.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        let driven = Pin::new(&mut self.connection).poll(context);
        self.ended = driven.is_ready();
        driven
    }

    /// Sends a request and gives the head of its answer; with `hold_body` hyper gets nothing behind that. Dropping the
    /// future leaves a connection in the middle of something: it must be dropped too.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
        hold_body: bool,
    ) -> SendResult {
        self.byte_counter.reset();
        if hold_body {
            self.byte_counter.hold_body();
        }
        self.used = true;
        let mut response = std::pin::pin!(self.sender.try_send_request(request));
        let sent = std::future::poll_fn(|context| {
            let mut noop = Context::from_waker(Waker::noop());
            loop {
                // What drives it to its end is told in the answer.
                if !self.ended {
                    self.ended = Pin::new(&mut self.connection).poll(context).is_ready();
                }
                // Only driving the connection completes the answer, so nothing but the socket need wake this task.
                let sent = response.as_mut().poll(&mut noop);
                if sent.is_ready() || !self.byte_counter.pass_interim_head() {
                    return sent;
                }
            }
        })
        .await;
        self.byte_counter.on_response();
        if let Ok(response) = &sent {
            self.expires_at = keep_alive_hint(response.headers()).map(|hint| Instant::now() + hint);
        }
        sent.map_err(Box::new)
    }

    /// The connection without hyper, which has read no more than a head.
    pub(super) fn into_stream(self) -> CountingStream {
        let parts = self.connection.into_parts();
        let mut stream = parts.io.into_inner();
        stream.unread(&parts.read_buf);
        stream
    }
}

/// `Keep-Alive: timeout=5`, less a margin.
fn keep_alive_hint(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::HeaderName::from_static("keep-alive"))?;
    let seconds = value
        .to_str()
        .ok()?
        .split(',')
        .find_map(|part| part.trim().strip_prefix("timeout="))?
        .parse()
        .ok()?;
    let hint = Duration::from_secs(seconds).min(MAX_HINT);
    Some(hint.saturating_sub(HINT_MARGIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_hint_is_taken_with_a_margin() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("keep-alive", value.parse().unwrap());
            keep_alive_hint(&headers)
        };
        assert_eq!(of("timeout=5, max=100"), Some(Duration::from_secs(4)));
        assert_eq!(of("max=3,timeout=0"), Some(Duration::ZERO));
        assert_eq!(of("timeout=soon"), None);
        for endless in [
            "timeout=9223372036854775807",
            "timeout=18446744073709551615",
        ] {
            assert_eq!(of(endless), Some(Duration::from_secs(3599)));
        }
        assert_eq!(keep_alive_hint(&HeaderMap::new()), None);
    }
}
