//! WebSocket: connections, and messages in both directions.

mod call;
mod encode;
mod fast;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use moorline_core::{
    connection::transport::Transport,
    options::{OptionError, Options, PlainValue},
};
use moorline_services::websocket::{
    Batch, CloseEvent, Config, Socket, WebSocketClient, read_close, read_ping_timeout,
    split_json_list,
};
use napi::{Env, Result};
use napi_derive::napi;

use self::encode::encode_batch;
pub(crate) use self::fast::register;
use crate::{
    bridge::{
        Argument, Callback, Cancel, Handle, OrThrow, PromiseValue, RawArgument, Received, Value,
        notifier, promise, to_js_error,
    },
    connection::{ResolvedConnectionConfig, metrics::ConnectionTracker, transport_options},
};

/// How the messages of a connection are handed over.
pub struct SocketReader {
    tracker: Arc<ConnectionTracker>,
    /// Whether objects and arrays of JSON that came together are handed over as one text.
    joins_json: AtomicBool,
}

/// A client of one server; nothing is reached yet.
#[napi(catch_unwind, ts_return_type = "Handle<WebSocketClient>")]
pub fn websocket_client(
    env: Env,
    options: RawArgument,
    connection: Option<Handle<ResolvedConnectionConfig>>,
) -> Result<Handle<WebSocketClient>> {
    let options = transport_options(Transport::WebSocket, options, connection.as_ref());
    let config = Config::read(&options).or_throw(&env)?;
    Ok(Handle::new(WebSocketClient::new(config)))
}

/// A reader whose messages `tracker` counts.
#[napi(catch_unwind, ts_return_type = "Handle<SocketReader>")]
pub fn websocket_reader(tracker: Handle<ConnectionTracker>) -> Handle<SocketReader> {
    Handle::new(SocketReader {
        tracker: tracker.0,
        joins_json: AtomicBool::new(false),
    })
}

/// Sets whether objects and arrays of JSON that came together are handed over as one text, from the next batch on.
#[napi(
    catch_unwind,
    ts_args_type = "reader: Handle<SocketReader>, joinsJson: boolean"
)]
pub fn websocket_set_joins_json(reader: Handle<SocketReader>, joins_json: bool) {
    reader.joins_json.store(joins_json, Ordering::Relaxed);
}

/// The messages of a text that was made of several, as they came.
#[napi(catch_unwind)]
pub fn websocket_split_joined_json(list: String) -> Vec<String> {
    let messages = split_json_list(&list).into_iter();
    messages.map(str::to_owned).collect()
}

/// A new connection, its sub-protocol, and the agreement about compression. It is paused; after
/// `websocketResume` the listener receives messages (`lib/websocket/transport.ts` knows the shapes).
#[napi(
    catch_unwind,
    ts_return_type = "Promise<[Handle<Socket>, string, string | undefined]>"
)]
pub fn websocket_connect(
    env: Env,
    client: Handle<WebSocketClient>,
    #[napi(ts_arg_type = "(batch: unknown) => void")] listener: Callback,
    cancel: Option<Handle<Cancel>>,
    reader: Option<Handle<SocketReader>>,
) -> Result<PromiseValue> {
    let cancel = Cancel::token(cancel.as_ref());
    let reader = reader.map(|reader| reader.0);
    let encode = move |received: Received<Batch, CloseEvent>| {
        let Some(reader) = &reader else {
            return encode_batch(received, false);
        };
        reader.tracker.count_received(received.0.totals());
        encode_batch(received, reader.joins_json.load(Ordering::Relaxed))
    };
    promise(&env, async move {
        let socket = client.connect(notifier(listener, encode), &cancel).await?;
        let protocol = socket.protocol().to_owned();
        let compression = socket
            .compression()
            .map_or(Value::Undefined, |agreed| Value::Text(agreed.to_string()));
        Ok(Value::List(vec![
            Handle::new(socket).into(),
            Value::Text(protocol),
            compression,
        ]))
    })
}

/// Sends one message in its turn: with its own time limit, or when there is no room at once.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn websocket_send(
    env: Env,
    socket: Handle<Socket>,
    data: RawArgument,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let timeout = Options::call_timeout(&timeout_ms.0).or_throw(&env)?;
    let (bytes, text) = match data.0 {
        PlainValue::Text(text) => (text.into_bytes(), true),
        PlainValue::Bytes(bytes) => (bytes, false),
        other => {
            let error = OptionError::wrong_type("data", "a string or bytes", &other);
            return Err(to_js_error(&env, error));
        }
    };
    let cancel = Cancel::token(cancel.as_ref());
    promise(&env, socket.0.send(bytes, text, timeout, cancel))
}

/// Waits until what was pushed is written.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn websocket_written(env: Env, socket: Handle<Socket>) -> Result<PromiseValue> {
    promise(&env, async move { socket.wait_until_written().await })
}

/// The milliseconds that a ping takes.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn websocket_ping(
    env: Env,
    socket: Handle<Socket>,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let limit = read_ping_timeout(&timeout_ms.0).or_throw(&env)?;
    let cancel = Cancel::token(cancel.as_ref());
    promise(&env, async move {
        let took = socket.ping(limit, &cancel).await?;
        Ok(Value::Number(took.as_secs_f64() * 1000.0))
    })
}

/// Closes with a close frame; resolves when it is over, in whatever way it ended.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn websocket_close(
    env: Env,
    socket: Handle<Socket>,
    code: Argument<f64>,
    reason: Argument<String>,
) -> Result<PromiseValue> {
    let (code, reason) = (
        code.value_or_throw("code")?,
        reason.value_or_throw("reason")?,
    );
    let code = read_close(code, &reason).or_throw(&env)?;
    promise(&env, async move {
        socket.close(code, reason).await;
        Ok(())
    })
}

/// Refuses a close code, and a reason, that cannot be sent.
#[napi(catch_unwind)]
pub fn websocket_check_close(
    env: Env,
    code: Argument<f64>,
    reason: Argument<String>,
) -> Result<()> {
    let (code, reason) = (
        code.value_or_throw("code")?,
        reason.value_or_throw("reason")?,
    );
    match read_close(code, &reason) {
        Ok(_) => Ok(()),
        Err(error) => Err(to_js_error(&env, error)),
    }
}
