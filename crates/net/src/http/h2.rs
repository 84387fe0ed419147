//! One HTTP/2 connection, shared by all requests to its origin.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use moorline_core::sync::lock;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    body::RequestBody,
    byte_count::{ByteCounter, CountingStream, MAX_HEAD_BYTES},
};
use crate::dial::Stream;

/// A peer that answers no ping for [`PING_TIMEOUT`] after [`PING_EVERY`] without a word is gone.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The bytes the server may send on one stream before it is read: HTTP/2's own 64 KB are too little.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The same in all: the most that HTTP/2 allows, since a stream that is not read must not stop the others. The number
/// of streams bounds it.
const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;
/// Of a request's body that is taken and not written yet: what lies here does not show that the server is slow.
const SEND_BUFFER_BYTES: usize = 128 << 10;

/// A sender on a shared connection. The connection ends with the last of them.
#[derive(Clone)]
pub(super) struct H2 {
    pub(super) sender: SendRequest<RequestBody>,
    usage: Arc<Usage>,
}

struct Usage {
    /// Requests so far.
    requests: AtomicU32,
    /// Requests now.
    streams: AtomicU32,
    last_used: Mutex<Instant>,
    byte_counter: Arc<ByteCounter>,
    /// Fires when it gets no more requests.
    retirement: CancellationToken,
}

/// Counts one request while it is held.
pub(super) struct StreamGuard(Arc<Usage>);

impl H2 {
    pub(super) async fn new(stream: Stream) -> hyper::Result<Self> {
        let (counting_stream, byte_counter) = CountingStream::new(stream);
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            // It refuses a list of that size itself.
            .max_header_list_size(MAX_HEAD_BYTES as u32 + 1)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(counting_stream))
            .await?;
        // Ends when the last sender is gone and the last stream has ended; its errors reach the streams.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let usage = Arc::new(Usage {
            requests: AtomicU32::new(0),
            streams: AtomicU32::new(0),
            last_used: Mutex::new(Instant::now()),
            byte_counter,
            retirement: CancellationToken::new(),
        });
        Ok(Self { sender, usage })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Counts a request in, and tells whether it is not the first.
    pub(super) fn begin_stream(&self) -> (StreamGuard, bool) {
        let before = self.usage.requests.fetch_add(1, Ordering::Relaxed);
        self.usage.streams.fetch_add(1, Ordering::Relaxed);
        let mut last_used = lock(&self.usage.last_used);
        *last_used = Instant::now();
        (StreamGuard(Arc::clone(&self.usage)), before > 0)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.usage, &other.usage)
    }

    /// The number of bytes received from the server so far.
    pub(super) fn bytes_received(&self) -> u64 {
        self.usage.byte_counter.bytes_read()
    }

    /// Sends no more requests over it; it closes when those in flight have ended.
    pub(super) fn retire(&self) {
        self.usage.retirement.cancel();
    }

    /// Ready when it was retired, or was unused for `limit`.
    pub(super) async fn wait_until_idle(&self, limit: Duration) {
        loop {
            let rest = self.usage.idle_left(limit);
            if rest.is_zero() || !self.is_open() {
                return;
            }
            tokio::select! {
                () = sleep(rest) => {}
                () = self.usage.retirement.cancelled() => return,
            }
        }
    }
}

impl Usage {
    fn idle_left(&self, limit: Duration) -> Duration {
        if self.streams.load(Ordering::Relaxed) > 0 {
            return limit;
        }
        let last_used = *lock(&self.last_used);
        limit.saturating_sub(last_used.elapsed())
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        *lock(&self.0.last_used) = Instant::now();
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
