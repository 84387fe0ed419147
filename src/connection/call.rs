//! A call of a connection: admitted by its policy and counted by its tracker, without a crossing for either.

use std::{sync::Arc, time::Instant};

use moorline_core::{
    connection::tracker::CompletedRequest, limit::Limit, resilience::outcome::AttemptOutcome,
};

use super::metrics::ConnectionTracker;
use crate::resilience::Policy;

/// The policy and the tracker of one connection.
pub(crate) struct CallContext {
    pub(crate) policy: Arc<Policy>,
    pub(crate) tracker: Arc<ConnectionTracker>,
}

/// A call whose first attempt was admitted. Dropped before it has ended, it is cancelled.
pub(crate) struct AdmittedCall {
    context: Arc<CallContext>,
    id: Option<u32>,
    started: Instant,
}

impl AdmittedCall {
    /// A call that may begin now; else `policyNotAdmitted` says what it has to wait for.
    pub(crate) fn begin(context: &Arc<CallContext>) -> Option<Self> {
        let id = context.policy.admit(None, Limit::Off)?;
        Some(Self {
            context: Arc::clone(context),
            id: Some(id),
            started: Instant::now(),
        })
    }

    /// Ends the call: its one attempt succeeded, with an HTTP status, or by sending so many bytes.
    pub(crate) fn succeed(mut self, status: Option<u16>, bytes: Option<u64>) {
        let Some(id) = self.id.take() else {
            return;
        };
        let CallContext { policy, tracker } = &*self.context;
        policy
            .calls
            .record(id, AttemptOutcome::Success, policy.clock.now());
        let mut tracker = tracker.lock();
        let now = Instant::now();
        let took_ms = (now - self.started).as_secs_f64() * 1000.0;
        let ended = CompletedRequest {
            took_ms,
            attempt_ms: Some(took_ms),
            ok: true,
            error_type: None,
            status,
            bytes,
        };
        tracker.record(&ended, now);
    }

    /// Its number.
    pub(crate) fn id(&self) -> Option<u32> {
        self.id
    }

    /// Leaves the call to JavaScript, which ends it: its number.
    pub(crate) fn hand_over(mut self) -> u32 {
        self.id.take().unwrap_or_default()
    }
}

impl Drop for AdmittedCall {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let policy = &self.context.policy;
            policy.calls.cancel(id, policy.clock.now());
        }
    }
}
