//! libSQL: pools, leases and operations.

mod call;
mod encode;
mod fast;

use std::sync::Arc;

use moorline_core::{environment::is_production, options::Options, pool::Lease};
use moorline_services::libsql::{
    config::{Config, OptionStyle},
    service::LibsqlPool,
};
use napi::{Env, Result};
use napi_derive::napi;

use self::encode::encode_error;
pub(crate) use self::fast::register;
use crate::{
    bridge::{
        Callback, Cancel, Handle, OrThrow, PromiseValue, RawArgument, Value, environment_closed,
        promise, runtime,
    },
    pool::PoolEvents,
};

/// Opens a pool. `variables` are environment variables; `listener` receives its events as JSON text.
#[napi(catch_unwind, ts_return_type = "Handle<LibsqlPool>")]
pub fn libsql_open(
    env: Env,
    options: RawArgument,
    #[napi(ts_arg_type = "'pool' | 'client' | 'environment'")] option_style: String,
    variables: RawArgument,
    #[napi(ts_arg_type = "(event: string) => void")] listener: Callback,
) -> Result<Handle<LibsqlPool>> {
    let production = is_production(&variables.0);
    let config = Config::read(
        &options.0,
        OptionStyle::from_name(&option_style),
        production,
    )
    .or_throw(&env)?;
    let runtime = runtime(&env)?;
    let listener = Arc::new(PoolEvents {
        listener,
        encode_error,
    });
    LibsqlPool::open(config, runtime.clone(), listener, environment_closed(&env)?)
        .map(Handle::new)
        .or_throw(&env)
}

/// The protocol of the pool's database (`file` or `http`), its URL without secrets, and the `intMode` in force.
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

/// Returns whether the transaction that was begun on a lease has ended by itself, as far as that is known here.
#[napi(catch_unwind)]
pub fn libsql_transaction_has_ended(pool: Handle<LibsqlPool>, lease: f64) -> bool {
    pool.has_ended(Lease::from_number(lease as u64))
}

/// Ends the pool; true when no borrower had to be cut off.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn libsql_drain(
    env: Env,
    pool: Handle<LibsqlPool>,
    timeout_ms: RawArgument,
) -> Result<PromiseValue> {
    let timeout = Options::call_timeout(&timeout_ms.0).or_throw(&env)?;
    promise(&env, async move { Ok(pool.drain(timeout).await) })
}
