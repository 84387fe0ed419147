//! HTTP bodies that cross the bridge in chunks, in both directions.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use moorline_core::{error::Outcome, sync::lock};
use moorline_net::http::{BodySender, BodySenders, RequestBody, Streaming};
use napi::{Env, Result};
use napi_derive::napi;
use tokio_util::sync::CancellationToken;

use crate::bridge::{Handle, PromiseValue, Value, promise};

/// A request body that JavaScript writes in chunks.
pub struct HttpBodyQueue {
    sender: Mutex<Option<Arc<BodySender>>>,
    body: Mutex<Option<RequestBody>>,
    /// The senders of a body that can be written again.
    senders: Option<tokio::sync::Mutex<BodySenders>>,
}

impl HttpBodyQueue {
    /// The body, for the request that it goes with.
    pub(crate) fn take_body(&self) -> Option<RequestBody> {
        lock(&self.body).take()
    }
}

/// A body that is written once, to be given to `httpRequest`; of `length` bytes where that is known.
#[napi(catch_unwind, ts_return_type = "Handle<HttpBodyQueue>")]
pub fn http_body_open(length: Option<f64>) -> Handle<HttpBodyQueue> {
    let (sender, body) = RequestBody::channel(length.map(|bytes| bytes as u64));
    Handle::new(HttpBodyQueue {
        sender: Mutex::new(Some(Arc::new(sender))),
        body: Mutex::new(Some(body)),
        senders: None,
    })
}

/// A body of `length` bytes that is written whenever `httpBodyWanted` says so.
#[napi(catch_unwind, ts_return_type = "Handle<HttpBodyQueue>")]
pub fn http_body_repeatable(length: f64) -> Handle<HttpBodyQueue> {
    let (senders, body) = RequestBody::repeatable(length as u64);
    Handle::new(HttpBodyQueue {
        sender: Mutex::default(),
        body: Mutex::new(Some(body)),
        senders: Some(tokio::sync::Mutex::new(senders)),
    })
}

/// Waits until a repeatable body is to be written, from its beginning; false when its request is over.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn http_body_wanted(env: Env, queue: Handle<HttpBodyQueue>) -> Result<PromiseValue> {
    promise(&env, async move {
        let Some(senders) = &queue.senders else {
            return Ok(false);
        };
        let sender = senders.lock().await.recv().await;
        let wanted = sender.is_some();
        *lock(&queue.sender) = sender.map(Arc::new);
        Ok(wanted)
    })
}

/// Queues a piece when there is room for it; false when the body is not wanted any more.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn http_body_write(
    env: Env,
    queue: Handle<HttpBodyQueue>,
    piece: &[u8],
) -> Result<PromiseValue> {
    let piece = Bytes::copy_from_slice(piece);
    let sender = lock(&queue.sender).clone();
    promise(&env, async move {
        Ok(match sender {
            Some(sender) => sender.send(piece).await,
            None => false,
        })
    })
}

/// Ends a body: it is complete, or the request is broken off.
#[napi(catch_unwind)]
pub fn http_body_end(queue: Handle<HttpBodyQueue>, complete: bool) {
    // One that no request took has no reader.
    drop(queue.take_body());
    if let Some(sender) = lock(&queue.sender).take()
        && complete
    {
        sender.end();
    }
}

/// A response body that JavaScript reads in chunks.
pub struct HttpBodyReader {
    streaming: tokio::sync::Mutex<Option<Streaming>>,
    /// Fires when it is not read any more.
    left: CancellationToken,
}

impl HttpBodyReader {
    pub(crate) fn new(streaming: Streaming) -> Self {
        Self {
            streaming: tokio::sync::Mutex::new(Some(streaming)),
            left: CancellationToken::new(),
        }
    }
}

/// The next chunk; undefined at the end.
#[napi(catch_unwind, ts_return_type = "Promise<Uint8Array | undefined>")]
pub fn http_body_read(env: Env, body: Handle<HttpBodyReader>) -> Result<PromiseValue> {
    promise(&env, async move { read_chunk(&body.0).await })
}

async fn read_chunk(body: &HttpBodyReader) -> Outcome<Value> {
    let mut streaming = body.streaming.lock().await;
    let Some(reader) = streaming.as_mut() else {
        return Ok(Value::Undefined);
    };
    let piece = tokio::select! {
        biased;
        () = body.left.cancelled() => Ok(None),
        piece = reader.next() => piece,
    };
    if !matches!(piece, Ok(Some(_))) {
        *streaming = None;
    }
    let piece = piece.map_err(|failure| failure.during("http", "request"))?;
    Ok(piece.map_or(Value::Undefined, |piece| Value::Bytes(piece.into())))
}

/// Drops a body that is not read any more; its connection is closed.
#[napi(catch_unwind)]
pub fn http_body_cancel(body: Handle<HttpBodyReader>) {
    body.left.cancel();
    // One that is being read lets go by itself.
    if let Ok(mut streaming) = body.streaming.try_lock() {
        *streaming = None;
    }
}
