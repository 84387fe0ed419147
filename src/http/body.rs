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
pub struct HttpBodyWriter {
    sender: Mutex<Option<Arc<BodySender>>>,
    body: Mutex<Option<RequestBody>>,
    /// The senders of a body that can be written again.
    senders: Option<tokio::sync::Mutex<BodySenders>>,
}

impl HttpBodyWriter {
    /// The body, for the request that it goes with.
    pub(crate) fn take_body(&self) -> Option<RequestBody> {
        lock(&self.body).take()
    }
}

/// A body that is written once, to be given to `httpRequest`; of `length` bytes where that is known.
#[napi(catch_unwind, ts_return_type = "Handle<HttpBodyWriter>")]
pub fn http_body_open(length: Option<f64>) -> Handle<HttpBodyWriter> {
    let (sender, body) = RequestBody::channel(length.map(|bytes| bytes as u64));
    Handle::new(HttpBodyWriter {
        sender: Mutex::new(Some(Arc::new(sender))),
        body: Mutex::new(Some(body)),
        senders: None,
    })
}

/// A body of `length` bytes that is written whenever `httpBodyWaitUntilWanted` says so.
#[napi(catch_unwind, ts_return_type = "Handle<HttpBodyWriter>")]
pub fn http_body_open_repeatable(length: f64) -> Handle<HttpBodyWriter> {
    let (senders, body) = RequestBody::repeatable(length as u64);
    Handle::new(HttpBodyWriter {
        sender: Mutex::default(),
        body: Mutex::new(Some(body)),
        senders: Some(tokio::sync::Mutex::new(senders)),
    })
}

/// Waits until a repeatable body is to be written, from its beginning; false when its request is over.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn http_body_wait_until_wanted(
    env: Env,
    writer: Handle<HttpBodyWriter>,
) -> Result<PromiseValue> {
    promise(&env, async move {
        let Some(senders) = &writer.senders else {
            return Ok(false);
        };
        let sender = senders.lock().await.recv().await;
        let wanted = sender.is_some();
        *lock(&writer.sender) = sender.map(Arc::new);
        Ok(wanted)
    })
}

/// Queues a chunk when there is room for it; false when the body is not wanted any more.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn http_body_write(
    env: Env,
    writer: Handle<HttpBodyWriter>,
    chunk: &[u8],
) -> Result<PromiseValue> {
    let chunk = Bytes::copy_from_slice(chunk);
    let sender = lock(&writer.sender).clone();
    promise(&env, async move {
        Ok(match sender {
            Some(sender) => sender.send(chunk).await,
            None => false,
        })
    })
}

/// Ends a body: it is complete, or the request is broken off.
#[napi(catch_unwind)]
pub fn http_body_end(writer: Handle<HttpBodyWriter>, complete: bool) {
    // One that no request took has no reader.
    drop(writer.take_body());
    if let Some(sender) = lock(&writer.sender).take()
        && complete
    {
        sender.end();
    }
}

/// A response body that JavaScript reads in chunks.
pub struct HttpBodyReader {
    stream: tokio::sync::Mutex<Option<Streaming>>,
    /// Fires when it is not read any more.
    abandoned: CancellationToken,
}

impl HttpBodyReader {
    pub(crate) fn new(stream: Streaming) -> Self {
        Self {
            stream: tokio::sync::Mutex::new(Some(stream)),
            abandoned: CancellationToken::new(),
        }
    }
}

/// The next chunk; undefined at the end.
#[napi(catch_unwind, ts_return_type = "Promise<Uint8Array | undefined>")]
pub fn http_body_read(env: Env, body: Handle<HttpBodyReader>) -> Result<PromiseValue> {
    promise(&env, async move { read_chunk(&body.0).await })
}

async fn read_chunk(body: &HttpBodyReader) -> Outcome<Value> {
    let mut stream = body.stream.lock().await;
    let Some(reader) = stream.as_mut() else {
        return Ok(Value::Undefined);
    };
    let chunk = tokio::select! {
        biased;
        () = body.abandoned.cancelled() => Ok(None),
        chunk = reader.next() => chunk,
    };
    if !matches!(chunk, Ok(Some(_))) {
        *stream = None;
    }
    let chunk = chunk.map_err(|failure| failure.during("http", "request"))?;
    Ok(chunk.map_or(Value::Undefined, |chunk| Value::Bytes(chunk.into())))
}

/// Drops a body that is not read any more; its connection is closed.
#[napi(catch_unwind)]
pub fn http_body_cancel(body: Handle<HttpBodyReader>) {
    body.abandoned.cancel();
    // One that is being read lets go by itself.
    if let Ok(mut stream) = body.stream.try_lock() {
        *stream = None;
    }
}
