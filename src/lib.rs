//! Floor 3, which translates between JavaScript and the floors below, and decides nothing.
//!
//! One folder per service: `mod.rs` has its `#[napi]` functions over a [`bridge::Handle`], `fast.rs` those that are written by
//! hand, `encode.rs` the values that `lib/<service>` reads. Every promise leaves through [`bridge`].

#![allow(
    unreachable_pub,
    reason = "#[napi] exports only what is `pub`, and nothing else links this crate"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "#[napi] hands every argument over by value"
)]

mod bridge;
mod connection;
mod health;
mod http;
mod libsql;
mod metrics;
mod nixtla;
mod object_pool;
mod options;
mod pool;
mod postgres;
mod resilience;
mod sse;
mod ssh;
#[cfg(feature = "test-hooks")]
mod test_hooks;
mod webhook;
mod websocket;

use napi::{Env, Result, bindgen_prelude::Object};

/// Runs once per JavaScript environment, when it loads the addon.
#[napi_derive::napi(module_exports)]
pub fn load(exports: Object, env: Env) -> Result<()> {
    bridge::silence_panic_hook();
    let exports = bridge::Exports::new(env, exports);
    resilience::register(&exports)?;
    connection::policy::register(&exports)?;
    http::register(&exports)?;
    libsql::register(&exports)?;
    sse::register(&exports)?;
    #[cfg(feature = "test-hooks")]
    exports.add::<test_hooks::Identity>()?;
    #[cfg(feature = "test-hooks")]
    exports.add::<test_hooks::Panic>()?;
    connection::metrics::register(&exports)?;
    metrics::register(&exports)?;
    object_pool::register(&exports)?;
    postgres::register(&exports)?;
    webhook::register(&exports)?;
    websocket::register(&exports)?;
    Ok(())
}
