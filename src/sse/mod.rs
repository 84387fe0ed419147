//! Server-sent events: streams, and their events as texts.

mod cursor;
mod encode;
mod fast;

use moorline_core::connection::transport::Transport;
use moorline_services::sse::{self, Config, EventStreamClient, StreamEnd, is_sendable};
use napi::{Env, Result};
use napi_derive::napi;

use self::encode::{EventText, encode_batch};
pub(crate) use self::fast::register;
use crate::{
    bridge::{
        Callback, Cancel, Handle, OrThrow, PromiseValue, RawArgument, Received, environment_closed,
        notifier, promise, runtime,
    },
    connection::{ResolvedConnectionConfig, metrics::ConnectionTracker, transport_options},
};

type EventStream = sse::EventStream<EventText>;

/// A client of event streams; nothing is reached yet. `headers` is a line `name:value` for each.
#[napi(catch_unwind, ts_return_type = "Handle<EventStreamClient>")]
pub fn sse_client(
    env: Env,
    options: RawArgument,
    connection: Option<Handle<ResolvedConnectionConfig>>,
) -> Result<Handle<EventStreamClient>> {
    let options = transport_options(Transport::EventStream, options, connection.as_ref());
    let config = Config::read(&options).or_throw(&env)?;
    let runtime = runtime(&env)?;
    let client = EventStreamClient::new(config, runtime.clone(), environment_closed(&env)?);
    Ok(Handle::new(client))
}

/// A stream that goes on after the event `last_id`. It is paused; after `sseResume` the listener receives texts of events
/// (`lib/sse/event.ts` reads them), and at last, after them, `[isFinal, failure]`. Events are counted by `tracker`.
#[napi(catch_unwind, ts_return_type = "Promise<Handle<EventStream>>")]
pub fn sse_connect(
    env: Env,
    client: Handle<EventStreamClient>,
    last_id: String,
    #[napi(
        ts_arg_type = "(batch: [text: string, closed: [isFinal: boolean, failure: string | undefined] | undefined] | undefined) => void"
    )]
    listener: Callback,
    cancel: Option<Handle<Cancel>>,
    tracker: Option<Handle<ConnectionTracker>>,
) -> Result<PromiseValue> {
    let cancel = Cancel::token(cancel.as_ref());
    let tracker = tracker.map(|tracker| tracker.0);
    let encode = move |received: Received<EventText, StreamEnd>| {
        if let Some(tracker) = &tracker {
            tracker.count_received(received.0.totals());
        }
        encode_batch(received)
    };
    promise(&env, async move {
        let listen = notifier(listener, encode);
        let stream = client.connect(&last_id, listen, &cancel).await?;
        Ok(Handle::new(stream))
    })
}

/// The URL of the stream, where a redirect led there.
#[napi(catch_unwind)]
pub fn sse_url(stream: Handle<EventStream>) -> Option<String> {
    stream.url.clone()
}

/// Returns whether a request can ask for the events after `id`.
#[napi(catch_unwind)]
pub fn sse_id_sendable(id: String) -> bool {
    is_sendable(id.as_bytes())
}

/// Delivers received events to the listener.
#[napi(catch_unwind)]
pub fn sse_resume(stream: Handle<EventStream>) {
    stream.resume();
}

/// Stops delivery to the listener.
#[napi(catch_unwind)]
pub fn sse_pause(stream: Handle<EventStream>) {
    stream.pause();
}

/// Closes the connection; nothing more is delivered.
#[napi(catch_unwind)]
pub fn sse_close(stream: Handle<EventStream>) {
    stream.close();
}
