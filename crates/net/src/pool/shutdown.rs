//! The orderly end of a pool.

use std::{future::Future, sync::Arc, time::Duration};

use super::{
    Connect, Pool,
    events::Event,
    inner::{AcquireOutcome, PoolInner, completes_in},
};
use moorline_core::{
    limit::Limit,
    pool::{Refusal, Shutdown},
};

impl<C: Connect> Pool<C> {
    /// Ends the pool: newcomers and waiters are refused from the call on, borrowers may finish. Those that have not after
    /// `timeout` lose their connections. Ready when the last connection is gone; true when no borrower had
    /// to be cut off. It can be called again, and each call has its own timeout.
    pub fn drain(&self, timeout: Limit<Duration>) -> impl Future<Output = bool> + Send + use<C> {
        let inner = Arc::clone(&self.inner);
        let shutdown = inner.state().ledger.drain();
        inner.emit(|| Event::Drain);
        inner.shut_down(shutdown);
        async move {
            if completes_in(timeout, inner.termination.cancelled())
                .await
                .is_some()
            {
                return true;
            }
            inner.abort.cancel();
            let (in_use, shutdown) = {
                let mut state = inner.state();
                let in_use = state.ledger.stats().in_use;
                (in_use, state.ledger.force_close())
            };
            inner.shut_down(shutdown);
            // Each close is bounded already; twice that bounds the wait for a borrower that is never polled again.
            let close_timeout = Limit::At(inner.config.close_timeout * 2);
            completes_in(close_timeout, inner.termination.cancelled()).await;
            in_use == 0
        }
    }
}

impl<C: Connect> PoolInner<C> {
    fn shut_down(self: &Arc<Self>, shutdown: Shutdown) {
        let mut state = self.state();
        let refused: Vec<_> = shutdown
            .refused
            .iter()
            .filter_map(|ticket| state.waiters.remove(ticket))
            .collect();
        let ended: Vec<_> = shutdown
            .to_close
            .into_iter()
            .map(|lease| (lease, state.remove(lease)))
            .collect();
        drop(state);
        for waiter in refused {
            let _ = waiter
                .sender
                .send(AcquireOutcome::Refused(Refusal::Draining.failure()));
        }
        for (lease, connection) in ended {
            self.close(lease, connection);
        }
        // Nothing may have been open at all.
        self.on_vacated(|_, _| None);
    }
}
