//! HTTP: engines and requests; streamed bodies are in [`body`].
//!
//! A request crosses as text: `METHOD URL`, then a line `name:value` for each header. So does an answer
//! ([`encode`]).
//!
//! [`body`]: self::body
//! [`encode`]: self::encode

mod body;
mod encode;

use std::ffi::CStr;

use bytes::Bytes;
use moorline_core::{
    connection::transport::Transport,
    error::{Delivery, Failure, Kind},
    options::{OptionError, Options},
};
use moorline_net::http::{
    Answer as HttpAnswer, CallOptions, Engine as HttpEngine, HttpOptions, Request, RequestBody,
    ResponseBody,
};
use napi::{Env, Result};
use napi_derive::napi;

use crate::{
    bridge::{
        Answer, Call, Cancel, Function, Given, Handle, Value, promise, runtime, throw,
        throw_failure,
    },
    connection::{ConnectionOptions, transport_options},
    http::body::{HttpBodyQueue, HttpBodyReader},
    http::encode::{head_of, is_utf8_text},
};

/// A text longer than this crosses as bytes, without a copy, and becomes a string when it is asked for.
const MAX_TEXT_BYTES: usize = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An engine with the options given, and those of its connection. With a name its connections are shown in the metrics of the process.
#[napi(catch_unwind, ts_return_type = "Handle<HttpEngine>")]
pub fn http_open(
    env: Env,
    options: Given,
    name: Option<String>,
    connection: Option<Handle<ConnectionOptions>>,
) -> Result<Handle<HttpEngine>> {
    let options = transport_options(Transport::Http, options, connection.as_ref());
    let options = Options::new("options", &options)
        .and_then(HttpOptions::from_options)
        .map_err(|error| throw(&env, &error))?;
    let runtime = runtime().map_err(|failure| throw_failure(&env, failure))?;
    let engine = HttpEngine::new(options, runtime.clone());
    Ok(Handle::new(match name {
        Some(name) => engine.published(name),
        None => engine,
    }))
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
        promise(&call.env(), work).map_or(Answer::Undefined, Answer::PromiseValue)
    }
}

fn body_of(call: &Call) -> RequestBody {
    if let Some(queue) = call.handle::<HttpBodyQueue>(2) {
        return queue.take_body().unwrap_or(RequestBody::Empty);
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
        ResponseBody::Whole(body) => {
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
        ResponseBody::Streaming(coming) => {
            let head = head_of(answer.status.as_u16(), answer.url, &answer.headers, 0);
            let body = Handle::new(HttpBodyReader::new(coming));
            Value::List(vec![Value::Text(head), body.into()])
        }
    }
}
