//! Pools of objects that live in JavaScript.

mod encode;
mod fast;

use std::sync::Arc;

use moorline_core::{
    connection::pool::{ConnectionPoolConfig, read_acquire_timeout},
    environment::is_production,
};
use moorline_net::object_pool::{ObjectOwner, ObjectPool, ObjectPoolEvent, Request};
use napi::{Env, Result};
use napi_derive::napi;

use self::encode::{encode_config, encode_event, encode_request};
pub(crate) use self::fast::register;
use crate::bridge::{
    Callback, Cancel, Handle, OrThrow, PromiseValue, RawArgument, Value, promise, runtime,
};

/// The part of `lib/` that makes, checks and closes the objects.
struct JsOwner(Callback);

impl ObjectOwner for JsOwner {
    fn request(&self, request: Request) {
        self.0.ask(encode_request(request).to_string());
    }

    fn on_event(&self, event: ObjectPoolEvent) {
        self.0.deliver(encode_event(event).to_string());
    }
}

/// Reads the options of a pool; `maxSize` is the default of that option, `variables` are environment variables.
#[napi(catch_unwind, ts_return_type = "Handle<ConnectionPoolConfig>")]
pub fn object_pool_config(
    env: Env,
    options: RawArgument,
    max_size: u32,
    variables: RawArgument,
) -> Result<Handle<ConnectionPoolConfig>> {
    ConnectionPoolConfig::read(&options.0, max_size, is_production(&variables.0))
        .map(Handle::new)
        .or_throw(&env)
}

/// Opens a pool. `listener` receives its events and its requests as JSON text. With a name it is shown in the metrics of
/// the process.
#[napi(catch_unwind, ts_return_type = "Handle<ObjectPool>")]
pub fn object_pool_open(
    env: Env,
    config: Handle<ConnectionPoolConfig>,
    #[napi(ts_arg_type = "(message: string) => void")] listener: Callback,
    name: Option<String>,
) -> Result<Handle<ObjectPool>> {
    let runtime = runtime(&env)?;
    let pool = ObjectPool::open(Arc::new(JsOwner(listener)), &config, runtime.clone());
    if let Some(name) = name {
        pool.register_metrics(&name);
    }
    Ok(Handle::new(pool))
}

/// The options in force as JSON, in milliseconds; `null` for a limit that is off.
#[napi(catch_unwind)]
pub fn object_pool_options(config: Handle<ConnectionPoolConfig>) -> String {
    encode_config(&config).to_string()
}

/// The number of an object, after waiting for one for at most `timeoutSeconds`.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn object_pool_acquire(
    env: Env,
    pool: Handle<ObjectPool>,
    timeout_seconds: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let wait = read_acquire_timeout(&timeout_seconds.0).or_throw(&env)?;
    let number = pool.0.acquire(wait, Cancel::token(cancel.as_ref()));
    promise(
        &env,
        async move { Ok(Value::Number(f64::from(number.await?))) },
    )
}

/// Answers a request: with a `problem`, or that it is done. False when its answer is not awaited any more.
#[napi(catch_unwind)]
pub fn object_pool_answer(pool: Handle<ObjectPool>, id: u32, problem: Option<String>) -> bool {
    pool.answer(id, problem)
}

/// Marks these objects as dead: the free ones are closed at once, the others when they come back.
#[napi(catch_unwind)]
pub fn object_pool_evict(pool: Handle<ObjectPool>, objects: Vec<u32>) {
    pool.evict(&objects);
}

/// Total, in use, available, waiting.
#[napi(catch_unwind)]
pub fn object_pool_stats(pool: Handle<ObjectPool>) -> Vec<u32> {
    let stats = pool.stats();
    vec![stats.total, stats.in_use, stats.available, stats.waiting]
}

/// Ends the pool at once: free and borrowed objects are closed, waiting borrowers are refused.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn object_pool_stop(env: Env, pool: Handle<ObjectPool>) -> Result<PromiseValue> {
    promise(&env, async move {
        pool.stop().await;
        Ok(())
    })
}
