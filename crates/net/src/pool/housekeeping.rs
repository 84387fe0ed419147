//! The housekeeping loop of a pool: acts when something becomes due, otherwise sleeps.

use std::sync::{Arc, Weak};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    Connect,
    events::Event,
    guards::ReservedSlot,
    inner::{PoolInner, now},
};

/// The next step of the loop.
enum Step {
    SleepUntil(Instant),
    WaitForWakeup,
    Stop,
}

/// Starts the loop. It does not keep the pool alive, and ends with it.
pub(super) fn start<C: Connect>(inner: &Arc<PoolInner<C>>) {
    let pool = Arc::downgrade(inner);
    let wakeup = Arc::clone(&inner.wakeup);
    inner.runtime.spawn(housekeeping_loop(pool, wakeup));
}

async fn housekeeping_loop<C: Connect>(pool: Weak<PoolInner<C>>, wakeup: Arc<Notify>) {
    loop {
        let next = pool.upgrade().map_or(Step::Stop, |inner| inner.run_due());
        match next {
            Step::SleepUntil(next_wakeup) => tokio::select! {
                () = sleep_until(next_wakeup) => {}
                () = wakeup.notified() => {}
            },
            Step::WaitForWakeup => wakeup.notified().await,
            Step::Stop => return,
        }
    }
}

impl<C: Connect> PoolInner<C> {
    /// Does everything that is due.
    fn run_due(self: &Arc<Self>) -> Step {
        let now = now();
        let mut locked = self.state();
        let state = &mut *locked;
        let expired = state.ledger.expire(now);
        let expired = expired
            .iter()
            .filter_map(|ticket| state.waiters.remove(ticket))
            .collect();
        let outdated = state.ledger.sweep(now);
        let outdated: Vec<_> = outdated
            .into_iter()
            .map(|lease| (lease, state.remove(lease)))
            .collect();
        let leaks = state.ledger.report_leaks(now);
        let missing: Vec<_> = std::iter::from_fn(|| state.ledger.warm(now)).collect();
        state.next_wakeup = state.ledger.next_due(now).map(Instant::from_std);
        let (next_wakeup, drained) = (state.next_wakeup, state.ledger.is_drained());
        drop(locked);

        self.time_out(expired);
        for (lease, connection) in outdated {
            self.close(lease, connection);
        }
        for leak in leaks {
            self.emit(|| Event::Leak {
                lease: leak.lease,
                held: leak.held,
            });
        }
        for lease in missing {
            self.warm_up(ReservedSlot::new(Arc::clone(self), lease));
        }
        match next_wakeup {
            _ if drained => Step::Stop,
            Some(next_wakeup) => Step::SleepUntil(next_wakeup),
            None => Step::WaitForWakeup,
        }
    }

    /// Opens a connection ahead of any borrower, for the minimum.
    fn warm_up(self: &Arc<Self>, reserved: ReservedSlot<C>) {
        let inner = Arc::clone(self);
        self.runtime.spawn(async move {
            // An opened connection is released by being dropped.
            if let Err(failure) = inner.open(reserved).await {
                inner.emit(|| Event::Error(failure));
                // The ledger now knows when to try again; without this the loop would not wake up for it.
                inner.wakeup.notify_one();
            }
        });
    }
}
