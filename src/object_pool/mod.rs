//! Pools of objects that live in JavaScript, on the one pool of the services.

mod objects;

use std::{
    collections::HashMap,
    ffi::CStr,
    sync::{Arc, Mutex},
    time::Duration,
};

use moorline_core::{
    connection::pool::{
        ConnectionPoolConfig, TIMEOUT_SECONDS, creation_backoff, timeout_seconds as read_wait,
    },
    environment::is_production,
    error::{Failure, Kind, Outcome},
    limit::{Limit, TimeLimit},
    pool::{Lease, acquire_timed_out},
};
use moorline_net::pool::{Borrowed, Pool, PoolSettings};
use napi::{Env, Result};
use napi_derive::napi;
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::objects::{NAMES, ObjectConnector, PendingRequests, Told};
use crate::{
    bridge::{
        Answer, Call, Callback, Cancel, Function, Given, Handle, PromiseValue, Value, promise,
        runtime, throw, throw_failure,
    },
    resilience::guarded::lock,
};

/// A pool, and who has what of it.
pub struct ObjectPool {
    pool: Pool<ObjectConnector>,
    desk: Arc<PendingRequests>,
    /// Borrowed objects.
    lent: Lent,
}

/// The leases of borrowed objects, by their numbers.
type Lent = Arc<Mutex<HashMap<u32, Lease>>>;

impl ObjectPool {
    fn lend(&self, borrowed: Borrowed<ObjectConnector>) -> Option<u32> {
        let number = borrowed.with(|object| object.number)?;
        lock(&self.lent).insert(number, borrowed.keep());
        Some(number)
    }

    /// An object, within `wait`, of which `first` has its place in the queue; while none can be made it is tried
    /// again.
    async fn acquire(
        &self,
        first: impl Future<Output = Outcome<Borrowed<ObjectConnector>>>,
        wait: TimeLimit,
        cancel: &CancellationToken,
    ) -> Outcome<u32> {
        let mut last = None;
        let tries = async {
            let mut first = Some(first);
            for retry in 1_u32.. {
                let borrowed = match first.take() {
                    Some(first) => first.await,
                    None => self.pool.acquire_within(wait, cancel).await,
                };
                match borrowed {
                    Ok(borrowed) => {
                        let closed = || Failure::new(Kind::Closed, "Pool is shutting down");
                        return self.lend(borrowed).ok_or_else(closed);
                    }
                    Err(failure) if failure.kind == Kind::Connect => last = Some(failure),
                    Err(failure) => return Err(failure),
                }
                sleep(creation_backoff(retry)).await;
            }
            Err(Failure::new(
                Kind::Internal,
                "moorline stopped this call by a defect",
            ))
        };
        let Limit::At(limit) = wait.time else {
            return tries.await;
        };
        if let Ok(outcome) = timeout(limit, tries).await {
            return outcome;
        }
        let late = acquire_timed_out(wait);
        Err(match last {
            Some(failure) => late.with_cause(failure.message.clone(), None),
            None => late,
        })
    }
}

/// Reads the options of a pool; `maxSize` is the default of that option, `variables` are environment variables.
#[napi(catch_unwind, ts_return_type = "Handle<ConnectionPoolConfig>")]
pub fn object_pool_config(
    env: Env,
    options: Given,
    max_size: u32,
    variables: Given,
) -> Result<Handle<ConnectionPoolConfig>> {
    ConnectionPoolConfig::read(&options.0, max_size, is_production(&variables.0))
        .map(Handle::new)
        .map_err(|error| throw(&env, &error))
}

/// Opens a pool. `ask` hears its events and its questions as JSON text. With a name it is shown in the metrics of the process.
#[napi(catch_unwind, ts_return_type = "Handle<ObjectPool>")]
pub fn object_pool_open(
    env: Env,
    config: Handle<ConnectionPoolConfig>,
    #[napi(ts_arg_type = "(told: string) => void")] ask: Callback,
    name: Option<String>,
) -> Result<Handle<ObjectPool>> {
    let runtime = runtime().map_err(|failure| throw_failure(&env, failure))?;
    let settings = PoolSettings {
        connect_timeout: config.connect_timeout,
        validate_timeout: config.release_timeout,
        close_timeout: config.release_timeout,
        names: NAMES,
        ..PoolSettings::new(config.limits)
    };
    let desk = PendingRequests::new(ask.clone());
    let objects = ObjectConnector(Arc::clone(&desk));
    let lent = Lent::default();
    let told = Told {
        lent: Arc::clone(&lent),
        ask,
    };
    let pool = Pool::with_listener(objects, settings, runtime.clone(), Some(Arc::new(told)));
    if let Some(name) = name {
        pool.publish(&name, "connection");
    }
    Ok(Handle::new(ObjectPool { pool, desk, lent }))
}

/// The options in force as JSON, in milliseconds; `null` for a limit that is off.
#[napi(catch_unwind)]
pub fn object_pool_options(config: Handle<ConnectionPoolConfig>) -> String {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let limit = |limit: Limit<Duration>| limit.get().map(ms);
    let described = json!({
        "maxSize": config.limits.max,
        "minSize": config.limits.min,
        "maxIdleTimeMs": limit(config.limits.idle_timeout),
        "acquireTimeoutMs": limit(config.limits.acquire_timeout),
        "releaseTimeoutMs": ms(config.release_timeout),
        "connectTimeoutMs": ms(config.connect_timeout),
        "healthCheckIntervalMs": limit(config.health_check_interval),
        "cleanupIntervalMs": limit(config.cleanup_interval),
        "maxLifetimeMs": limit(config.limits.max_lifetime),
        "leakAfterMs": limit(config.limits.leak_after),
    });
    described.to_string()
}

/// The number of an object, after waiting for one for at most `timeoutSeconds`.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn object_pool_acquire(
    env: Env,
    pool: Handle<ObjectPool>,
    timeout_seconds: Given,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let given = read_wait(&timeout_seconds.0).map_err(|error| throw(&env, &error))?;
    let wait = given.map_or(pool.pool.settings().acquire_timeout(), |time| TimeLimit {
        time,
        option: TIMEOUT_SECONDS,
    });
    let cancel = Cancel::token(cancel.as_ref());
    let first = pool.pool.acquire_within(wait, &cancel);
    promise(&env, async move {
        let number = pool.acquire(first, wait, &cancel).await;
        let number = number.map_err(|failure| failure.during("pool", "acquire"))?;
        Ok(Value::Number(f64::from(number)))
    })
}

/// Answers a question: with a `problem`, or that it is done. False when nobody waits for it any more.
#[napi(catch_unwind)]
pub fn object_pool_answer(pool: Handle<ObjectPool>, id: u32, problem: Option<String>) -> bool {
    pool.desk.answer(id, problem)
}

/// These objects are dead: the free ones among them are closed at once, the others when they come back.
#[napi(catch_unwind)]
pub fn object_pool_evict(pool: Handle<ObjectPool>, objects: Vec<u32>) {
    for number in objects {
        pool.desk.mark(number);
    }
    pool.pool.evict_unusable();
}

/// Total, in use, available, waiting.
#[napi(catch_unwind)]
pub fn object_pool_stats(pool: Handle<ObjectPool>) -> Vec<u32> {
    let stats = pool.pool.stats();
    vec![stats.total, stats.in_use, stats.available, stats.waiting]
}

/// Ends the pool at once: free and borrowed objects are closed, those who wait are refused.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn object_pool_stop(env: Env, pool: Handle<ObjectPool>) -> Result<PromiseValue> {
    promise(&env, async move {
        pool.pool.drain(Limit::At(Duration::ZERO)).await;
        Ok(())
    })
}

/// `objectPoolTake(pool)`: the number of a free object at once, or undefined when there is none.
pub(crate) struct Take;

impl Function for Take {
    const NAME: &'static CStr = c"objectPoolTake";
    fn run(call: &Call) -> Answer {
        let taken = call.handle::<ObjectPool>(0).and_then(|pool| {
            let borrowed = pool.pool.take()?;
            pool.lend(borrowed)
        });
        taken.map_or(Answer::Undefined, |number| {
            Answer::Number(f64::from(number))
        })
    }
}

/// `objectPoolRelease(pool, object, usable)`: gives an object back; false when it is not borrowed.
pub(crate) struct Release;

impl Function for Release {
    const NAME: &'static CStr = c"objectPoolRelease";
    fn run(call: &Call) -> Answer {
        let (Some(pool), Some(number)) = (call.handle::<ObjectPool>(0), call.index(1)) else {
            return Answer::Bool(false);
        };
        let lease = lock(&pool.lent).remove(&number);
        Answer::Bool(lease.is_some_and(|lease| match call.flag(2) {
            Some(false) => pool.pool.discard(lease),
            _ => pool.pool.release(lease),
        }))
    }
}
