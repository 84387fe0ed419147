//! Acquiring a connection: fast path, queue, validation, opening.

use std::{sync::Arc, time::Duration};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::TimeLimit,
    pool::{Acquire, Refusal, acquire_timed_out, connect_timed_out},
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Connect, Pool,
    events::Event,
    guards::{DetachedConnection, PooledConnection, QueuedWaiter, ReservedSlot},
    inner::{AcquireOutcome, PoolInner, Waiter, completes_in, now},
};

/// The state of an acquire after its first, synchronous step.
enum AcquireStart<C: Connect> {
    Ready(AcquireOutcome<C>),
    Queued(QueuedWaiter<C>),
}

impl<C: Connect> Pool<C> {
    /// The fast path: an idle connection that needs no check, if there is one. Never waits, never dials.
    pub fn take(&self) -> Option<PooledConnection<C>> {
        let lease = loop {
            let mut state = self.inner.state();
            let lease = state.ledger.take(now())?;
            let connect = &self.inner.connect;
            let usable = state
                .connection(lease)
                .is_some_and(|connection| connect.is_usable(connection));
            drop(state);
            if usable {
                break lease;
            }
            self.inner.release(lease, false);
        };
        self.inner.emit(|| Event::Acquire {
            lease,
            waited: Duration::ZERO,
        });
        Some(PooledConnection::new(Arc::clone(&self.inner), lease))
    }

    /// A connection, after waiting for a free one no longer than the acquire timeout. Dropping the future
    /// and firing `cancel` give up the same way, at any point.
    ///
    /// Fails with kind `pool-timeout` when the wait is over, `closed` when the pool shuts down,
    /// `overloaded` when too many wait, and as the service's `connect` fails.
    ///
    /// The place in the queue is taken by the call, not by the first poll of the future: calls are served in their
    /// order.
    pub fn acquire(
        &self,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Outcome<PooledConnection<C>>> + Send + use<C> {
        self.acquire_within(self.inner.config.acquire_timeout(), cancel)
    }

    /// The same with its own limit of the wait.
    pub fn acquire_within(
        &self,
        wait: TimeLimit,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Outcome<PooledConnection<C>>> + Send + use<C> {
        let (inner, cancel) = (Arc::clone(&self.inner), cancel.clone());
        let began = Instant::now();
        let start = (!cancel.is_cancelled()).then(|| inner.start_acquire(wait));
        async move {
            let cancelled = || Err(Failure::new(Kind::Closed, "The call was cancelled"));
            let Some(start) = start else {
                return cancelled();
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => cancelled(),
                answer = inner.finish_acquire(start, began) => answer,
            }
        }
    }
}

impl<C: Connect> PoolInner<C> {
    async fn finish_acquire(
        self: &Arc<Self>,
        start: AcquireStart<C>,
        began: Instant,
    ) -> Outcome<PooledConnection<C>> {
        let outcome = match start {
            AcquireStart::Ready(outcome) => outcome,
            AcquireStart::Queued(place) => place.outcome().await,
        };
        let borrowed = match outcome {
            AcquireOutcome::Ready(borrowed, validate) => {
                self.ensure_alive(borrowed, validate).await?
            }
            AcquireOutcome::Create(reserved) => self.open(reserved).await?,
            AcquireOutcome::Refused(failure) => return Err(failure),
        };
        self.emit(|| Event::Acquire {
            lease: borrowed.lease(),
            waited: began.elapsed(),
        });
        Ok(borrowed)
    }

    fn start_acquire(self: &Arc<Self>, wait: TimeLimit) -> AcquireStart<C> {
        let mut state = self.state();
        match state.ledger.acquire_within(now(), wait.time) {
            Acquire::Ready { lease, validate } => AcquireStart::Ready(AcquireOutcome::Ready(
                PooledConnection::new(Arc::clone(self), lease),
                validate,
            )),
            Acquire::Create(lease) => {
                if state.next_wakeup.is_none() {
                    self.wakeup.notify_one();
                }
                AcquireStart::Ready(AcquireOutcome::Create(ReservedSlot::new(
                    Arc::clone(self),
                    lease,
                )))
            }
            Acquire::Wait { ticket, deadline } => {
                let (sender, receiver) = oneshot::channel();
                state.waiters.insert(ticket, Waiter { sender, wait });
                let sooner = |at| {
                    state
                        .next_wakeup
                        .is_none_or(|next_wakeup| Instant::from_std(at) < next_wakeup)
                };
                if deadline.is_some_and(sooner) {
                    self.wakeup.notify_one();
                }
                AcquireStart::Queued(QueuedWaiter::new(Arc::clone(self), ticket, receiver))
            }
            Acquire::Refused(refusal) => {
                AcquireStart::Ready(AcquireOutcome::Refused(refusal.failure()))
            }
        }
    }

    /// Checks a connection that may be dead, and replaces it when it is.
    async fn ensure_alive(
        self: &Arc<Self>,
        borrowed: PooledConnection<C>,
        validate: bool,
    ) -> Outcome<PooledConnection<C>> {
        let looks_alive = borrowed.with(|connection| self.connect.is_usable(connection));
        if looks_alive == Some(true) && !validate {
            return Ok(borrowed);
        }
        let closed = || Refusal::Closed.failure();
        let mut guard = DetachedConnection::begin(borrowed).ok_or_else(closed)?;
        if looks_alive == Some(true) && self.run_validation(&mut guard).await {
            return guard.pass().ok_or_else(closed);
        }
        let slot_after_close = guard.fail().ok_or_else(closed)?;
        // An error here means that closing it panicked; the slot is free again.
        let reserved = slot_after_close.await.map_err(|_| Failure::defect())?;
        self.open(reserved).await
    }

    async fn run_validation(&self, guard: &mut DetachedConnection<C>) -> bool {
        let Some(connection) = guard.connection() else {
            return false;
        };
        let check = timeout(
            self.config.validate_timeout,
            self.connect.validate(connection),
        );
        tokio::select! {
            biased;
            () = self.abort.cancelled() => false,
            answer = check => matches!(answer, Ok(Ok(()))),
        }
    }

    /// Opens a connection for a reserved slot. Whatever ends this early frees the slot for the next waiter.
    pub(super) async fn open(&self, reserved: ReservedSlot<C>) -> Outcome<PooledConnection<C>> {
        let began = Instant::now();
        let connection = tokio::select! {
            biased;
            () = self.abort.cancelled() => return Err(Refusal::Closed.failure()),
            connection = self.dial() => connection?,
        };
        let lease = reserved.lease();
        let borrowed = reserved.fill(connection)?;
        self.emit(|| Event::Create {
            lease,
            took: began.elapsed(),
        });
        Ok(borrowed)
    }

    /// Opens a connection, as one of the few that are opened at once.
    async fn dial(&self) -> Outcome<C::Connection> {
        let wait = self.config.acquire_timeout();
        let permit = completes_in(wait.time, self.dials.acquire()).await;
        // The permits are never closed, so a failure is the end of the wait.
        let Some(Ok(_permit)) = permit else {
            return Err(acquire_timed_out(wait));
        };
        let limit = self.config.connect_timeout;
        let opened = timeout(limit, self.connect.connect()).await;
        opened.map_err(|_| connect_timed_out(limit, self.config.names.connect))?
    }
}
