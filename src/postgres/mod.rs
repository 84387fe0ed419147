//! PostgreSQL: pools, leases and statements.

mod encode;
mod fast;
mod read;

use std::sync::Arc;

use moorline_core::{options::Options, pool::Lease};
use moorline_services::postgres::{
    config::Config,
    message_queue::{Message, MessageQueue},
    password::{PasswordRequest, PasswordRequests, PasswordSource},
    service::PostgresPool,
};
use napi::{Env, Result};
use napi_derive::napi;

use self::encode::{
    encode_config, encode_error, encode_messages, encode_password_request, encode_results,
};
pub(crate) use self::fast::register;
use self::read::{read_limits, read_set_up, read_statement};
use crate::{
    bridge::{
        Callback, Cancel, Handle, OrThrow, PromiseValue, RawArgument, Received, Value, notifier,
        promise, runtime,
    },
    metrics::MetricSeries,
    pool::PoolEvents,
};

/// Requests for passwords, which `listener` receives as JSON text.
#[napi(catch_unwind, ts_return_type = "Handle<PasswordRequests>")]
pub fn postgres_password_requests(
    #[napi(ts_arg_type = "(request: string) => void")] listener: Callback,
) -> Handle<PasswordRequests> {
    let ask = move |id, request: &PasswordRequest| {
        listener.ask(encode_password_request(id, request).to_string());
    };
    Handle::new(PasswordRequests::new(Box::new(ask)))
}

/// Answers the request `id` by what the user's function has given.
#[napi(catch_unwind)]
pub fn postgres_answer(requests: Handle<PasswordRequests>, id: u32, password: RawArgument) {
    requests.answer(id, password.0);
}

/// Answers the request `id` by the error of the user's function.
#[napi(catch_unwind)]
pub fn postgres_refuse(requests: Handle<PasswordRequests>, id: u32, error: String) {
    requests.refuse(id, error);
}

/// Opens a pool. `variables` are environment variables; `listener` receives its events as JSON text. `passwords` answers for a
/// password that is a function.
#[napi(catch_unwind, ts_return_type = "Handle<PostgresPool>")]
pub fn postgres_open(
    env: Env,
    options: RawArgument,
    variables: RawArgument,
    #[napi(ts_arg_type = "(event: string) => void")] listener: Callback,
    passwords: Option<Handle<PasswordRequests>>,
) -> Result<Handle<PostgresPool>> {
    let config = Config::read(&options.0, &variables.0).or_throw(&env)?;
    let listener = Arc::new(PoolEvents {
        listener,
        encode_error,
    });
    let passwords = passwords.map(|passwords| passwords.0 as Arc<dyn PasswordSource>);
    let runtime = runtime(&env)?.clone();
    let pool = PostgresPool::open(&config, runtime, listener, passwords.as_ref());
    Ok(Handle::new(pool))
}

/// Where the pool is connected to, without secrets.
#[napi(catch_unwind)]
pub fn postgres_name(pool: Handle<PostgresPool>) -> String {
    pool.name().to_owned()
}

/// The metrics of its connections that are written to from outside: active connections, errors, failed health checks,
/// acquisitions, lifetimes, events that are missing in the log.
#[napi(catch_unwind, ts_return_type = "Handle<MetricSeries>[]")]
pub fn postgres_series(pool: Handle<PostgresPool>) -> Vec<Handle<MetricSeries>> {
    let series = pool.series().writable();
    series.map(|one| Handle::new(MetricSeries::new(one))).into()
}

/// The options in force, without secrets, as JSON.
#[napi(catch_unwind)]
pub fn postgres_options(pool: Handle<PostgresPool>) -> String {
    encode_config(pool.config()).to_string()
}

/// A lease, after waiting for a connection, on which the statements `settings` have run.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn postgres_acquire(
    env: Env,
    pool: Handle<PostgresPool>,
    settings: Option<String>,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let limits = read_limits(&timeout_ms, cancel.as_ref()).or_throw(&env)?;
    let lease = pool.acquire(settings, limits);
    promise(&env, async move {
        Ok(Value::Number(lease.await?.number() as f64))
    })
}

/// Runs a statement on `lease`, or on a connection that is borrowed for it: its results, each as text. With `raw` all values are
/// texts in them. A statement with a name is prepared.
#[napi(catch_unwind, ts_return_type = "Promise<string | string[]>")]
pub fn postgres_query(
    env: Env,
    pool: Handle<PostgresPool>,
    lease: Option<f64>,
    #[napi(
        ts_arg_type = "[text: string, values: (string | Uint8Array | null)[] | undefined, raw: boolean, name?: unknown]"
    )]
    statement: RawArgument,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let (statement, types) = read_statement(statement.0).or_throw(&env)?;
    let limits = read_limits(&timeout_ms, cancel.as_ref()).or_throw(&env)?;
    let lease = lease.map(|lease| Lease::from_number(lease as u64));
    let running = Box::pin(pool.0.run(lease, statement, types, limits));
    promise(&env, async move { Ok(encode_results(running.await?)) })
}

/// Whether a pooler shares the sessions of the pool with others.
#[napi(catch_unwind)]
pub fn postgres_shares_sessions(pool: Handle<PostgresPool>) -> bool {
    pool.shares_sessions()
}

/// Takes what was done so far on the connection of `lease` for the state that each borrower finds, to which `statements` lead. False
/// when it is not held.
#[napi(catch_unwind)]
pub fn postgres_set_up(
    env: Env,
    pool: Handle<PostgresPool>,
    lease: f64,
    #[napi(
        ts_arg_type = "[text: string, values: (string | Uint8Array | null)[] | undefined, raw: boolean][]"
    )]
    statements: RawArgument,
) -> Result<bool> {
    let read = read_set_up(statements.0).or_throw(&env)?;
    let connection = pool.connection(Lease::from_number(lease as u64));
    Ok(connection.map(|connection| connection.set_up(read)).is_ok())
}

/// The number of the server process of a lease; null when it is not held.
#[napi(catch_unwind)]
pub fn postgres_process_id(pool: Handle<PostgresPool>, lease: f64) -> Option<i32> {
    let connection = pool.connection(Lease::from_number(lease as u64)).ok()?;
    Some(connection.process_id())
}

/// Has `listener` called with what the server says on the connection of a lease without being asked, as JSON; null when the lease is
/// not held. It goes on when the lease ends.
#[napi(catch_unwind, ts_return_type = "Handle<MessageQueue> | null")]
pub fn postgres_subscribe(
    pool: Handle<PostgresPool>,
    lease: f64,
    #[napi(ts_arg_type = "(messages: string | undefined) => void")] listener: Callback,
) -> Option<Handle<MessageQueue>> {
    let connection = pool.connection(Lease::from_number(lease as u64)).ok()?;
    let encode = |(messages, _): Received<Vec<Message>, ()>| encode_messages(messages);
    Some(Handle(connection.subscribe(notifier(listener, encode))))
}

/// Calls the listener no more.
#[napi(catch_unwind)]
pub fn postgres_pause(queue: Handle<MessageQueue>) {
    queue.pause();
}

/// Calls it again.
#[napi(catch_unwind)]
pub fn postgres_resume(queue: Handle<MessageQueue>) {
    queue.resume();
}

/// Has it dropped, as at the beginning; false when the lease is not held.
#[napi(catch_unwind)]
pub fn postgres_unsubscribe(pool: Handle<PostgresPool>, lease: f64) -> bool {
    let connection = pool.connection(Lease::from_number(lease as u64));
    connection
        .map(|connection| connection.unsubscribe())
        .is_ok()
}

/// Total, in use, available, waiting.
#[napi(catch_unwind)]
pub fn postgres_stats(pool: Handle<PostgresPool>) -> Vec<u32> {
    let stats = pool.stats();
    vec![stats.total, stats.in_use, stats.available, stats.waiting]
}

/// Ends the pool; true when no borrower had to be cut off.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn postgres_drain(
    env: Env,
    pool: Handle<PostgresPool>,
    timeout_ms: RawArgument,
) -> Result<PromiseValue> {
    let timeout = Options::call_timeout(&timeout_ms.0).or_throw(&env)?;
    let drained = pool.drain(timeout);
    promise(&env, async move { Ok(drained.await) })
}
