//! Functions for the tests of the bridge.
//!
//! They are compiled with the `test-hooks` feature only: the builds that ship have none of it.

use std::time::Duration;

use moorline_core::error::{Failure, Kind};
use napi::{Env, Result};
use napi_derive::napi;

use crate::bridge::{
    Call, Callback, Cancel, Foreign, Function, Handle, PromiseValue, ReturnValue, Value, promise,
};

/// Resolves with `number` after `delay_ms`; rejects as `closed` when cancelled before.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn test_promise(
    env: Env,
    number: f64,
    delay_ms: f64,
    #[napi(ts_arg_type = "Handle<Cancel>")] cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let cancelled = Cancel::token(cancel.as_ref());
    promise(&env, async move {
        if delay_ms > 0.0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs_f64(delay_ms / 1000.0)) => {}
                () = cancelled.cancelled() => return Err(Failure::new(Kind::Closed, "cancelled")),
            }
        }
        Ok(Value::Number(number))
    })
}

/// Panics inside a running call.
#[napi(catch_unwind, ts_return_type = "Promise<never>")]
pub fn test_panic(env: Env) -> Result<PromiseValue> {
    promise(&env, async move {
        let empty: [u8; 0] = [];
        // An index out of bounds is the most ordinary panic there is.
        Ok(Value::Number(f64::from(empty[std::hint::black_box(0)])))
    })
}

/// Panics before it answers.
#[napi(catch_unwind)]
pub fn test_panic_at_once(text: String) -> u32 {
    u32::from(text.as_bytes()[std::hint::black_box(text.len())])
}

/// The same, hand-written.
pub(crate) struct Panic;

impl Function for Panic {
    const NAME: &'static std::ffi::CStr = c"testPanicByHand";
    fn run(_: &Call) -> ReturnValue {
        let empty: [u8; 0] = [];
        ReturnValue::Integer(i32::from(empty[std::hint::black_box(0)]))
    }
}

/// Calls `listener` `count` times from another thread; answers how many calls were dropped.
#[napi(catch_unwind, ts_return_type = "Promise<number>")]
pub fn test_callback(
    env: Env,
    #[napi(ts_arg_type = "(index: number) => void")] listener: Callback,
    count: u32,
) -> Result<PromiseValue> {
    promise(&env, async move {
        for index in 0..count {
            listener.deliver(Value::Number(f64::from(index)));
        }
        Ok(Value::Number(f64::from(listener.dropped())))
    })
}

/// Resolves with a value in whose making something is thrown.
#[napi(catch_unwind, ts_return_type = "Promise<never>")]
pub fn test_throwing(env: Env, message: String) -> Result<PromiseValue> {
    promise(&env, async move { Ok(Value::thrown(message)) })
}

/// Resolves with a text of `length` bytes.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn test_text(env: Env, length: u32) -> Result<PromiseValue> {
    promise(&env, async move { Ok("x".repeat(length as usize)) })
}

/// Calls `listener` with a text of `length` bytes, then with `short`.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn test_long_callback(
    env: Env,
    #[napi(ts_arg_type = "(text: string) => void")] listener: Callback,
    length: u32,
) -> Result<PromiseValue> {
    promise(&env, async move {
        listener.deliver("x".repeat(length as usize));
        listener.deliver("short".to_owned());
        Ok(())
    })
}

/// An external value of another addon.
#[napi(catch_unwind, ts_return_type = "unknown")]
pub fn test_foreign() -> Foreign {
    Foreign
}

/// The cheapest call there is, hand-written: the floor under every other.
pub(crate) struct Identity;

impl Function for Identity {
    const NAME: &'static std::ffi::CStr = c"testIdentity";
    fn run(call: &Call) -> ReturnValue {
        call.index(0).map_or(ReturnValue::Undefined, |number| {
            ReturnValue::Integer(number as i32)
        })
    }
}
