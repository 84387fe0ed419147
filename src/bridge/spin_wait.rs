//! Busy waiting for outcomes that take less time than a wake-up would.

use std::{
    hint,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use napi::{Env, Result};

use super::environment::{environment_state, settle_last};

/// The time for which the JavaScript thread spins for an outcome: about that of a wake-up through the event loop.
const SPIN_TIME: Duration = Duration::from_micros(30);
/// The time for which consecutive calls may spin before the event loop must run.
const MAX_SPIN_PERIOD: Duration = Duration::from_millis(1);

/// Spins for the only pending promise, which is expected to settle within microseconds: that saves the wake-up of this
/// thread. With many such calls in a row, the event loop still runs every millisecond.
pub(crate) fn spin_for_completion(env: &Env) -> Result<()> {
    // SAFETY: on the JavaScript thread, in a running call.
    let state = unsafe { environment_state(env.raw()) }?;
    let completions = Arc::clone(&state.completions);
    if completions.in_flight() != 1 || !completions.suppress_wakeup() {
        return Ok(());
    }
    let started = Instant::now();
    while !completions.has_items.load(Ordering::Acquire) && started.elapsed() < SPIN_TIME {
        hint::spin_loop();
    }
    let since = state.spinning_since.get().unwrap_or(started);
    state.spinning_since.set(Some(since));
    let in_time = started.duration_since(since) < MAX_SPIN_PERIOD;
    if let Some(item) = completions.restore_wakeup(in_time) {
        // SAFETY: on the JavaScript thread.
        unsafe { settle_last(env.raw(), state, item) };
    }
    Ok(())
}
