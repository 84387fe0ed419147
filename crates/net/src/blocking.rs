//! Work for the runtime's blocking threads, where the system may refuse one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use moorline_core::error::{Failure, Outcome};
use tokio::task;

/// Runs `work`, which may block or take long, on a blocking thread.
///
/// tokio panics when it has no blocking thread and the system grants it none: that is no defect of `work`.
pub async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Outcome<T> {
    let Ok(task) = catch_unwind(AssertUnwindSafe(|| task::spawn_blocking(work))) else {
        return Err(Failure::refused_thread());
    };
    task.await
        .map_err(|error| Failure::defect().with_cause(error.to_string(), None))
}

#[cfg(test)]
mod tests {
    use moorline_core::error::Kind;

    use super::*;

    #[tokio::test]
    async fn work_gives_its_value_and_a_panic_is_a_defect() {
        assert_eq!(run_blocking(|| 7).await, Ok(7));
        let failed = run_blocking(|| assert_eq!(1, 2)).await.unwrap_err();
        assert_eq!(failed.kind, Kind::Internal);
    }
}
