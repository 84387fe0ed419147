//! The client of an event stream and the handle of an open one.

use std::sync::{Arc, Weak};

use http::{StatusCode, header};
use moorline_core::error::{Failure, Kind, Outcome};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    config::Config,
    driver::{Driver, StreamEnd},
    error::{CONNECT, SERVICE, refusal_failure, unsendable_id},
    event_queue::{EventBatch, EventQueue},
    parser::Parser,
};
use moorline_net::{
    http::{Engine, Response, ResponseBody},
    receive_queue::{ReceiveQueue, Wakeup},
};

/// A client: opens streams with one configuration. Dropping it ends them.
pub struct EventStreamClient {
    config: Config,
    engine: Engine,
    runtime: Handle,
    ended: CancellationToken,
}

/// An open stream. Dropping it closes it.
pub struct EventStream<B> {
    /// The URL it comes from, if a redirect led there.
    pub url: Option<String>,
    receive_queue: Arc<ReceiveQueue<EventQueue<B>, StreamEnd>>,
    close: CancellationToken,
}

impl EventStreamClient {
    /// A client; it connects to nothing yet. Open streams are cut off when `ended` fires.
    pub fn new(config: Config, runtime: Handle, ended: CancellationToken) -> Self {
        Self {
            engine: Engine::new(config.http.clone(), runtime.clone()),
            config,
            runtime,
            ended,
        }
    }

    /// Opens a stream that continues after the event `last_id`; returns once the server has accepted it. It is paused.
    pub async fn connect<B: EventBatch>(
        &self,
        last_id: &str,
        make_wakeup: impl FnOnce(&Weak<ReceiveQueue<EventQueue<B>, StreamEnd>>) -> Arc<dyn Wakeup>,
        cancel: &CancellationToken,
    ) -> Outcome<EventStream<B>> {
        let request = self.config.request(Some(last_id));
        let request = request.map_err(|_| unsendable_id())?;
        let response = self.engine.request(request, cancel).await;
        let response = response.map_err(|failure| failure.during(SERVICE, CONNECT))?;
        if !is_stream(&response) {
            return Err(refusal_failure(response.status, &response.headers));
        }
        let url = response.url.as_ref().map(ToString::to_string);
        let ResponseBody::Streaming(body) = response.body else {
            let failure = Failure::new(
                Kind::Internal,
                "a streamed response was delivered as a whole",
            );
            return Err(failure.during(SERVICE, CONNECT));
        };
        let receive_queue = ReceiveQueue::new(self.config.queue_bytes, make_wakeup);
        let mut driver = Driver {
            body,
            parser: Parser::new(self.config.max_event_bytes, last_id),
            receive_queue: Arc::clone(&receive_queue),
            idle_timeout: self.config.idle_timeout,
            max_event_bytes: self.config.max_event_bytes,
        };
        let close = self.ended.child_token();
        let closed = close.clone();
        self.runtime.spawn(async move {
            tokio::select! {
                biased;
                () = closed.cancelled() => {}
                () = driver.run() => {}
            }
        });
        Ok(EventStream {
            url,
            receive_queue,
            close,
        })
    }
}

impl<B: EventBatch> EventStream<B> {
    /// Delivers received events from now on.
    pub fn resume(&self) {
        self.receive_queue.resume();
    }

    /// Stops delivery; when the receive queue is full, the server has to wait.
    pub fn pause(&self) {
        self.receive_queue.pause();
    }

    /// Closes the connection; no further event is delivered.
    pub fn close(&self) {
        self.receive_queue.detach();
        self.close.cancel();
    }
}

impl<B> Drop for EventStream<B> {
    fn drop(&mut self) {
        self.close.cancel();
    }
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers.get(header::CONTENT_TYPE);
    let kind = kind.map_or(&b""[..], |it| it.as_bytes());
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    response.status == StatusCode::OK
        && essence
            .trim_ascii()
            .eq_ignore_ascii_case(b"text/event-stream")
}
