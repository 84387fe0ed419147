//! Busy waiting for outcomes that take less time than a wake-up would.

use std::{
    hint,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use napi::{Env, Result};

use super::queue::{per_environment, settle_last};

/// The time that the JavaScript thread waits in place for an outcome that is about to come: what a wake-up through
/// the event loop would cost.
const ATTENTION: Duration = Duration::from_micros(30);
/// The time for which one outcome after the other may be waited for in place, before the event loop gets its turn.
const ATTENTION_SPAN: Duration = Duration::from_millis(1);

/// Waits in place for the one promise that is pending, which is expected to be settled within microseconds:
/// two threads that are both awake need no wake-up. Where one call follows the other like that, the event loop
/// gets its turn every millisecond.
pub(crate) fn spin_for_completion(env: &Env) -> Result<()> {
    // SAFETY: on the JavaScript thread, in a running call.
    let state = unsafe { per_environment(env.raw()) }?;
    let completions = Arc::clone(&state.completions);
    if state.in_flight.get() != 1 || !completions.suppress_wakeup() {
        return Ok(());
    }
    let started = Instant::now();
    while !completions.has_items.load(Ordering::Acquire) && started.elapsed() < ATTENTION {
        hint::spin_loop();
    }
    let since = state.spinning_since.get().unwrap_or(started);
    state.spinning_since.set(Some(since));
    let in_time = started.duration_since(since) < ATTENTION_SPAN;
    if let Some(item) = completions.restore_wakeup(in_time) {
        // SAFETY: on the JavaScript thread.
        unsafe { settle_last(env.raw(), state, item) };
    }
    Ok(())
}
