//! Operations, on a lease or on a connection borrowed for one.

use std::{sync::Arc, time::Duration};

use moorline_core::{
    limit::Limit,
    options::{OptionError, Plain, Read},
    pool::Lease,
};
use moorline_services::libsql::{
    operation::{Operation, Results},
    result::ResultText,
    service::{Call, CallLimits, LibsqlPool},
    statement::{Statement, TransactionMode},
};
use napi::{Env, Result};
use napi_derive::napi;
use tokio_util::sync::CancellationToken;

use super::read_timeout;
use crate::bridge::{
    Cancel, Given, Handle, PromiseValue, Value, deferred, promise, runtime, spawn,
    spin_for_completion, throw,
};

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
) -> Result<PromiseValue> {
    let operation = match (sql.0, args.0) {
        (statement, Plain::Undefined | Plain::Null) => Statement::read("statement", statement),
        // An object has its own arguments.
        (sql, args) => Statement::from_parts("statement", sql, args),
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
) -> Result<PromiseValue> {
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
) -> Result<PromiseValue> {
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
) -> Result<PromiseValue> {
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
) -> Result<PromiseValue> {
    let operation = operation.map_err(|error| throw(env, &error))?;
    let timeout = read_timeout(timeout_ms.0).map_err(|error| throw(env, &error))?;
    let single = matches!(operation, Operation::Execute(_));
    let held = lease.map(|number| Lease::from_number(number as u64));
    let Some(cancel) = cancel else {
        return start(env, &pool.0, held, operation, timeout, single);
    };
    let cancel = Cancel::token(Some(cancel));
    if let Some(lease) = held.filter(|_| pool.is_local()) {
        let pending = pool.0.submit_on(lease, operation, timeout);
        return promise(env, async move {
            let results = pending?.outcome(&cancel).await?;
            Ok(value_of(results, single))
        });
    }
    let limits = CallLimits { timeout, cancel };
    promise(env, async move {
        let results = pool.0.run(held, operation, limits).await?;
        Ok(value_of(results, single))
    })
}

/// Without a signal, a call that has nothing to wait for does not touch the runtime.
fn start(
    env: &Env,
    pool: &Arc<LibsqlPool>,
    held: Option<Lease>,
    operation: Operation,
    timeout: Option<Limit<Duration>>,
    single: bool,
) -> Result<PromiseValue> {
    let (settler, promised) = deferred(env)?;
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(refused) => {
            settler.settle(Err(refused));
            return Ok(promised);
        }
    };
    let call = Call {
        operation,
        timeout,
        reply: Box::new(move |outcome| {
            settler.settle(outcome.map(|results| value_of(results, single)));
        }),
    };
    match pool.start(held, call) {
        Ok(true) => spin_for_completion(env)?,
        Ok(false) => {}
        Err(call) => {
            let limits = CallLimits {
                timeout,
                cancel: CancellationToken::new(),
            };
            let pool = Arc::clone(pool);
            spawn(env, runtime, async move {
                (call.reply)(pool.run(held, call.operation, limits).await);
            })?;
        }
    }
    Ok(promised)
}

fn value_of(results: Results, single: bool) -> Value {
    let mut results = results.into_iter().map(value_of_one);
    match results.next() {
        Some(result) if single => result,
        first => Value::List(first.into_iter().chain(results).collect()),
    }
}

fn value_of_one(result: ResultText) -> Value {
    if result.blobs.is_empty() {
        return Value::Text(result.json);
    }
    Value::List(vec![Value::Text(result.json), Value::Bytes(result.blobs)])
}
