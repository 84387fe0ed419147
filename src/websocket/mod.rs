//! WebSocket: connections, and messages in both directions.

mod encode;
mod fast;

use std::time::Duration;

use moorline_core::{
    connection::transport::Transport,
    limit::Limit,
    options::{OptionError, Options, Plain, Read},
};
use moorline_services::websocket::{Config, Socket, WebSocketClient};
use napi::{Env, Result};
use napi_derive::napi;

use crate::{
    bridge::{
        Argument, Callback, Cancel, Given, Handle, PromiseValue, Value, bell, promise, throw,
    },
    connection::{ConnectionOptions, transport_options},
};

use encode::told;
pub(crate) use fast::register;

/// How long a ping waits for its answer, unless told otherwise.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// What a close frame can hold beside its code.
const MAX_REASON_BYTES: usize = 123;

/// What connections are made from; nothing is reached yet.
#[napi(catch_unwind, ts_return_type = "Handle<WebSocketClient>")]
pub fn websocket_client(
    env: Env,
    options: Given,
    connection: Option<Handle<ConnectionOptions>>,
) -> Result<Handle<WebSocketClient>> {
    let options = transport_options(Transport::WebSocket, options, connection.as_ref());
    let config = Config::read(&options).map_err(|error| throw(&env, &error))?;
    Ok(Handle::new(WebSocketClient::new(config)))
}

/// A new connection, its sub-protocol, and what was agreed about compression. It is paused; after
/// `websocketResume` the listener hears what comes (`lib/websocket/transport.ts` knows the shapes).
#[napi(
    catch_unwind,
    ts_return_type = "Promise<[Handle<Socket>, string, string | undefined]>"
)]
pub fn websocket_connect(
    env: Env,
    client: Handle<WebSocketClient>,
    #[napi(ts_arg_type = "(told: unknown) => void")] listener: Callback,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let cancel = Cancel::token(cancel.as_ref());
    promise(&env, async move {
        let socket = client.connect(bell(listener, told), &cancel).await?;
        let protocol = socket.protocol().to_owned();
        let compression = socket
            .compression()
            .map_or(Value::Undefined, |it| Value::Text(it.to_string()));
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
    data: Given,
    timeout_ms: Given,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let timeout = read_timeout(timeout_ms.0).map_err(|error| throw(&env, &error))?;
    let (bytes, text) = match data.0 {
        Plain::Text(text) => (text.into_bytes(), true),
        Plain::Bytes(bytes) => (bytes, false),
        other => {
            let error = OptionError::wrong_type("data", "a string or bytes", &other);
            return Err(throw(&env, &error));
        }
    };
    let cancel = Cancel::token(cancel.as_ref());
    promise(&env, socket.0.send(bytes, text, timeout, cancel))
}

/// Waits until what was pushed is written.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn websocket_written(env: Env, socket: Handle<Socket>) -> Result<PromiseValue> {
    promise(&env, async move { socket.written().await })
}

/// The milliseconds that a ping takes.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn websocket_ping(
    env: Env,
    socket: Handle<Socket>,
    timeout_ms: Given,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let limit = read_timeout(timeout_ms.0).map_err(|error| throw(&env, &error))?;
    let limit = limit.and_then(Limit::get).unwrap_or(PING_TIMEOUT);
    let cancel = Cancel::token(cancel.as_ref());
    promise(&env, async move {
        let took = socket.ping(limit, &cancel).await?;
        Ok(Value::Number(took.as_secs_f64() * 1000.0))
    })
}

/// Closes with a close frame; resolves when it is over, however that was.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn websocket_close(
    env: Env,
    socket: Handle<Socket>,
    code: Argument<f64>,
    reason: Argument<String>,
) -> Result<PromiseValue> {
    let (code, reason) = (code.named("code")?, reason.named("reason")?);
    let code = read_close(code, &reason).map_err(|error| throw(&env, &error))?;
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
    let (code, reason) = (code.named("code")?, reason.named("reason")?);
    match read_close(code, &reason) {
        Ok(_) => Ok(()),
        Err(error) => Err(throw(&env, &error)),
    }
}

fn read_close(code: f64, reason: &str) -> Read<u16> {
    let whole = code as u16;
    if f64::from(whole) - code != 0.0 || !matches!(whole, 1000 | 3000..=4999) {
        let expected = "1000, or between 3000 and 4999";
        return Err(OptionError::out_of_range("code", expected, code));
    }
    if reason.len() > MAX_REASON_BYTES {
        let expected = format!("at most {MAX_REASON_BYTES} bytes of UTF-8");
        let got = format!("{} bytes", reason.len());
        return Err(OptionError::out_of_range("reason", expected, got));
    }
    Ok(whole)
}

/// A call's own time limit, from `options.timeoutMs`.
fn read_timeout(value: Plain) -> Read<Option<Limit<Duration>>> {
    let given = !matches!(value, Plain::Undefined);
    let entries = Plain::Map(vec![("timeoutMs".to_owned(), value)]);
    let limit = Options::new("options", &entries)?.ms_limit("timeoutMs", Limit::Off, 0.0)?;
    Ok(given.then_some(limit))
}
