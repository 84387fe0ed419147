//! The turns of the event loop, for calls that are answered within the call.
//!
//! What awaits such an answer goes on without a turn of the event loop, for as long as the next answer comes the same way. So
//! they share a time, after which the event loop must have its turn; `lib/` tells when it has begun the next.

use std::time::{Duration, Instant};

use napi::{Env, Result};
use napi_derive::napi;

use super::queue::per_environment;

/// The time in one turn during which calls are answered at once.
const TURN_TIME: Duration = Duration::from_millis(1);

/// Whether a call may be answered at once in this turn of the event loop.
pub(crate) fn has_turn_time(env: &Env) -> Result<bool> {
    // SAFETY: on the JavaScript thread, in a running call.
    let since = unsafe { per_environment(env.raw()) }?.turn_since.get();
    Ok(since.is_none_or(|since| since.elapsed() < TURN_TIME))
}

/// Counts a call that is answered at once.
pub(crate) fn begin_turn_time(env: &Env) -> Result<()> {
    // SAFETY: as above.
    let state = unsafe { per_environment(env.raw()) }?;
    if state.turn_since.get().is_none() {
        state.turn_since.set(Some(Instant::now()));
    }
    Ok(())
}

/// Tells that the event loop has begun a turn.
#[napi(catch_unwind)]
pub fn turn_begun(env: Env) -> Result<()> {
    // SAFETY: as above.
    let state = unsafe { per_environment(env.raw()) }?;
    state.turn_since.set(None);
    Ok(())
}
