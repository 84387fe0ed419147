//! Retries and the breaker around the calls that borrow a connection.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    resilience::{
        budget::RetryBudget, config::PolicyConfig, pipeline::Pipeline, registry::Registry,
    },
};
use moorline_net::pipeline::{Run, run};
use tokio_util::sync::CancellationToken;

use super::error::SERVICE;

/// The policies of one pool.
pub(super) struct CallPolicy(Pipeline);

impl CallPolicy {
    /// The policies that are asked for, if any are.
    pub(super) fn new(config: &PolicyConfig) -> Option<Self> {
        if config.pipeline.retry.is_none() && config.breaker.is_none() {
            return None;
        }
        let mut pipeline = Pipeline::new(config.pipeline);
        if let Some(budget) = config.budget {
            pipeline = pipeline.with_budget(Arc::new(RetryBudget::new(budget)));
        }
        if let Some((scope, breaker)) = config.breaker {
            pipeline = pipeline.with_breaker(scope, Registry::global().own(SERVICE, breaker));
        }
        Some(Self(pipeline))
    }

    /// Runs a call, again where it has not reached the server and may do so later.
    pub(super) async fn run<T, F, Fut>(
        &self,
        operation: &'static str,
        cancel: &CancellationToken,
        mut call: F,
    ) -> Outcome<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Outcome<T>>,
    {
        let limits = Run {
            cancel: cancel.clone(),
            ..Run::new(SERVICE, operation)
        };
        // The caller may repeat what we do not.
        let may_be_repeated = AtomicBool::new(false);
        let outcome = run(&self.0, limits, |_| {
            let attempt = call();
            let may_be_repeated = &may_be_repeated;
            async move {
                attempt.await.map_err(|failure| {
                    may_be_repeated.store(failure.retryable, Ordering::Relaxed);
                    let is_ours = is_unsent(&failure) && failure.retryable;
                    failure.with_retryable(is_ours)
                })
            }
        });
        outcome.await.map_err(|failure| {
            let retryable = failure.retryable || may_be_repeated.load(Ordering::Relaxed);
            failure.with_retryable(retryable)
        })
    }
}

/// Whether the server has not heard of the call. One that has waited for a connection has had its time.
fn is_unsent(failure: &Failure) -> bool {
    failure.delivery == Delivery::None && failure.kind != Kind::PoolTimeout
}
