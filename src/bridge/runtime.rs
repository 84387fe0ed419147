//! The one tokio runtime of the process, shared by all JavaScript environments.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Mutex, OnceLock},
};

use moorline_core::{
    error::{Failure, Outcome},
    sync::lock,
};
use napi::{Env, Result};
use tokio::runtime::{Builder, Handle, Runtime};

use super::OrThrow;

/// Measured: one worker settles more promises per CPU second than two, and nothing on it blocks.
const WORKER_THREADS: usize = 1;
/// For work over a millisecond of CPU (forecasts, large answers) and for files. Idle ones end after ten seconds. The
/// system's name look-ups, which can hang for as long as a resolver does, have threads of their own.
const MAX_BLOCKING_THREADS: usize = 16;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// Held while it is started, by one call at a time.
static STARTING: Mutex<()> = Mutex::new(());

/// The runtime; throws where the system refuses its threads.
pub(crate) fn runtime(env: &Env) -> Result<&'static Handle> {
    try_runtime().or_throw(env)
}

/// The runtime, started by the first call that the system grants its threads.
pub(crate) fn try_runtime() -> Outcome<&'static Handle> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle());
    }
    let _alone = lock(&STARTING);
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle());
    }
    let started = start()?;
    Ok(RUNTIME.get_or_init(|| started).handle())
}

/// tokio panics where the system refuses it the worker's thread, and errs where it refuses anything else.
fn start() -> Outcome<Runtime> {
    let build = || {
        Builder::new_multi_thread()
            .worker_threads(WORKER_THREADS)
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .thread_name("moorline")
            .enable_all()
            .build()
    };
    let why = match panic::catch_unwind(AssertUnwindSafe(build)) {
        Ok(Ok(runtime)) => return Ok(runtime),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_default(),
    };
    let refused = Failure::refused_thread().with_cause(why, None);
    Err(refused.during("moorline", "start"))
}

/// Replaces the default panic report, which would print payloads (and what they quote) to a stranger's
/// stderr. A panic still surfaces: its call rejects or throws with kind `internal`.
pub(crate) fn silence_panic_hook() {
    panic::set_hook(Box::new(|_| {}));
}
