//! The deadlines of a pool's operations in flight, kept by one task.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Instant,
};

use moorline_core::{pool::Lease, sync::lock};
use tokio::{runtime::Handle, sync::Notify, time};
use tokio_util::sync::CancellationToken;

use crate::libsql::{
    error::{abort_failure, timeout_failure},
    local::in_flight::InFlight,
};

/// The deadlines of one pool. An operation that has ended stays listed until the next one of that connection, or the
/// task, removes it: to remove it at its end would cost every operation a lock.
pub(in crate::libsql) struct Deadlines {
    state: Mutex<DeadlineState>,
    wakeup: Arc<Notify>,
    runtime: Handle,
    closed: CancellationToken,
}

type Entry = (Option<Instant>, Arc<InFlight>);

#[derive(Default)]
struct DeadlineState {
    /// By the lease's slot, as one connection runs one thing at a time; more than one where a borrower
    /// does not wait for its own operations.
    operations: Vec<VecDeque<Entry>>,
    /// Until when the task sleeps; `None` when only a notification wakes it.
    next_wakeup: Option<Instant>,
    started: bool,
}

impl Deadlines {
    /// No deadlines yet; when `closed` fires, all operations listed then are aborted.
    pub(in crate::libsql) fn new(runtime: Handle, closed: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            wakeup: Arc::new(Notify::new()),
            runtime,
            closed,
        })
    }

    fn state(&self) -> MutexGuard<'_, DeadlineState> {
        lock(&self.state)
    }

    /// Aborts `operation` when its timeout is over.
    pub(in crate::libsql) fn insert(self: &Arc<Self>, lease: Lease, operation: &Arc<InFlight>) {
        let deadline = operation
            .timeout
            .time
            .get()
            .map(|timeout| Instant::now() + timeout);
        let slot = lease.slot as usize;
        let mut state = self.state();
        if state.operations.len() <= slot {
            state.operations.resize_with(slot + 1, VecDeque::new);
        }
        let operations = &mut state.operations[slot];
        // They end in order, except those that are aborted.
        while operations
            .front()
            .is_some_and(|(_, operation)| operation.is_over())
        {
            operations.pop_front();
        }
        operations.push_back((deadline, Arc::clone(operation)));
        let sooner =
            deadline.is_some_and(|at| state.next_wakeup.is_none_or(|next_wakeup| at < next_wakeup));
        if sooner {
            state.next_wakeup = deadline;
        }
        let first = !std::mem::replace(&mut state.started, true);
        drop(state);
        if first {
            let (wakeup, closed) = (Arc::clone(&self.wakeup), self.closed.clone());
            self.runtime
                .spawn(expiry_loop(Arc::downgrade(self), wakeup, closed));
        } else if sooner {
            self.wakeup.notify_one();
        }
    }

    /// Aborts the operations that are due and returns until when to sleep.
    fn expire(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.state();
        let mut due = Vec::new();
        for operations in &mut state.operations {
            operations.retain(|(deadline, operation)| {
                let late = deadline.is_some_and(|at| at <= now);
                if late {
                    due.push(Arc::clone(operation));
                }
                !late && !operation.is_over()
            });
        }
        let deadlines = state.operations.iter().flatten();
        state.next_wakeup = deadlines.filter_map(|(deadline, _)| *deadline).min();
        let next_wakeup = state.next_wakeup;
        drop(state);
        for operation in due {
            operation.abort(timeout_failure(operation.timeout));
        }
        next_wakeup
    }

    fn abort_all(&self) {
        let operations = std::mem::take(&mut self.state().operations);
        for (_, operation) in operations.into_iter().flatten() {
            operation.abort(abort_failure());
        }
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        // The task waits on its own reference to the notifier; this lets it see that the pool is gone.
        self.wakeup.notify_one();
    }
}

async fn expiry_loop(deadlines: Weak<Deadlines>, wakeup: Arc<Notify>, closed: CancellationToken) {
    loop {
        let Some(next) = deadlines.upgrade().map(|deadlines| deadlines.expire()) else {
            return;
        };
        let next_wakeup = async {
            match next {
                Some(at) => time::sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = next_wakeup => {}
            () = wakeup.notified() => {}
            () = closed.cancelled() => {
                if let Some(deadlines) = deadlines.upgrade() {
                    deadlines.abort_all();
                }
                return;
            }
        }
    }
}
