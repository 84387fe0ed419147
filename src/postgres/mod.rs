//! PostgreSQL: pools, leases and statements.

mod encode;
mod fast;

use std::sync::Arc;

use moorline_core::{
    options::{OptionError, Options, PlainValue, Read},
    pool::Lease,
};
use moorline_services::postgres::{
    config::Config,
    result::ValueTypes,
    service::{CallLimits, OwnedStatement, OwnedValue, PostgresPool},
};
use napi::{Env, Result};
use napi_derive::napi;

use self::encode::{encode_config, encode_error, encode_results};
pub(crate) use self::fast::register;
use crate::{
    bridge::{
        Callback, Cancel, Handle, OrThrow, PromiseValue, RawArgument, Value, promise, runtime,
    },
    metrics::MetricSeries,
    pool::PoolEvents,
};

/// Opens a pool. `variables` are environment variables; `listener` receives its events as JSON text.
#[napi(catch_unwind, ts_return_type = "Handle<PostgresPool>")]
pub fn postgres_open(
    env: Env,
    options: RawArgument,
    variables: RawArgument,
    #[napi(ts_arg_type = "(event: string) => void")] listener: Callback,
) -> Result<Handle<PostgresPool>> {
    let config = Config::read(&options.0, &variables.0).or_throw(&env)?;
    let listener = Arc::new(PoolEvents {
        listener,
        encode_error,
    });
    let pool = PostgresPool::open(&config, runtime(&env)?.clone(), listener);
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
/// texts in them.
#[napi(catch_unwind, ts_return_type = "Promise<string | string[]>")]
pub fn postgres_query(
    env: Env,
    pool: Handle<PostgresPool>,
    lease: Option<f64>,
    #[napi(
        ts_arg_type = "[text: string, values: (string | Uint8Array | null)[] | undefined, raw: boolean]"
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

fn read_limits(timeout_ms: &RawArgument, cancel: Option<&Handle<Cancel>>) -> Read<CallLimits> {
    Ok(CallLimits {
        timeout: Options::call_timeout(&timeout_ms.0)?,
        cancel: Cancel::token(cancel),
    })
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

fn read_set_up(given: PlainValue) -> Read<Vec<OwnedStatement>> {
    let PlainValue::List(statements) = given else {
        return Err(OptionError::wrong_type("statements", "an array", &given));
    };
    let read = statements.into_iter().map(read_statement);
    read.map(|read| read.map(|(statement, _)| statement))
        .collect()
}

fn read_statement(given: PlainValue) -> Read<(OwnedStatement, ValueTypes)> {
    let mut parts = match given {
        PlainValue::List(parts) => parts.into_iter(),
        other => return Err(OptionError::wrong_type("statement", "an array", &other)),
    };
    let mut next = || parts.next().unwrap_or(PlainValue::Undefined);
    let text = match next() {
        PlainValue::Text(text) => text,
        other => return Err(OptionError::wrong_type("text", "a string", &other)),
    };
    let values = read_values(next())?;
    let types = match next() {
        PlainValue::Bool(true) => ValueTypes::Text,
        _ => ValueTypes::Known,
    };
    Ok((OwnedStatement { text, values }, types))
}

fn read_values(given: PlainValue) -> Read<Option<Vec<OwnedValue>>> {
    let items = match given {
        PlainValue::Undefined => return Ok(None),
        PlainValue::List(items) => items,
        other => return Err(OptionError::wrong_type("values", "an array", &other)),
    };
    let read = |(at, item)| {
        Ok(match item {
            PlainValue::Null => OwnedValue::Null,
            PlainValue::Text(text) => OwnedValue::Text(text),
            PlainValue::Bytes(bytes) => OwnedValue::Bytes(bytes),
            other => {
                let path = format!("values[{at}]");
                return Err(OptionError::wrong_type(&path, "a value", &other));
            }
        })
    };
    let values: Read<Vec<_>> = items.into_iter().enumerate().map(read).collect();
    values.map(Some)
}

/// The number of the server process of a lease; null when it is not held.
#[napi(catch_unwind)]
pub fn postgres_process_id(pool: Handle<PostgresPool>, lease: f64) -> Option<i32> {
    let connection = pool.connection(Lease::from_number(lease as u64)).ok()?;
    Some(connection.process_id())
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
