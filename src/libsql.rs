//! libSQL: pools, leases and operations.

use std::{ffi::CStr, sync::Arc, time::Duration};

use moorline_core::{
    limit::Limit,
    options::{OptionError, Options, Plain, Read},
    pool::Lease,
};
use moorline_services::libsql::{
    config::{Config, Face},
    result::ResultText,
    service::{CallLimits, LibsqlPool, Operation},
    statement::{Statement, TransactionMode},
};
use napi::{Env, Error, Result};
use napi_derive::napi;

use crate::bridge::{
    Answer, Call, Callback, Cancel, Function, Given, Handle, Promised, Value, promise, runtime,
    throw,
};
use crate::pool_events::PoolEvents;

/// Opens a pool. `listener` hears its events as JSON text.
#[napi(catch_unwind, ts_return_type = "Handle<LibsqlPool>")]
pub fn libsql_open(
    env: Env,
    options: Given,
    #[napi(ts_arg_type = "'pool' | 'client'")] face: String,
    production: bool,
    #[napi(ts_arg_type = "(event: string) => void")] listener: Callback,
) -> Result<Handle<LibsqlPool>> {
    let config = Config::read(&options.0, Face::named(&face), production)
        .map_err(|error| throw(&env, &error))?;
    let runtime = runtime().ok_or_else(|| Error::from_reason("the system refused a thread"))?;
    LibsqlPool::open(config, runtime.clone(), Arc::new(PoolEvents(listener)))
        .map(Handle::new)
        .map_err(|failure| Error::from_reason(failure.to_string()))
}

/// How the pool's database is reached (`file` or `http`), and its URL as it may be shown.
#[napi(catch_unwind)]
pub fn libsql_describe(pool: Handle<LibsqlPool>) -> Vec<String> {
    vec![pool.protocol().to_owned(), pool.shown_url().to_owned()]
}

/// A lease, after waiting for a connection.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn libsql_acquire(
    env: Env,
    pool: Handle<LibsqlPool>,
    cancel: Option<Handle<Cancel>>,
) -> Result<Promised> {
    let cancel = Cancel::token(cancel.as_ref());
    promise(&env, async move {
        let lease = pool.acquire(&cancel).await?;
        Ok(Value::Number(lease.number() as f64))
    })
}

/// Total, in use, available, waiting.
#[napi(catch_unwind)]
pub fn libsql_stats(pool: Handle<LibsqlPool>) -> Vec<u32> {
    let stats = pool.stats();
    vec![stats.total, stats.in_use, stats.available, stats.waiting]
}

/// Ends the pool; true when no borrower had to be cut off.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn libsql_drain(env: Env, pool: Handle<LibsqlPool>, timeout_ms: Given) -> Result<Promised> {
    let patience = read_timeout(timeout_ms.0).map_err(|error| throw(&env, &error))?;
    promise(&env, async move { Ok(pool.drain(patience).await) })
}

/// Runs one statement: on `lease`, or, without one, on a connection borrowed for it.
#[napi(
    catch_unwind,
    ts_return_type = "Promise<string | [string, Uint8Array]>"
)]
pub fn libsql_execute(
    env: Env,
    pool: Handle<LibsqlPool>,
    lease: Option<f64>,
    sql: Given,
    args: Given,
    timeout_ms: Given,
    cancel: Option<Handle<Cancel>>,
) -> Result<Promised> {
    let operation = match (sql.0, args.0) {
        (Plain::Text(sql), args) => Statement::from_parts("statement", Plain::Text(sql), args),
        (statement, _) => Statement::read("statement", statement),
    }
    .map(Operation::Execute);
    run(&env, pool, lease, operation, timeout_ms, cancel.as_ref())
}

/// Begins a transaction on `lease`.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn libsql_begin(
    env: Env,
    pool: Handle<LibsqlPool>,
    lease: Option<f64>,
    mode: Given,
    timeout_ms: Given,
    cancel: Option<Handle<Cancel>>,
) -> Result<Promised> {
    let mode = TransactionMode::read(&mode.0, TransactionMode::Write);
    let begin = mode.map(|mode| Operation::Execute(Statement::plain(mode.begin())));
    run(&env, pool, lease, begin, timeout_ms, cancel.as_ref())
}

/// Runs several statements in a transaction of their own (`mode` is its mode), with foreign keys off around
/// it (`migrate`), or in the one that is open (`continue`).
#[napi(
    catch_unwind,
    ts_return_type = "Promise<(string | [string, Uint8Array])[]>"
)]
pub fn libsql_batch(
    env: Env,
    pool: Handle<LibsqlPool>,
    lease: Option<f64>,
    statements: Given,
    mode: Given,
    timeout_ms: Given,
    cancel: Option<Handle<Cancel>>,
) -> Result<Promised> {
    let operation = read_batch(statements.0, &mode.0);
    run(&env, pool, lease, operation, timeout_ms, cancel.as_ref())
}

/// Runs a script of several statements without arguments; `within` the transaction that is open.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn libsql_sequence(
    env: Env,
    pool: Handle<LibsqlPool>,
    lease: Option<f64>,
    script: Given,
    within: bool,
    timeout_ms: Given,
    cancel: Option<Handle<Cancel>>,
) -> Result<Promised> {
    let wrap = if within {
        Operation::ContinueSequence
    } else {
        Operation::Sequence
    };
    let operation = Statement::read("sql", script.0).map(|it| wrap(it.sql));
    run(&env, pool, lease, operation, timeout_ms, cancel.as_ref())
}

fn read_batch(statements: Plain, mode: &Plain) -> Read<Operation> {
    let Plain::List(items) = statements else {
        return Err(OptionError::wrong_type(
            "statements",
            "an array",
            &statements,
        ));
    };
    let read = |(index, item)| Statement::read(&format!("statements[{index}]"), item);
    let statements = items
        .into_iter()
        .enumerate()
        .map(read)
        .collect::<Read<_>>()?;
    Ok(match mode {
        Plain::Text(word) if word == "continue" => Operation::Continue(statements),
        Plain::Text(word) if word == "migrate" => Operation::Migrate(statements),
        mode => Operation::Batch(
            TransactionMode::read(mode, TransactionMode::Deferred)?,
            statements,
        ),
    })
}

fn run(
    env: &Env,
    pool: Handle<LibsqlPool>,
    lease: Option<f64>,
    operation: Read<Operation>,
    timeout_ms: Given,
    cancel: Option<&Handle<Cancel>>,
) -> Result<Promised> {
    let operation = operation.map_err(|error| throw(env, &error))?;
    let timeout = read_timeout(timeout_ms.0).map_err(|error| throw(env, &error))?;
    let single = matches!(operation, Operation::Execute(_));
    let limits = CallLimits {
        timeout,
        cancel: Cancel::token(cancel),
    };
    promise(env, async move {
        let results = match lease {
            Some(number) => {
                pool.run(Lease::from_number(number as u64), operation, limits)
                    .await
            }
            None => pool.run_once(operation, limits).await,
        }?;
        let mut results = results.into_iter().map(value_of);
        Ok(match results.next() {
            Some(result) if single => result,
            first => Value::List(first.into_iter().chain(results).collect()),
        })
    })
}

/// A call's own time limit, from `options.timeoutMs`.
fn read_timeout(value: Plain) -> Read<Option<Limit<Duration>>> {
    let given = !matches!(value, Plain::Undefined);
    let entries = Plain::Map(vec![("timeoutMs".to_owned(), value)]);
    let limit = Options::new("options", &entries)?.ms_limit("timeoutMs", Limit::Off, 0.0)?;
    Ok(given.then_some(limit))
}

fn value_of(result: ResultText) -> Value {
    if result.blobs.is_empty() {
        return Value::Text(result.json);
    }
    Value::List(vec![Value::Text(result.json), Value::Bytes(result.blobs)])
}

/// Takes a free connection at once: its lease, or undefined when there is none.
pub(crate) struct Take;

impl Function for Take {
    const NAME: &'static CStr = c"libsqlTake";
    fn run(call: &Call) -> Answer {
        call.handle::<LibsqlPool>(0)
            .and_then(|pool| pool.take())
            .map_or(Answer::Undefined, |lease| {
                Answer::Number(lease.number() as f64)
            })
    }
}

/// Gives a lease back: false when it is not held.
pub(crate) struct Release;

impl Function for Release {
    const NAME: &'static CStr = c"libsqlRelease";
    fn run(call: &Call) -> Answer {
        let released = call
            .handle::<LibsqlPool>(0)
            .zip(call.number(1))
            .is_some_and(|(pool, lease)| pool.release(Lease::from_number(lease as u64)));
        Answer::Bool(released)
    }
}
