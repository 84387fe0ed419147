//! An operation in flight on the thread of a local connection.
//!
//! It ends once: on its thread, at its deadline, or because its caller has gone. It does not involve the
//! runtime, so that a short statement costs two wake-ups, there and back, and no more.

use std::sync::{Arc, Mutex};

use moorline_core::{
    error::{Failure, Outcome},
    limit::TimeLimit,
    pool::Lease,
    sync::lock,
};

use crate::libsql::{
    connect::Connection,
    error::{SERVICE, abort_failure},
    local::{Job, LocalConnection},
    operation::Results,
    service::{Call, LibsqlPool},
};

/// The callback for the outcome, called on the thread on which the operation ends.
pub type Reply = Box<dyn FnOnce(Outcome<Results>) + Send>;

/// The lease an operation runs on.
#[derive(Clone, Copy)]
pub(in crate::libsql) struct LeaseUse {
    pub(in crate::libsql) lease: Lease,
    /// Whether it was acquired for this operation alone and is released at its end.
    pub(in crate::libsql) release_after: bool,
}

/// An operation in flight, shared by the thread, the deadlines and the caller, each of which may end it.
pub(in crate::libsql) struct InFlight {
    operation: &'static str,
    pub(in crate::libsql) timeout: TimeLimit,
    completion: Mutex<Option<Completion>>,
}

/// The means to end an operation. Taking it out of `InFlight` ends the operation, so it ends once.
struct Completion {
    pool: Arc<LibsqlPool>,
    connection: Arc<LocalConnection>,
    lease_use: LeaseUse,
    reply: Reply,
}

impl InFlight {
    /// Submits a call to the thread of the leased connection; true when that is spinning and expected to be quick.
    /// Returns the call when the lease is not held.
    pub(in crate::libsql) fn submit(
        pool: &Arc<LibsqlPool>,
        lease_use: LeaseUse,
        call: Call,
    ) -> Result<(Arc<Self>, bool), Call> {
        let begun = pool.pool.with(lease_use.lease, Connection::begin_local);
        let Some((connection, guard)) = begun.ok().flatten() else {
            return Err(call);
        };
        let in_flight = Arc::new(Self {
            operation: call.operation.name(),
            timeout: pool.timeout(call.timeout),
            completion: Mutex::new(Some(Completion {
                pool: Arc::clone(pool),
                connection: Arc::clone(&connection),
                lease_use,
                reply: call.reply,
            })),
        });
        pool.deadlines.insert(lease_use.lease, &in_flight);
        let is_quick = connection.submit(Job {
            operation: Some(call.operation),
            mode: pool.int_mode,
            guard: Some(guard),
            in_flight: Arc::clone(&in_flight),
        });
        Ok((in_flight, is_quick))
    }

    fn take(&self) -> Option<Completion> {
        lock(&self.completion).take()
    }

    /// Whether it has ended.
    pub(in crate::libsql) fn is_over(&self) -> bool {
        lock(&self.completion).is_none()
    }

    /// Ends it with its outcome. The connection is released first, since the caller may acquire again at once.
    pub(in crate::libsql) fn complete(&self, outcome: Outcome<Results>) {
        let Some(completion) = self.take() else {
            return;
        };
        if completion.lease_use.release_after {
            completion.connection.on_release();
            completion.pool.release(completion.lease_use.lease);
        }
        (completion.reply)(outcome.map_err(|failure| failure.during(SERVICE, self.operation)));
    }

    /// Ends it while it runs. The state of the connection is then unknown, so it is discarded.
    pub(in crate::libsql) fn abort(&self, failure: Failure) {
        let Some(completion) = self.take() else {
            return;
        };
        // After the completion was taken: a job that begins later sees that, one that runs sees the interrupt. A lease
        // that was released in between is not discarded: another borrower's statement may run on the connection.
        if completion.pool.pool.discard(completion.lease_use.lease) {
            completion.connection.abandon();
            completion.connection.interrupt();
        }
        (completion.reply)(Err(failure.during(SERVICE, self.operation)));
    }
}

/// Aborts the operation when the caller stops waiting.
pub(in crate::libsql) struct AbortOnDrop(pub(in crate::libsql) Arc<InFlight>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort(abort_failure());
    }
}
