//! Floor 3: translates. The addon converts between JavaScript and the services, and decides nothing.
//!
//! One file per service, each a list of functions over a [`bridge::Handle`]; the classes users see are
//! written in `lib/`. Every promise leaves through [`bridge`].

#![allow(
    unreachable_pub,
    reason = "#[napi] exports only what is `pub`, and nothing else links this crate"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "#[napi] hands every argument over by value"
)]

mod bell;
mod breaker;
mod bridge;
mod connection;
mod connection_figures;
mod connection_policy;
mod guarded;
mod health;
mod health_text;
mod http;
mod http_body;
mod http_text;
mod libsql;
mod metrics;
mod nixtla;
mod object_pool;
mod options;
mod policy;
mod pool_events;
#[cfg(feature = "probe")]
mod probe;
mod sse;
mod sse_cursor;
mod webhook;
mod websocket;

use napi::{Env, Result, bindgen_prelude::Object};

/// Runs once per JavaScript environment, when it loads the addon.
#[napi_derive::napi(module_exports)]
pub fn load(exports: Object, env: Env) -> Result<()> {
    bridge::watch_panics();
    let exports = bridge::Exports::new(env, exports);
    policy::register(&exports)?;
    connection_policy::register(&exports)?;
    exports.add::<http::Send>()?;
    exports.add::<libsql::Take>()?;
    exports.add::<libsql::Release>()?;
    exports.add::<sse::Keep>()?;
    #[cfg(feature = "probe")]
    exports.add::<probe::Noop>()?;
    #[cfg(feature = "probe")]
    exports.add::<probe::Panic>()?;
    connection_figures::register(&exports)?;
    exports.add::<object_pool::Take>()?;
    exports.add::<object_pool::Release>()?;
    webhook::register(&exports)?;
    websocket::register(&exports)?;
    Ok(())
}
