//! An operation under way on the thread of a local connection.
//!
//! It ends once: on its thread, at its deadline, or because its caller has gone. Nothing of it touches the
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
    error::{SERVICE, aborted},
    local::{Job, LocalConnection},
    operation::Results,
    service::{Call, LibsqlPool},
};

/// Hears the outcome, on whichever thread it came about.
pub type Reply = Box<dyn FnOnce(Outcome<Results>) + Send>;

/// Which lease an operation runs on.
#[derive(Clone, Copy)]
pub(in crate::libsql) struct LeaseUse {
    pub(in crate::libsql) lease: Lease,
    /// Borrowed for this operation alone: given back at its end.
    pub(in crate::libsql) once: bool,
}

/// Shared by the thread, the deadlines and whoever may cut it off.
pub(in crate::libsql) struct InFlight {
    operation: &'static str,
    pub(in crate::libsql) patience: TimeLimit,
    landing: Mutex<Option<Completion>>,
}

/// What the end of a flight needs; whoever takes it out ends the flight.
struct Completion {
    pool: Arc<LibsqlPool>,
    connection: Arc<LocalConnection>,
    seat: LeaseUse,
    reply: Reply,
}

impl InFlight {
    /// Hands a call to the thread of the connection in `seat`; true when that is awake and expected to be
    /// quick. The call comes back when the lease is not held.
    pub(in crate::libsql) fn launch(
        pool: &Arc<LibsqlPool>,
        seat: LeaseUse,
        call: Call,
    ) -> Result<(Arc<Self>, bool), Call> {
        let begun = pool.pool.with(seat.lease, Connection::begin_local);
        let Some((connection, running)) = begun.ok().flatten() else {
            return Err(call);
        };
        let flight = Arc::new(Self {
            operation: call.operation.name(),
            patience: pool.patience(call.timeout),
            landing: Mutex::new(Some(Completion {
                pool: Arc::clone(pool),
                connection: Arc::clone(&connection),
                seat,
                reply: call.reply,
            })),
        });
        pool.deadlines.watch(seat.lease, &flight);
        let soon = connection.submit(Job {
            operation: Some(call.operation),
            mode: pool.int_mode,
            running: Some(running),
            flight: Arc::clone(&flight),
        });
        Ok((flight, soon))
    }

    fn take(&self) -> Option<Completion> {
        lock(&self.landing).take()
    }

    /// Whether nobody waits for it any more.
    pub(in crate::libsql) fn is_over(&self) -> bool {
        lock(&self.landing).is_none()
    }

    /// It came to its own end. The connection is free before its caller hears of it, who may ask for it again.
    pub(in crate::libsql) fn land(&self, outcome: Outcome<Results>) {
        let Some(landing) = self.take() else {
            return;
        };
        if landing.seat.once {
            landing.connection.give_back();
            landing.pool.release(landing.seat.lease);
        }
        (landing.reply)(outcome.map_err(|failure| failure.during(SERVICE, self.operation)));
    }

    /// Ends it in the middle. Nobody knows where the connection stands, so it is discarded.
    pub(in crate::libsql) fn cut(&self, failure: Failure) {
        let Some(landing) = self.take() else {
            return;
        };
        // After the landing was taken: a job that begins later sees that, one that runs sees the interrupt.
        // When it was given back in between, nothing of it runs any more, but perhaps somebody else's statement does.
        if landing.pool.pool.discard(landing.seat.lease) {
            landing.connection.abandon();
            landing.connection.interrupt();
        }
        (landing.reply)(Err(failure.during(SERVICE, self.operation)));
    }
}

/// Cuts its flight off when the caller stops waiting.
pub(in crate::libsql) struct AbortOnDrop(pub(in crate::libsql) Arc<InFlight>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.cut(aborted());
    }
}
