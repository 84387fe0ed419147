//! Durable cursors of event streams.

use std::sync::Arc;

use moorline_core::cursor::CursorStore;
use moorline_services::{libsql::cursor_store::LibsqlCursorStore, sse::Cursor};
use napi::{Env, Result};
use napi_derive::napi;

use crate::bridge::{
    Argument, Callback, Handle, OrThrow, PromiseValue, RawArgument, Value, environment_closed,
    failure_json, promise, runtime,
};

/// The path of a cursor's options for users.
const PATH: &str = "options.customOptions.cursor";

/// A cursor and the database it is kept in.
pub struct EventStreamCursor {
    cursor: Arc<Cursor>,
    store: Arc<LibsqlCursorStore>,
}

/// The cursor `name` in the database of `options`. `on_write_failed` receives the record of a write that failed,
/// and of a stored id that is of no use.
#[napi(catch_unwind, ts_return_type = "Handle<EventStreamCursor>")]
pub fn sse_cursor_open(
    env: Env,
    options: RawArgument,
    name: Argument<String>,
    #[napi(ts_arg_type = "(failure: string) => void")] on_write_failed: Callback,
) -> Result<Handle<EventStreamCursor>> {
    let name = name.value_or_throw(&format!("{PATH}.name"))?;
    let config = LibsqlCursorStore::read_config(PATH, &options.0).or_throw(&env)?;
    let runtime = runtime(&env)?;
    let store = LibsqlCursorStore::open(config, runtime.clone(), environment_closed(&env)?);
    let store = Arc::new(store.or_throw(&env)?);
    let kept: Arc<dyn CursorStore> = Arc::<LibsqlCursorStore>::clone(&store);
    let on_write_failed = Box::new(move |failure| {
        on_write_failed.deliver(failure_json(failure));
    });
    let cursor = Arc::new(Cursor::new(kept, name, runtime.clone(), on_write_failed));
    Ok(Handle::new(EventStreamCursor { cursor, store }))
}

/// The id that was kept last; empty when there is none.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn sse_cursor_load(env: Env, cursor: Handle<EventStreamCursor>) -> Result<PromiseValue> {
    promise(&env, async move {
        let id = cursor.cursor.load().await?;
        Ok(Value::Text(id.unwrap_or_default()))
    })
}

/// Keeps an id; it is written soon.
#[napi(catch_unwind)]
pub fn sse_cursor_keep(cursor: Handle<EventStreamCursor>, id: String) {
    cursor.cursor.keep(&id);
}

/// Writes a pending id.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn sse_cursor_flush(env: Env, cursor: Handle<EventStreamCursor>) -> Result<PromiseValue> {
    promise(&env, async move { cursor.cursor.flush().await })
}

/// Writes a pending id and closes the database.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn sse_cursor_close(env: Env, cursor: Handle<EventStreamCursor>) -> Result<PromiseValue> {
    promise(&env, async move {
        let flushed = cursor.cursor.flush().await;
        cursor.store.close().await;
        flushed
    })
}
