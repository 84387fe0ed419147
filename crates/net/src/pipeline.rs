//! The asynchronous driver of core's [`Pipeline`].
//!
//! It runs the attempts, sleeps between them, and records their outcomes.

use std::{
    future::{Future, poll_fn},
    task::Poll,
    time::{Duration, Instant},
};

use moorline_core::{
    error::{Delivery, Failure, Outcome},
    resilience::{
        call::{Admission, AfterAttempt, Attempt, Call},
        deadline::Deadline,
        outcome::{AttemptFailure, AttemptOutcome},
        pipeline::Pipeline,
        refusal::Refusal,
    },
};
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// One call: its names for a failure, and its limits beside those of the pipeline.
#[derive(Clone, Debug)]
pub struct Run {
    /// The service, for the failure.
    pub service: &'static str,
    /// The operation, for the failure.
    pub operation: &'static str,
    /// Whether the operation may be repeated when it is unknown whether the first attempt arrived. Decides about
    /// attempts that timed out; for other failures the operation itself decides (`retryable`).
    pub idempotent: bool,
    /// The caller's deadline, which may be earlier than the pipeline's.
    pub deadline: Deadline,
    /// Ends the call at once.
    pub cancel: CancellationToken,
}

/// Runs `operation` until it succeeds, cannot be repeated, or is out of time. The failure is that of the last
/// attempt, with `attempts` set; a policy's refusal is one of its own only when no attempt was made.
///
/// Dropping the future gives every permit back.
pub async fn run<T, F, Fut>(pipeline: &Pipeline, run: Run, mut operation: F) -> Outcome<T>
where
    F: FnMut(Attempt) -> Fut,
    Fut: Future<Output = Outcome<T>>,
{
    let mut guard = CallGuard {
        pipeline,
        call: pipeline.begin(run.deadline, now()),
    };
    let mut last = None;
    loop {
        let attempt = match guard.call.admit(pipeline, now()) {
            Admission::Go(attempt) => attempt,
            Admission::Wait(pause) => {
                run.unless_cancelled(sleep(pause)).await?;
                continue;
            }
            Admission::Queue(max_wait) => {
                run.unless_cancelled(guard.wait_for_turn(max_wait)).await?;
                continue;
            }
            Admission::Refuse(refusal) => {
                return Err(last.unwrap_or_else(|| run.refusal_failure(pipeline, refusal)));
            }
        };
        let outcome = run.attempt(pipeline, &attempt, operation(attempt)).await?;
        let attempt_outcome = match &outcome {
            Ok(_) => AttemptOutcome::Success,
            Err(failure) => AttemptOutcome::Failure(AttemptFailure::from(failure)),
        };
        match (outcome, guard.call.record(pipeline, attempt_outcome, now())) {
            (Err(failure), AfterAttempt::RetryIn(_)) => {
                last = Some(failure.with_attempts(attempt.number));
            }
            (outcome, _) => {
                return outcome.map_err(|failure| failure.with_attempts(attempt.number));
            }
        }
    }
}

impl Run {
    /// A call without a deadline or a means to cancel, whose operation may be repeated.
    pub fn new(service: &'static str, operation: &'static str) -> Self {
        Self {
            service,
            operation,
            idempotent: true,
            deadline: Deadline::NEVER,
            cancel: CancellationToken::new(),
        }
    }

    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Outcome<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {
                Err(Failure::aborted().during(self.service, self.operation))
            }
            done = work => Ok(done),
        }
    }

    /// The outcome of one attempt; the outer failure is the caller's abort, which is not counted.
    async fn attempt<T>(
        &self,
        pipeline: &Pipeline,
        attempt: &Attempt,
        work: impl Future<Output = Outcome<T>>,
    ) -> Outcome<Outcome<T>> {
        let Some(at) = attempt.deadline.at() else {
            return self.unless_cancelled(work).await;
        };
        let started = now();
        let bounded = async {
            tokio::select! {
                biased;
                outcome = work => outcome,
                () = sleep_until(at.into()) => Err(self.attempt_timeout(pipeline, at - started)),
            }
        };
        self.unless_cancelled(bounded).await
    }

    fn attempt_timeout(&self, pipeline: &Pipeline, after: Duration) -> Failure {
        let message = format!(
            "{} got no response within {} ms",
            self.operation,
            after.as_millis()
        );
        let config = pipeline.config();
        let failure = config.attempt_timed_out(message, after, None, self.idempotent);
        failure.during(self.service, self.operation)
    }

    fn refusal_failure(&self, pipeline: &Pipeline, refusal: Refusal) -> Failure {
        let breaker = pipeline.breaker().map_or("", |breaker| breaker.name());
        refusal
            .failure(breaker)
            .during(self.service, self.operation)
            .with_delivery(Delivery::None)
    }
}

/// A call that gives back what it holds when its future is dropped.
struct CallGuard<'a> {
    pipeline: &'a Pipeline,
    call: Call,
}

impl CallGuard<'_> {
    /// Waits for a place in the bulkhead.
    async fn wait_for_turn(&self, max_wait: Option<Duration>) {
        let mut registered = false;
        let woken = poll_fn(|context| {
            if std::mem::replace(&mut registered, true) {
                return Poll::Ready(());
            }
            self.call.wake_on_turn(self.pipeline, context.waker());
            Poll::Pending
        });
        match max_wait {
            Some(max_wait) => {
                tokio::select! {
                    () = woken => {}
                    () = sleep(max_wait) => {}
                }
            }
            None => woken.await,
        }
    }
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.call.cancel(self.pipeline, now());
    }
}

/// The time of the runtime's clock, which a test can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
