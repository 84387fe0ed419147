//! The one task of a pool: it acts when something becomes due, and otherwise sleeps.

use std::sync::{Arc, Weak};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    Connect,
    events::Event,
    guards::ReservedSlot,
    shared::{Shared, now},
};

/// What the housekeeper does next.
enum Next {
    SleepUntil(Instant),
    WaitForNudge,
    Stop,
}

/// Starts the housekeeper. It does not keep the pool alive, and ends with it.
pub(super) fn start<C: Connect>(shared: &Arc<Shared<C>>) {
    let pool = Arc::downgrade(shared);
    let wakeup = Arc::clone(&shared.wakeup);
    shared.runtime.spawn(housekeeping_loop(pool, wakeup));
}

async fn housekeeping_loop<C: Connect>(pool: Weak<Shared<C>>, wakeup: Arc<Notify>) {
    loop {
        let next = pool.upgrade().map_or(Next::Stop, |shared| shared.run_due());
        match next {
            Next::SleepUntil(alarm) => tokio::select! {
                () = sleep_until(alarm) => {}
                () = wakeup.notified() => {}
            },
            Next::WaitForNudge => wakeup.notified().await,
            Next::Stop => return,
        }
    }
}

impl<C: Connect> Shared<C> {
    /// Does everything that is due.
    fn run_due(self: &Arc<Self>) -> Next {
        let now = now();
        let mut guard = self.books();
        let books = &mut *guard;
        let late = books.ledger.expire(now);
        let late = late
            .iter()
            .filter_map(|ticket| books.waiting.remove(ticket))
            .collect();
        let stale = books.ledger.sweep(now);
        let stale: Vec<_> = stale
            .into_iter()
            .map(|lease| (lease, books.remove(lease)))
            .collect();
        let leaks = books.ledger.leaks(now);
        let missing: Vec<_> = std::iter::from_fn(|| books.ledger.warm(now)).collect();
        books.alarm = books.ledger.next_due(now).map(Instant::from_std);
        let (alarm, drained) = (books.alarm, books.ledger.is_drained());
        drop(guard);

        self.time_out(late);
        for (lease, connection) in stale {
            self.close(lease, connection);
        }
        for leak in leaks {
            self.tell(|| Event::Leak {
                lease: leak.lease,
                held: leak.held,
            });
        }
        for lease in missing {
            self.warm_up(ReservedSlot::new(Arc::clone(self), lease));
        }
        match alarm {
            _ if drained => Next::Stop,
            Some(alarm) => Next::SleepUntil(alarm),
            None => Next::WaitForNudge,
        }
    }

    /// Opens a connection nobody asked for yet.
    fn warm_up(self: &Arc<Self>, reserved: ReservedSlot<C>) {
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            // What was opened is released by being dropped.
            if let Err(failure) = shared.open(reserved).await {
                shared.tell(|| Event::Error(failure));
                // The ledger now knows when to try again; without this nobody would wake up for it.
                shared.wakeup.notify_one();
            }
        });
    }
}
