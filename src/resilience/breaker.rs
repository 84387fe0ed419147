//! The state of breakers, and its change by hand.

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::{Instant, SystemTime},
};

use moorline_core::{
    clock::Anchor,
    resilience::{
        breaker::Change,
        registry::{Registry, Watcher},
    },
    sync::lock,
};
use napi_derive::napi;
use serde_json::Value as Json;

use crate::{
    bridge::{Callback, Handle, Value},
    resilience::{Policy, encode::encode_breaker},
};

/// The state of the policy's breaker as JSON; `null` without one.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>")]
pub fn breaker_snapshot(policy: Handle<Policy>) -> String {
    let breaker = policy.calls.breaker();
    breaker
        .map_or(Json::Null, |breaker| {
            encode_breaker(breaker.name(), &breaker.snapshot(), anchor())
        })
        .to_string()
}

/// The states of every breaker of the process as a JSON array.
#[napi(catch_unwind)]
pub fn breaker_snapshots() -> String {
    let anchor = anchor();
    let all = Registry::global().all();
    let shown = all
        .iter()
        .map(|breaker| encode_breaker(breaker.name(), &breaker.snapshot(), anchor));
    Json::Array(shown.collect()).to_string()
}

/// Changes the state by hand: `open`, `isolate`, `half-open`, `close` or `reset`.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>, to: string")]
pub fn breaker_force(policy: Handle<Policy>, to: String) {
    let now = policy.clock.now();
    if let Some(breaker) = policy.calls.breaker() {
        breaker.with(|breaker| match to.as_str() {
            "open" => breaker.open(now),
            "isolate" => breaker.isolate(now),
            "half-open" => breaker.half_open(now),
            "close" => breaker.close(now),
            _ => breaker.reset(now),
        });
    }
}

/// Calls `listener` with `[from, to, epochMs]` for each change of the policy's breaker, whatever causes it.
#[napi(catch_unwind)]
pub fn breaker_watch(
    #[napi(ts_arg_type = "Handle<Policy>")] policy: Handle<Policy>,
    #[napi(ts_arg_type = "(change: [from: string, to: string, epochMs: number]) => void")]
    listener: Callback,
) {
    let Some(breaker) = policy.calls.breaker() else {
        return;
    };
    let watcher: Arc<Watcher> = Arc::new(move |_: &str, change: &Change| {
        listener.deliver(Value::List(vec![
            Value::Text(change.from.as_str().to_owned()),
            Value::Text(change.to.as_str().to_owned()),
            Value::Number(anchor().epoch_ms(change.at)),
        ]));
    });
    breaker.watch(&watcher);
    policy.set_watcher(watcher);
}

/// The process's one anchor, so that a moment is the same time in every snapshot.
fn anchor() -> Anchor {
    static ANCHOR: LazyLock<Mutex<Anchor>> =
        LazyLock::new(|| Mutex::new(Anchor::new(Instant::now(), SystemTime::now())));
    let mut anchor = lock(&ANCHOR);
    *anchor = anchor.refreshed(Instant::now(), SystemTime::now());
    *anchor
}
