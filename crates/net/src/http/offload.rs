//! Work on large bodies, moved off the runtime's threads.

use moorline_core::error::Outcome;

use crate::blocking::run_blocking;

/// Above this size, reading or writing JSON takes longer than a millisecond.
const LARGE_BYTES: usize = 64 << 10;

/// Runs `work`, whose time grows with `bytes`: on a blocking thread where they are many.
pub async fn offload<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    if bytes < LARGE_BYTES {
        return work();
    }
    run_blocking(work).await?
}
