//! How a pool ends.

use std::{sync::Arc, time::Duration};

use moorline_core::{
    limit::Limit,
    pool::{Refusal, Shutdown},
};
use tokio::time::timeout;

use super::{
    Connect, Pool,
    events::Event,
    shared::{Shared, Turn},
};

impl<C: Connect> Pool<C> {
    /// Ends the pool: newcomers and waiters are refused, borrowers may finish. Those that have not after
    /// `patience` lose their connections. Ready when the last connection is gone; true when nobody had to
    /// be cut off. It can be called again, and each call has its own patience.
    pub async fn drain(&self, patience: Limit<Duration>) -> bool {
        let shared = &self.shared;
        let shutdown = shared.books().ledger.drain();
        shared.tell(|| Event::Drain);
        shared.shut_down(shutdown);
        if within(patience, shared.gone.cancelled()).await {
            return true;
        }
        shared.cut.cancel();
        let (in_use, shutdown) = {
            let mut books = shared.books();
            let in_use = books.ledger.stats().in_use;
            (in_use, books.ledger.force_close())
        };
        shared.shut_down(shutdown);
        // Each goodbye is bounded already; twice that bounds what a borrower that is never polled again
        // could still hold up.
        let last_wait = Limit::At(shared.settings.close_timeout * 2);
        within(last_wait, shared.gone.cancelled()).await;
        in_use == 0
    }
}

impl<C: Connect> Shared<C> {
    fn shut_down(self: &Arc<Self>, shutdown: Shutdown) {
        let mut books = self.books();
        let refused: Vec<_> = shutdown
            .refused
            .iter()
            .filter_map(|ticket| books.waiting.remove(ticket))
            .collect();
        let ended: Vec<_> = shutdown
            .close
            .into_iter()
            .map(|lease| (lease, books.remove(lease)))
            .collect();
        drop(books);
        for waiting in refused {
            let _ = waiting
                .sender
                .send(Turn::Refused(Refusal::Draining.failure()));
        }
        for (lease, connection) in ended {
            self.close(lease, connection);
        }
        // Nothing may have been open at all.
        self.vacated(|_, _| None);
    }
}

/// Whether `done` came in time.
async fn within(patience: Limit<Duration>, done: impl Future<Output = ()>) -> bool {
    match patience {
        Limit::At(patience) => timeout(patience, done).await.is_ok(),
        Limit::Off => {
            done.await;
            true
        }
    }
}
