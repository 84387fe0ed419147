//! libSQL: pools, leases and operations.

mod call;
mod encode;

use std::{ffi::CStr, sync::Arc, time::Duration};

use moorline_core::{
    environment::is_production,
    limit::Limit,
    options::{Options, Plain, Read},
    pool::Lease,
};
use moorline_services::libsql::{
    config::{Config, Face},
    service::LibsqlPool,
};
use napi::{Env, Result};
use napi_derive::napi;

use crate::bridge::{
    Answer, Call, Callback, Cancel, Function, Given, Handle, PromiseValue, Value, ended, promise,
    runtime, throw, throw_failure,
};
use encode::PoolEvents;

/// Opens a pool. `variables` are environment variables; `listener` hears its events as JSON text.
#[napi(catch_unwind, ts_return_type = "Handle<LibsqlPool>")]
pub fn libsql_open(
    env: Env,
    options: Given,
    #[napi(ts_arg_type = "'pool' | 'client' | 'environment'")] face: String,
    variables: Given,
    #[napi(ts_arg_type = "(event: string) => void")] listener: Callback,
) -> Result<Handle<LibsqlPool>> {
    let production = is_production(&variables.0);
    let config = Config::read(&options.0, Face::named(&face), production)
        .map_err(|error| throw(&env, &error))?;
    let runtime = runtime().map_err(|failure| throw_failure(&env, failure))?;
    let listener = Arc::new(PoolEvents(listener));
    LibsqlPool::open(config, runtime.clone(), listener, ended(&env)?)
        .map(Handle::new)
        .map_err(|failure| throw_failure(&env, failure))
}

/// How the pool's database is reached (`file` or `http`), its URL as it may be shown, and the `intMode` in force.
#[napi(
    catch_unwind,
    ts_return_type = "[protocol: string, url: string, intMode: 'number' | 'bigint' | 'string']"
)]
pub fn libsql_describe(pool: Handle<LibsqlPool>) -> Vec<String> {
    let described = [pool.protocol(), pool.shown_url(), pool.int_mode().as_str()];
    described.map(str::to_owned).into()
}

/// Whether the pool tells of leases that are held for too long.
#[napi(catch_unwind)]
pub fn libsql_reports_leaks(pool: Handle<LibsqlPool>) -> bool {
    pool.reports_leaks()
}

/// A lease, after waiting for a connection.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn libsql_acquire(
    env: Env,
    pool: Handle<LibsqlPool>,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let cancel = Cancel::token(cancel.as_ref());
    let lease = pool.acquire(&cancel);
    promise(&env, async move {
        Ok(Value::Number(lease.await?.number() as f64))
    })
}

/// Total, in use, available, waiting.
#[napi(catch_unwind)]
pub fn libsql_stats(pool: Handle<LibsqlPool>) -> Vec<u32> {
    let stats = pool.stats();
    vec![stats.total, stats.in_use, stats.available, stats.waiting]
}

/// Whether the transaction that was begun on a lease has ended by itself, as far as that is known here.
#[napi(catch_unwind)]
pub fn libsql_has_ended(pool: Handle<LibsqlPool>, lease: f64) -> bool {
    pool.has_ended(Lease::from_number(lease as u64))
}

/// Ends the pool; true when no borrower had to be cut off.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn libsql_drain(env: Env, pool: Handle<LibsqlPool>, timeout_ms: Given) -> Result<PromiseValue> {
    let patience = read_timeout(timeout_ms.0).map_err(|error| throw(&env, &error))?;
    promise(&env, async move { Ok(pool.drain(patience).await) })
}

/// A call's own time limit, from `options.timeoutMs`.
fn read_timeout(value: Plain) -> Read<Option<Limit<Duration>>> {
    let given = !matches!(value, Plain::Undefined);
    let entries = Plain::Map(vec![("timeoutMs".to_owned(), value)]);
    let limit = Options::new("options", &entries)?.ms_limit("timeoutMs", Limit::Off, 0.0)?;
    Ok(given.then_some(limit))
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
