//! The task of an open stream: network, parser, receive queue.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use moorline_core::{
    error::{Failure, Outcome},
    limit::Limit,
};
use tokio::time::{Instant, sleep_until};

use super::{
    error::{broken_stream_failure, event_too_long, idle_failure},
    event_queue::{BATCH_BYTES, EventBatch, EventQueue},
    parser::Parser,
};
use moorline_net::{http::Streaming, receive_queue::ReceiveQueue};

/// The end of a stream.
#[derive(Clone, Debug)]
pub struct StreamEnd {
    /// Whether a reconnect would fail too.
    pub is_final: bool,
    /// The failure that ended it; `None` when the server or the caller ended it.
    pub failure: Option<Failure>,
}

pub(super) struct Driver<B> {
    pub(super) body: Streaming,
    pub(super) parser: Parser,
    pub(super) receive_queue: Arc<ReceiveQueue<EventQueue<B>, StreamEnd>>,
    pub(super) idle_timeout: Limit<Duration>,
    pub(super) max_event_bytes: usize,
}

impl<B: EventBatch> Driver<B> {
    /// Runs until the stream is over. By reference, since a future keeps what is moved into it twice.
    pub(super) async fn run(&mut self) {
        let closed = self.read().await;
        let mut rest = B::default();
        self.parser.finish(&mut rest);
        self.put(rest);
        self.receive_queue.end(closed);
    }

    async fn read(&mut self) -> StreamEnd {
        loop {
            // Without room here, the data stays with the server.
            self.receive_queue.room().await;
            let first = self.next().await;
            match self.take_all(first) {
                Ok(true) => {}
                Ok(false) => {
                    return StreamEnd {
                        is_final: false,
                        failure: None,
                    };
                }
                Err(closed) => return closed,
            }
        }
    }

    /// The next chunk; any byte counts as a sign of life.
    async fn next(&mut self) -> Outcome<Option<Bytes>> {
        let next = self.body.next();
        let Limit::At(idle) = self.idle_timeout else {
            return next.await.map_err(broken_stream_failure);
        };
        let Some(until) = Instant::now().checked_add(idle) else {
            return next.await.map_err(broken_stream_failure);
        };
        tokio::select! {
            biased;
            chunk = next => chunk.map_err(broken_stream_failure),
            () = sleep_until(until) => Err(idle_failure(idle)),
        }
    }

    /// Parses a chunk and those that are available after it, since servers write each event on its own. False when the
    /// stream is over.
    fn take_all(&mut self, first: Outcome<Option<Bytes>>) -> Result<bool, StreamEnd> {
        let (mut batch, mut bytes) = (B::default(), 0);
        let mut next = Some(first);
        let outcome = loop {
            match next {
                Some(Ok(Some(chunk))) => {
                    bytes += chunk.len();
                    if let Err(closed) = self.parse(&chunk, &mut batch) {
                        break Err(closed);
                    }
                }
                Some(Ok(None)) => break Ok(false),
                Some(Err(failure)) => {
                    break Err(StreamEnd {
                        is_final: !failure.retryable,
                        failure: Some(failure),
                    });
                }
                None => break Ok(true),
            }
            if bytes >= BATCH_BYTES {
                break Ok(true);
            }
            next = self.body.next_ready();
            next = next.map(|chunk| chunk.map_err(broken_stream_failure));
        };
        self.put(batch);
        outcome
    }

    fn parse(&mut self, chunk: &[u8], batch: &mut B) -> Result<(), StreamEnd> {
        for part in chunk.chunks(BATCH_BYTES) {
            if self.parser.feed(part, batch).is_err() {
                let failure: Failure = event_too_long(self.max_event_bytes);
                return Err(StreamEnd {
                    is_final: true,
                    failure: Some(failure),
                });
            }
            if batch.bytes() >= BATCH_BYTES {
                self.put(std::mem::take(batch));
            }
        }
        Ok(())
    }

    fn put(&self, batch: B) {
        if batch.bytes() > 0 {
            self.receive_queue.put(|queue| queue.push(batch));
        }
    }
}
