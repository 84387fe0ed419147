//! The one tokio runtime of the process, shared by all JavaScript environments.

use std::{panic, sync::LazyLock};

use tokio::runtime::{Builder, Handle, Runtime};

/// Measured: one worker settles more promises per CPU second than two, and nothing on it blocks.
const WORKER_THREADS: usize = 1;
/// For work over a millisecond of CPU (forecasts, large answers) and for files. Idle ones end after ten seconds. The
/// system's name look-ups, which can hang for as long as a resolver does, have threads of their own.
const MAX_BLOCKING_THREADS: usize = 16;

static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_name("moorline")
        .enable_all()
        .build()
        .ok()
});

/// The runtime, started at the first call; `None` when the system refuses a thread.
pub(crate) fn runtime() -> Option<&'static Handle> {
    RUNTIME.as_ref().map(Runtime::handle)
}

/// Replaces the default panic report, which would print payloads (and what they quote) to a stranger's
/// stderr. A panic still surfaces: its call rejects or throws with kind `internal`.
pub(crate) fn watch_panics() {
    panic::set_hook(Box::new(|_| {}));
}
