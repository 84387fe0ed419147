//! A call of a connection: admitted by its policy and counted by its tracker, without a crossing for either.

use std::{sync::Arc, time::Instant};

use moorline_core::{
    connection::tracker::{CompletedRequest, Tracker},
    limit::Limit,
    resilience::outcome::AttemptOutcome,
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
        let started = Instant::now();
        let id = context.policy.admit_at(None, Limit::Off, started)?;
        Some(Self {
            context: Arc::clone(context),
            id: Some(id),
            started,
        })
    }

    /// Ends the call: its one attempt succeeded, with an HTTP status.
    pub(crate) fn succeed(self, status: u16) {
        let context = Arc::clone(&self.context);
        self.end(
            Some(status),
            None,
            &mut context.tracker.lock(),
            Instant::now(),
        );
    }

    /// Ends calls of `context`, which succeeded at the same time by sending so many bytes each.
    pub(crate) fn succeed_all(context: &CallContext, calls: impl IntoIterator<Item = (Self, u64)>) {
        let (mut tracker, now) = (context.tracker.lock(), Instant::now());
        for (call, bytes) in calls {
            call.end(None, Some(bytes), &mut tracker, now);
        }
    }

    fn end(mut self, status: Option<u16>, bytes: Option<u64>, tracker: &mut Tracker, now: Instant) {
        let Some(id) = self.id.take() else {
            return;
        };
        let policy = &self.context.policy;
        let ended_at = policy.clock.at(now);
        policy.calls.record(id, AttemptOutcome::Success, ended_at);
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
