//! Operations on a lease, or on a connection borrowed for one of them.

use std::{sync::Arc, time::Duration};

use moorline_core::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
    pool::Lease,
};
use moorline_services::libsql::{
    local::call_lease::CallLease,
    operation::Operation,
    service::{Call, CallLimits, LibsqlPool},
    statement::{Statement, TransactionMode},
};
use napi::{Env, Result};
use napi_derive::napi;
use tokio_util::sync::CancellationToken;

use super::encode::{encode, encode_result};
use crate::bridge::{
    Cancel, Handle, OrThrow, PromiseValue, RawArgument, Reply, deferred, promise, spawn,
    spin_for_completion, try_runtime,
};

/// Runs one statement: on `lease`, or, without one, on a connection borrowed for it. The result of one that could be run at
/// once is returned as it is.
#[napi(
    catch_unwind,
    ts_return_type = "string | [string, Uint8Array] | Promise<string | [string, Uint8Array]>"
)]
pub fn libsql_execute(
    env: Env,
    pool: Handle<LibsqlPool>,
    lease: Option<f64>,
    sql: RawArgument,
    args: RawArgument,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<Reply> {
    let statement = match (sql.0, args.0) {
        (statement, PlainValue::Undefined | PlainValue::Null) => {
            Statement::read("statement", statement)
        }
        // An object has its own arguments.
        (sql, args) => Statement::from_parts("statement", sql, args),
    };
    if cancel.is_some() {
        let operation = statement.map(Operation::Execute);
        let promised = run(&env, pool, lease, operation, timeout_ms, cancel.as_ref());
        return promised.map(Reply::Promise);
    }
    let statement = statement.or_throw(&env)?;
    let timeout = Options::call_timeout(&timeout_ms.0).or_throw(&env)?;
    let held = lease.map(held_lease);
    let on = pool.lease_for_call(held);
    if let Some(on) = &on
        && let Some(result) = pool.run_inline(on, &statement)
    {
        return Ok(Reply::Value(encode_result(result)));
    }
    let operation = Operation::Execute(statement);
    start(&env, &pool.0, on, held, operation, timeout).map(Reply::Promise)
}

/// Begins a transaction on `lease`.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn libsql_begin(
    env: Env,
    pool: Handle<LibsqlPool>,
    lease: Option<f64>,
    mode: RawArgument,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let mode = TransactionMode::read(&mode.0, TransactionMode::Write);
    let begin = mode.map(|mode| Operation::Execute(Statement::without_args(mode.begin_sql())));
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
    statements: RawArgument,
    mode: RawArgument,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let operation = read_batch(statements.0, &mode.0);
    run(&env, pool, lease, operation, timeout_ms, cancel.as_ref())
}

/// Runs a script of several statements without arguments; where `in_transaction`, in the transaction that is open.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn libsql_sequence(
    env: Env,
    pool: Handle<LibsqlPool>,
    lease: Option<f64>,
    script: RawArgument,
    in_transaction: bool,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let wrap = if in_transaction {
        Operation::ContinueSequence
    } else {
        Operation::Sequence
    };
    let operation = Statement::read("sql", script.0).map(|it| wrap(it.sql));
    run(&env, pool, lease, operation, timeout_ms, cancel.as_ref())
}

fn read_batch(statements: PlainValue, mode: &PlainValue) -> Read<Operation> {
    let PlainValue::List(items) = statements else {
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
        PlainValue::Text(word) if word == "continue" => Operation::Continue(statements),
        PlainValue::Text(word) if word == "migrate" => Operation::Migrate(statements),
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
    timeout_ms: RawArgument,
    cancel: Option<&Handle<Cancel>>,
) -> Result<PromiseValue> {
    let operation = operation.or_throw(env)?;
    let timeout = Options::call_timeout(&timeout_ms.0).or_throw(env)?;
    let held = lease.map(held_lease);
    let Some(cancel) = cancel else {
        let on = pool.lease_for_call(held);
        return start(env, &pool.0, on, held, operation, timeout);
    };
    let single = is_single(&operation);
    let cancel = Cancel::token(Some(cancel));
    let running = pool.0.run(held, operation, CallLimits { timeout, cancel });
    promise(env, async move { Ok(encode(running.await?, single)) })
}

fn held_lease(number: f64) -> Lease {
    Lease::from_number(number as u64)
}

fn is_single(operation: &Operation) -> bool {
    matches!(operation, Operation::Execute(_))
}

/// Without a signal, a call that has nothing to wait for does not touch the runtime.
fn start(
    env: &Env,
    pool: &Arc<LibsqlPool>,
    on: Option<CallLease>,
    held: Option<Lease>,
    operation: Operation,
    timeout: Option<Limit<Duration>>,
) -> Result<PromiseValue> {
    let single = is_single(&operation);
    let (settler, promised) = deferred(env)?;
    let runtime = match try_runtime() {
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
            settler.settle(outcome.map(|results| encode(results, single)));
        }),
    };
    let started = match on {
        Some(on) => pool.start(on, call),
        None => Err(call),
    };
    match started {
        Ok(true) => spin_for_completion(env)?,
        Ok(false) => {}
        Err(call) => {
            let limits = CallLimits {
                timeout,
                cancel: CancellationToken::new(),
            };
            let running = Box::pin(pool.run(held, call.operation, limits));
            spawn(env, runtime, async move { (call.reply)(running.await) })?;
        }
    }
    Ok(promised)
}
