//! HTTP: engines, requests, and bodies on their way in and out.
//!
//! A request crosses as text: `METHOD URL`, then a line `name:value` for each header. So does an answer
//! ([`http_text`]).
//!
//! [`http_text`]: crate::http_text

use std::{
    ffi::CStr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    options::{OptionError, Options},
};
use moorline_services::http::{
    Answer as HttpAnswer, AnswerBody, BodySender, CallOptions, Coming, Engine as HttpEngine,
    HttpOptions, Request, RequestBody,
};
use napi::{Env, Result};
use napi_derive::napi;
use tokio_util::sync::CancellationToken;

use crate::{
    bridge::{
        Answer, Call, Cancel, Function, Given, Handle, Promised, Value, promise, runtime, throw,
        throw_failure,
    },
    http_text::{head_of, is_utf8_text},
};

/// A text longer than this crosses as bytes, without a copy, and becomes a string when it is asked for.
const MAX_TEXT_BYTES: usize = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An engine with the options given.
#[napi(catch_unwind, ts_return_type = "Handle<HttpEngine>")]
pub fn http_open(env: Env, options: Given) -> Result<Handle<HttpEngine>> {
    let options = Options::new("options", &options.0)
        .and_then(HttpOptions::from_options)
        .map_err(|error| throw(&env, &error))?;
    let runtime = runtime().map_err(|failure| throw_failure(&env, failure))?;
    Ok(Handle::new(HttpEngine::new(options, runtime.clone())))
}

/// Ends every call of an engine and closes its connections.
#[napi(catch_unwind)]
pub fn http_close(engine: Handle<HttpEngine>) {
    engine.close();
}

/// Connections, those in use, those free, and requests that wait for one.
#[napi(catch_unwind)]
pub fn http_stats(engine: Handle<HttpEngine>) -> Vec<u32> {
    let stats = engine.stats();
    vec![stats.total, stats.in_use, stats.available, stats.waiting]
}

/// What one call says otherwise than its engine.
#[napi(catch_unwind, ts_return_type = "Handle<HttpCallOptions>")]
pub fn http_call_options(
    env: Env,
    engine: Handle<HttpEngine>,
    said: Given,
) -> Result<Handle<CallOptions>> {
    let options = engine.options().call.for_call(&said.0);
    options
        .map(Handle::new)
        .map_err(|error| throw(&env, &error))
}

/// Makes a request: engine, head, body, options, a means to cancel, and whether the body is streamed.
pub(crate) struct Send;

impl Function for Send {
    const NAME: &'static CStr = c"httpRequest";
    fn run(call: &Call) -> Answer {
        let (Some(engine), Some(head)) = (
            call.handle::<HttpEngine>(0).cloned(),
            call.with_bytes(1, |head| String::from_utf8_lossy(head).into_owned()),
        ) else {
            return Answer::Undefined;
        };
        let body = body_of(call);
        let options = call.handle::<CallOptions>(3).map(|options| **options);
        let cancel = call.handle::<Cancel>(4).cloned().map(Handle);
        let cancel = Cancel::token(cancel.as_ref());
        let streamed = call.flag(5) == Some(true);
        let work = async move {
            let options = options.unwrap_or(engine.options().call);
            let request = read_request(&head, body).map_err(unsendable)?;
            let request = request.with_options(options);
            let request = if streamed {
                request.streamed()
            } else {
                request
            };
            engine.request(request, &cancel).await.map(value_of)
        };
        promise(&call.env(), work).map_or(Answer::Undefined, Answer::Promised)
    }
}

fn body_of(call: &Call) -> RequestBody {
    if let Some(queue) = call.handle::<HttpBodyQueue>(2) {
        return lock(&queue.body).take().unwrap_or(RequestBody::Empty);
    }
    call.with_bytes(2, Bytes::copy_from_slice)
        .map_or(RequestBody::Empty, RequestBody::Full)
}

fn read_request(head: &str, body: RequestBody) -> std::result::Result<Request, OptionError> {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let (method, url) = line.split_once(' ').unwrap_or((line, ""));
    Request::new(method, url, headers, body)
}

/// A programmer's mistake that is found on the way; `lib/` makes it the TypeError it is.
fn unsendable(error: OptionError) -> Failure {
    Failure::new(Kind::Internal, error.message.as_str())
        .with_code(error.code())
        .with_delivery(Delivery::None)
        .during("http", "request")
}

fn value_of(answer: HttpAnswer) -> Value {
    let is_text = is_utf8_text(&answer.headers);
    match answer.body {
        AnswerBody::Whole(body) => {
            let text =
                (is_text && body.len() <= MAX_TEXT_BYTES && !body.starts_with(BYTE_ORDER_MARK))
                    .then(|| std::str::from_utf8(&body).ok())
                    .flatten();
            let mut head = head_of(
                answer.status.as_u16(),
                answer.url,
                &answer.headers,
                body.len(),
            );
            if let Some(text) = text {
                head.push_str(text);
                return Value::Text(head);
            }
            Value::List(vec![Value::Text(head), Value::Bytes(body.into())])
        }
        AnswerBody::Coming(coming) => {
            let head = head_of(answer.status.as_u16(), answer.url, &answer.headers, 0);
            let body = Handle::new(HttpBodyReader {
                coming: tokio::sync::Mutex::new(Some(coming)),
                left: CancellationToken::new(),
            });
            Value::List(vec![Value::Text(head), body.into()])
        }
    }
}

/// A request's body that JavaScript writes piece by piece.
pub struct HttpBodyQueue {
    sender: Mutex<Option<Arc<BodySender>>>,
    body: Mutex<Option<RequestBody>>,
}

/// A streamed body, to be given to `httpRequest`.
#[napi(catch_unwind, ts_return_type = "Handle<HttpBodyQueue>")]
pub fn http_body_open() -> Handle<HttpBodyQueue> {
    let (sender, body) = RequestBody::channel();
    Handle::new(HttpBodyQueue {
        sender: Mutex::new(Some(Arc::new(sender))),
        body: Mutex::new(Some(body)),
    })
}

/// Queues a piece when there is room for it; false when nobody wants it any more.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn http_body_write(env: Env, queue: Handle<HttpBodyQueue>, piece: &[u8]) -> Result<Promised> {
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
    if let Some(sender) = lock(&queue.sender).take()
        && complete
    {
        sender.end();
    }
}

/// An answer's body that JavaScript reads piece by piece.
pub struct HttpBodyReader {
    coming: tokio::sync::Mutex<Option<Coming>>,
    /// Fires when nobody reads it any more.
    left: CancellationToken,
}

/// The next piece; undefined when there is no more.
#[napi(catch_unwind, ts_return_type = "Promise<Uint8Array | undefined>")]
pub fn http_body_read(env: Env, body: Handle<HttpBodyReader>) -> Result<Promised> {
    promise(&env, async move { read_piece(&body.0).await })
}

async fn read_piece(body: &HttpBodyReader) -> Outcome<Value> {
    let mut coming = body.coming.lock().await;
    let Some(reader) = coming.as_mut() else {
        return Ok(Value::Undefined);
    };
    let piece = tokio::select! {
        biased;
        () = body.left.cancelled() => Ok(None),
        piece = reader.next() => piece,
    };
    if !matches!(piece, Ok(Some(_))) {
        *coming = None;
    }
    let piece = piece.map_err(|failure| failure.during("http", "request"))?;
    Ok(piece.map_or(Value::Undefined, |piece| Value::Bytes(piece.into())))
}

/// Lets go of a body that nobody reads any more; its connection is closed.
#[napi(catch_unwind)]
pub fn http_body_cancel(body: Handle<HttpBodyReader>) {
    body.left.cancel();
    // One that is being read lets go by itself.
    if let Ok(mut coming) = body.coming.try_lock() {
        *coming = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
