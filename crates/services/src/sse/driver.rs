//! The task behind an open stream: from the network through the parser into the inbox.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use moorline_core::{
    error::{Failure, Outcome},
    limit::Limit,
};
use tokio::time::{Instant, sleep_until};

use super::{
    batch::{Batch, EventText, TEXT_BYTES},
    error::{broken, silent, too_long},
    parser::Parser,
};
use moorline_net::{http::Streaming, receive_queue::ReceiveQueue};

/// How a stream ended.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Connecting again would not help.
    pub stopped: bool,
    /// Why it ended, when that was neither the server's doing nor the caller's.
    pub failure: Option<Failure>,
}

pub(super) struct Driver {
    pub(super) body: Streaming,
    pub(super) parser: Parser,
    pub(super) receive_queue: Arc<ReceiveQueue<EventText, Closed>>,
    pub(super) idle_timeout: Limit<Duration>,
    pub(super) max_event_bytes: usize,
}

impl Driver {
    /// Runs until the stream is over.
    pub(super) async fn run(mut self) {
        let closed = self.read().await;
        let mut rest = Batch::default();
        self.parser.finish(&mut rest);
        self.put(rest);
        self.receive_queue.end(closed);
    }

    async fn read(&mut self) -> Closed {
        loop {
            // What does not fit here waits with the server.
            self.receive_queue.room().await;
            let first = self.next().await;
            match self.take_all(first) {
                Ok(true) => {}
                Ok(false) => {
                    return Closed {
                        stopped: false,
                        failure: None,
                    };
                }
                Err(closed) => return closed,
            }
        }
    }

    /// The next piece; any byte counts as a sign of life.
    async fn next(&mut self) -> Outcome<Option<Bytes>> {
        let next = self.body.next();
        let Limit::At(idle) = self.idle_timeout else {
            return next.await.map_err(broken);
        };
        let Some(until) = Instant::now().checked_add(idle) else {
            return next.await.map_err(broken);
        };
        tokio::select! {
            biased;
            piece = next => piece.map_err(broken),
            () = sleep_until(until) => Err(silent(idle)),
        }
    }

    /// Reads a piece and those that are there already: servers write each event by itself. False when the stream
    /// is over.
    fn take_all(&mut self, first: Outcome<Option<Bytes>>) -> Result<bool, Closed> {
        let (mut batch, mut bytes) = (Batch::default(), 0);
        let mut next = Some(first);
        let outcome = loop {
            match next {
                Some(Ok(Some(piece))) => {
                    bytes += piece.len();
                    if let Err(closed) = self.parse(&piece, &mut batch) {
                        break Err(closed);
                    }
                }
                Some(Ok(None)) => break Ok(false),
                Some(Err(failure)) => {
                    break Err(Closed {
                        stopped: !failure.retryable,
                        failure: Some(failure),
                    });
                }
                None => break Ok(true),
            }
            if bytes >= TEXT_BYTES {
                break Ok(true);
            }
            next = self.body.next().now_or_never();
            next = next.map(|piece| piece.map_err(broken));
        };
        self.put(batch);
        outcome
    }

    fn parse(&mut self, piece: &[u8], batch: &mut Batch) -> Result<(), Closed> {
        for part in piece.chunks(TEXT_BYTES) {
            if self.parser.feed(part, batch).is_err() {
                let failure: Failure = too_long(self.max_event_bytes);
                return Err(Closed {
                    stopped: true,
                    failure: Some(failure),
                });
            }
            if batch.text.len() >= TEXT_BYTES {
                self.put(std::mem::take(batch));
            }
        }
        Ok(())
    }

    fn put(&self, batch: Batch) {
        if !batch.is_empty() {
            self.receive_queue.put(|texts| texts.push(batch));
        }
    }
}
