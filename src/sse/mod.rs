//! Server-sent events: streams, and their events as texts.

mod cursor;

use std::ffi::CStr;

use moorline_core::connection::transport::Transport;
use moorline_services::sse::{Closed, Config, EventStream, EventStreamClient, is_sendable};
use napi::{Env, Result};
use napi_derive::napi;

use crate::{
    bridge::{
        Answer, Call, Callback, Cancel, Function, Given, Handle, PromiseValue, Taken, Value, bell,
        ended, promise, record, runtime, throw, throw_failure,
    },
    connection::{ConnectionOptions, transport_options},
};

/// What streams are made from; nothing is reached yet. `headers` is a line `name:value` for each.
#[napi(catch_unwind, ts_return_type = "Handle<EventStreamClient>")]
pub fn sse_client(
    env: Env,
    options: Given,
    connection: Option<Handle<ConnectionOptions>>,
) -> Result<Handle<EventStreamClient>> {
    let options = transport_options(Transport::EventStream, options, connection.as_ref());
    let config = Config::read(&options).map_err(|error| throw(&env, &error))?;
    let runtime = runtime().map_err(|failure| throw_failure(&env, failure))?;
    let client = EventStreamClient::new(config, runtime.clone(), ended(&env)?);
    Ok(Handle::new(client))
}

/// A stream that goes on after the event `last_id`. It is paused; after `sseResume` the listener hears what comes: texts of
/// events (`lib/sse/event.ts` reads them), and at last, after them, `[stopped, failure]`.
#[napi(catch_unwind, ts_return_type = "Promise<Handle<EventStream>>")]
pub fn sse_connect(
    env: Env,
    client: Handle<EventStreamClient>,
    last_id: String,
    #[napi(
        ts_arg_type = "(told: [text: string, closed: [stopped: boolean, failure: string | undefined] | undefined] | undefined) => void"
    )]
    listener: Callback,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let cancel = Cancel::token(cancel.as_ref());
    promise(&env, async move {
        let listen = bell(listener, told);
        let stream = client.connect(&last_id, listen, &cancel).await?;
        Ok(Handle::new(stream))
    })
}

/// Where the stream comes from, where a redirect led there.
#[napi(catch_unwind)]
pub fn sse_url(stream: Handle<EventStream>) -> Option<String> {
    stream.url.clone()
}

/// Whether a request can ask for what comes after the event `id`.
#[napi(catch_unwind)]
pub fn sse_id_sendable(id: String) -> bool {
    is_sendable(id.as_bytes())
}

/// Lets the listener hear what comes.
#[napi(catch_unwind)]
pub fn sse_resume(stream: Handle<EventStream>) {
    stream.resume();
}

/// Lets the listener hear nothing.
#[napi(catch_unwind)]
pub fn sse_pause(stream: Handle<EventStream>) {
    stream.pause();
}

/// Closes the connection; the listener hears nothing more.
#[napi(catch_unwind)]
pub fn sse_close(stream: Handle<EventStream>) {
    stream.close();
}

/// Keeps the process alive for whoever waits for an event, and no longer.
pub(crate) struct Keep;

impl Function for Keep {
    const NAME: &'static CStr = c"sseKeep";
    fn run(call: &Call) -> Answer {
        call.keep_alive(call.flag(0).unwrap_or(false));
        Answer::Undefined
    }
}

fn told((text, closed): Taken<String, Closed>) -> Value {
    let mut told = vec![Value::Text(text)];
    told.extend(closed.map(encode_close));
    Value::List(told)
}

fn encode_close(closed: Closed) -> Value {
    let failure = closed.failure.map(record);
    Value::List(vec![
        Value::Bool(closed.stopped),
        failure.map_or(Value::Undefined, Value::Text),
    ])
}
