//! Per-call timeouts: total, connect, headers, body idle.

use std::{pin::Pin, sync::Arc, task::Poll, time::Duration};

use hyper::client::conn::TrySendError;
use moorline_core::error::{Failure, Kind, Outcome};
use tokio::{
    task::unconstrained,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    body::{RequestBody, UploadProgress},
    byte_count::ByteCounter,
    config::CallConfig,
    error::{CallContext, Stage, Traffic},
    origin::{Checkout, Origin},
    request::Request,
};

/// The deadline of one call.
pub(super) struct CallDeadline {
    pub(super) until: Option<Instant>,
    timeout: Duration,
    /// The option that says so.
    name: &'static str,
}

impl CallDeadline {
    /// The bounds of a call that begins now.
    pub(super) fn new(config: &CallConfig) -> Self {
        let (left, timeout, name) = config.limiting_timeout();
        Self {
            until: left.get().and_then(|left| Instant::now().checked_add(left)),
            timeout: timeout.get().unwrap_or_default(),
            name,
        }
    }

    pub(super) async fn checkout(
        &self,
        origin: &Arc<Origin>,
        context: &CallContext,
    ) -> Outcome<Checkout> {
        let checkout = async {
            let found = origin.checkout().await;
            // The dialer has told its phase.
            found.map_err(|failure| {
                failure
                    .with_detail("bytesWritten", 0)
                    .with_detail("reusedSocket", false)
            })
        };
        let Some(until) = self.until else {
            return checkout.await;
        };
        let mut checkout = std::pin::pin!(checkout);
        let found = timeout_at(until, &mut checkout).await;
        // The attempt still stands here, so what it waits for can be told.
        found.unwrap_or_else(|_| {
            let nothing = Traffic {
                written: Some(0),
                read: 0,
            };
            let failure = context.timeout_failure(self.name, self.timeout, Stage::Queue, nothing);
            Err(if origin.is_dialling() {
                failure.with_detail("phase", "connect")
            } else {
                let message = format!(
                    "{}: all {} connections are in use (maxConnections)",
                    failure.message, origin.max_connections
                );
                failure.with_message(message)
            })
        })
    }

    /// A body that was late for the whole call says so.
    pub(super) fn as_call_timeout(&self, failure: Failure, context: &CallContext) -> Failure {
        let over = self.until.is_some_and(|until| until <= Instant::now());
        if failure.kind != Kind::Timeout || !over {
            return failure;
        }
        context.timeout_failure(self.name, self.timeout, Stage::Body, Traffic::default())
    }
}

/// Runs `work` until `at`; `None` when it is not done by then. The clock is read each time, since work that always has
/// something to do leaves the timer no turn.
pub(super) async fn run_until<T>(
    at: Instant,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    let mut timer = std::pin::pin!(unconstrained(sleep_until(at)));
    std::future::poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        if Instant::now() >= at {
            return Poll::Ready(None);
        }
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Watches a request on its way out and its answer on its way in.
pub(super) struct PhaseTimeouts<'a> {
    pub(super) byte_counter: Option<Arc<ByteCounter>>,
    pub(super) upload: UploadProgress,
    pub(super) context: &'a CallContext,
}

impl PhaseTimeouts<'_> {
    /// The answer's head, or the failure of the first limit that is reached.
    pub(super) async fn run<T>(
        &self,
        sent: impl Future<Output = T>,
        request: &Request,
        deadline: &CallDeadline,
    ) -> Outcome<T> {
        let mut sent = std::pin::pin!(sent);
        let config = &request.config;
        // A small request is written at once, and what counts is the time since then.
        let first = std::future::poll_fn(|context| Poll::Ready(sent.as_mut().poll(context))).await;
        if let Poll::Ready(done) = first {
            return Ok(done);
        }
        let (mut progress, mut since) = (self.progress(), Instant::now());
        loop {
            let writing = self.stage() == Stage::Write;
            let (name, limit) = if writing {
                ("bodyTimeoutMs", config.body_timeout)
            } else {
                ("headersTimeoutMs", config.headers_timeout)
            };
            let end = limit.get().and_then(|limit| since.checked_add(limit));
            // While something is being written, progress is looked for twenty times as often as it must come.
            let look = limit
                .get()
                .filter(|_| writing)
                .map(|limit| Instant::now() + limit / 20);
            let Some(at) = [deadline.until, end, look].into_iter().flatten().min() else {
                return Ok(sent.await);
            };
            if let Some(done) = run_until(at, sent.as_mut()).await {
                return Ok(done);
            }
            let now = Instant::now();
            if deadline.until.is_some_and(|until| until <= now) {
                return Err(self.timeout_failure(deadline.name, deadline.timeout));
            }
            let advanced = self.progress();
            if advanced != progress {
                (progress, since) = (advanced, now);
            } else if end.is_some_and(|end| end <= now) {
                return Err(self.timeout_failure(name, limit.get().unwrap_or_default()));
            }
        }
    }

    fn timeout_failure(&self, limit: &str, after: Duration) -> Failure {
        self.context
            .timeout_failure(limit, after, self.stage(), self.traffic())
    }

    pub(super) fn connection_failure(
        &self,
        error: &TrySendError<http::Request<RequestBody>>,
    ) -> Failure {
        self.context
            .connection_failure(error.error(), self.stage(), self.traffic())
    }

    fn traffic(&self) -> Traffic {
        self.byte_counter
            .as_ref()
            .map_or(Traffic::default(), |counter| Traffic {
                written: Some(counter.bytes_written()),
                read: counter.bytes_read(),
            })
    }

    fn progress(&self) -> u64 {
        self.upload.progress()
            + self
                .byte_counter
                .as_ref()
                .map_or(0, |counter| counter.bytes_written())
    }

    /// Whether all was handed over to be written.
    fn stage(&self) -> Stage {
        let written = self
            .byte_counter
            .as_ref()
            .map(|counter| counter.bytes_written());
        if self.upload.is_complete(written) {
            Stage::Headers
        } else {
            Stage::Write
        }
    }
}
