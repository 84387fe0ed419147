//! From a question to a connection.

use std::{sync::Arc, time::Duration};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::TimeLimit,
    pool::{Acquire, Refusal, connect_timed_out},
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Connect, Pool,
    events::Event,
    guards::{Borrowed, Place, ReservedSlot, ValidationGuard},
    shared::{Shared, Turn, Waiting, now},
};

/// The first answer to somebody who asks.
enum Asked<C: Connect> {
    Now(Turn<C>),
    Later(Place<C>),
}

impl<C: Connect> Pool<C> {
    /// The fast path: a free connection that was used a moment ago, if there is one. Never waits, never
    /// dials.
    pub fn take(&self) -> Option<Borrowed<C>> {
        let lease = loop {
            let mut books = self.shared.books();
            let lease = books.ledger.take(now())?;
            let connect = &self.shared.connect;
            let usable = books
                .connection(lease)
                .is_some_and(|connection| connect.is_usable(connection));
            drop(books);
            if usable {
                break lease;
            }
            self.shared.release(lease, false);
        };
        self.shared.tell(|| Event::Acquire {
            lease,
            waited: Duration::ZERO,
        });
        Some(Borrowed::new(Arc::clone(&self.shared), lease))
    }

    /// A connection, after waiting for a free one no longer than the acquire timeout. Dropping the future
    /// and firing `cancel` give up the same way, at any point.
    ///
    /// Fails with kind `pool-timeout` when the wait is over, `closed` when the pool shuts down,
    /// `overloaded` when too many wait, and as the service's `connect` fails.
    ///
    /// Called, it has its place in the queue at once, whenever the future is polled: who calls first is served first.
    pub fn acquire(
        &self,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Outcome<Borrowed<C>>> + Send + use<C> {
        self.acquire_within(self.shared.settings.acquire_timeout(), cancel)
    }

    /// The same with a wait of its own.
    pub fn acquire_within(
        &self,
        wait: TimeLimit,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Outcome<Borrowed<C>>> + Send + use<C> {
        let (shared, cancel) = (Arc::clone(&self.shared), cancel.clone());
        let began = Instant::now();
        let asked = (!cancel.is_cancelled()).then(|| shared.ask(wait));
        async move {
            let cancelled = || Err(Failure::new(Kind::Closed, "The call was cancelled"));
            let Some(asked) = asked else {
                return cancelled();
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => cancelled(),
                answer = shared.answer(asked, began) => answer,
            }
        }
    }
}

impl<C: Connect> Shared<C> {
    async fn answer(self: &Arc<Self>, asked: Asked<C>, began: Instant) -> Outcome<Borrowed<C>> {
        let turn = match asked {
            Asked::Now(turn) => turn,
            Asked::Later(place) => place.turn().await,
        };
        let borrowed = match turn {
            Turn::Ready(borrowed, validate) => self.ensure_alive(borrowed, validate).await?,
            Turn::Create(reserved) => self.open(reserved).await?,
            Turn::Refused(failure) => return Err(failure),
        };
        self.tell(|| Event::Acquire {
            lease: borrowed.lease(),
            waited: began.elapsed(),
        });
        Ok(borrowed)
    }

    fn ask(self: &Arc<Self>, wait: TimeLimit) -> Asked<C> {
        let mut books = self.books();
        match books.ledger.acquire_within(now(), wait.time) {
            Acquire::Ready { lease, validate } => Asked::Now(Turn::Ready(
                Borrowed::new(Arc::clone(self), lease),
                validate,
            )),
            Acquire::Create(lease) => {
                if books.alarm.is_none() {
                    self.wakeup.notify_one();
                }
                Asked::Now(Turn::Create(ReservedSlot::new(Arc::clone(self), lease)))
            }
            Acquire::Wait { ticket, deadline } => {
                let (sender, receiver) = oneshot::channel();
                books.waiting.insert(ticket, Waiting { sender, wait });
                let sooner = |at| {
                    books
                        .alarm
                        .is_none_or(|alarm| Instant::from_std(at) < alarm)
                };
                if deadline.is_some_and(sooner) {
                    self.wakeup.notify_one();
                }
                Asked::Later(Place::new(Arc::clone(self), ticket, receiver))
            }
            Acquire::Refused(refusal) => Asked::Now(Turn::Refused(refusal.failure())),
        }
    }

    /// Checks a connection that may be dead, and replaces it when it is.
    async fn ensure_alive(
        self: &Arc<Self>,
        borrowed: Borrowed<C>,
        validate: bool,
    ) -> Outcome<Borrowed<C>> {
        let looks_alive = borrowed.with(|connection| self.connect.is_usable(connection));
        if looks_alive == Some(true) && !validate {
            return Ok(borrowed);
        }
        let closed = || Refusal::Closed.failure();
        let mut checking = ValidationGuard::begin(borrowed).ok_or_else(closed)?;
        if looks_alive == Some(true) && self.answers(&mut checking).await {
            return checking.passed().ok_or_else(closed);
        }
        let gone = checking.failed().ok_or_else(closed)?;
        // An error here means that saying goodbye panicked; the slot is free again.
        let reserved = gone.await.map_err(|_| Failure::defect())?;
        self.open(reserved).await
    }

    async fn answers(&self, checking: &mut ValidationGuard<C>) -> bool {
        let Some(connection) = checking.connection() else {
            return false;
        };
        let check = timeout(
            self.settings.validate_timeout,
            self.connect.validate(connection),
        );
        tokio::select! {
            biased;
            () = self.cut.cancelled() => false,
            answer = check => matches!(answer, Ok(Ok(()))),
        }
    }

    /// Opens a connection for a reserved slot. Whatever ends this early frees the slot for the next waiter.
    pub(super) async fn open(&self, reserved: ReservedSlot<C>) -> Outcome<Borrowed<C>> {
        let began = Instant::now();
        let limit = self.settings.connect_timeout;
        let connection = tokio::select! {
            biased;
            () = self.cut.cancelled() => return Err(Refusal::Closed.failure()),
            opened = timeout(limit, self.connect.connect()) => opened.map_err(|_| {
                connect_timed_out(limit, self.settings.names.connect)
            })??,
        };
        let lease = reserved.lease();
        let borrowed = reserved.open(connection)?;
        self.tell(|| Event::Create {
            lease,
            took: began.elapsed(),
        });
        Ok(borrowed)
    }
}
