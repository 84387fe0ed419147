//! HTTP engines, and the options of one call.

mod body;
mod encode;
mod fast;

use std::sync::Arc;

use moorline_core::{connection::transport::Transport, options::Options};
use moorline_net::http::{CallConfig, Engine as HttpEngine, HttpConfig};
use napi::{Env, Result};
use napi_derive::napi;

pub(crate) use self::fast::register;
use crate::{
    bridge::{Handle, OrThrow, RawArgument, runtime},
    connection::{
        CallContext, ResolvedConnectionConfig, metrics::ConnectionTracker, transport_options,
    },
    resilience::Policy,
};

/// An engine with the policy and the tracker of the connection whose requests it makes.
pub struct PolicyEngine {
    engine: Arc<HttpEngine>,
    context: Arc<CallContext>,
}

/// An engine with the options given, and those of its connection. With a name its connections are shown in the metrics of the process.
#[napi(catch_unwind, ts_return_type = "Handle<HttpEngine>")]
pub fn http_open(
    env: Env,
    options: RawArgument,
    name: Option<String>,
    connection: Option<Handle<ResolvedConnectionConfig>>,
) -> Result<Handle<HttpEngine>> {
    let options = transport_options(Transport::Http, options, connection.as_ref());
    let options = Options::new("options", &options)
        .and_then(HttpConfig::read)
        .or_throw(&env)?;
    let runtime = runtime(&env)?;
    let engine = HttpEngine::new(options, runtime.clone());
    Ok(Handle::new(match name {
        Some(name) => engine.with_metrics(name),
        None => engine,
    }))
}

/// An engine for the requests of a connection, each under `policy` and counted by `tracker`.
#[napi(catch_unwind, ts_return_type = "Handle<PolicyEngine>")]
pub fn http_policy_engine(
    engine: Handle<HttpEngine>,
    policy: Handle<Policy>,
    tracker: Handle<ConnectionTracker>,
) -> Handle<PolicyEngine> {
    let context = CallContext {
        policy: policy.0,
        tracker: tracker.0,
    };
    Handle::new(PolicyEngine {
        engine: engine.0,
        context: Arc::new(context),
    })
}

/// Ends every call of an engine and closes its connections.
#[napi(catch_unwind)]
pub fn http_close(engine: Handle<HttpEngine>) {
    engine.close();
}

/// Connections, those in use, those free, and requests that wait for one.
#[napi(catch_unwind)]
pub fn http_stats(engine: Handle<HttpEngine>) -> Vec<u32> {
    let stats = engine.stats();
    vec![stats.total, stats.in_use, stats.available, stats.waiting]
}

/// The options of one call, over those of its engine.
#[napi(catch_unwind, ts_return_type = "Handle<HttpCallConfig>")]
pub fn http_call_config(
    env: Env,
    engine: Handle<HttpEngine>,
    options: RawArgument,
) -> Result<Handle<CallConfig>> {
    let config = CallConfig::read(&options.0, engine.config().call);
    config.map(Handle::new).or_throw(&env)
}
