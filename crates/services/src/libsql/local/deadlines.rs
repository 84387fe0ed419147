//! The deadlines of a pool's flights, kept by one task that sleeps until the next of them.

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
    error::{aborted, timed_out},
    local::in_flight::InFlight,
};

/// A flight that is over stays in its place until the next one of that connection, or the alarm, finds it
/// there: taking it out would cost every operation what hardly any needs.
pub(in crate::libsql) struct Deadlines {
    watched: Mutex<Watched>,
    nudge: Arc<Notify>,
    runtime: Handle,
    ended: CancellationToken,
}

type Watch = (Option<Instant>, Arc<InFlight>);

#[derive(Default)]
struct Watched {
    /// By the lease's slot, as one connection runs one thing at a time; more than one where a borrower
    /// does not wait for its own operations.
    flights: Vec<VecDeque<Watch>>,
    /// Until when the task sleeps; `None` when only a nudge wakes it.
    alarm: Option<Instant>,
    started: bool,
}

impl Deadlines {
    /// None yet; when `ended` fires, all there are then are cut off.
    pub(in crate::libsql) fn new(runtime: Handle, ended: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            watched: Mutex::default(),
            nudge: Arc::new(Notify::new()),
            runtime,
            ended,
        })
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        lock(&self.watched)
    }

    /// Cuts `flight` off when its patience is at an end.
    pub(in crate::libsql) fn watch(self: &Arc<Self>, lease: Lease, flight: &Arc<InFlight>) {
        let deadline = flight
            .patience
            .time
            .get()
            .map(|patience| Instant::now() + patience);
        let slot = lease.slot as usize;
        let mut watched = self.watched();
        if watched.flights.len() <= slot {
            watched.flights.resize_with(slot + 1, VecDeque::new);
        }
        let flights = &mut watched.flights[slot];
        // They end in order, but for those that are cut.
        while flights.front().is_some_and(|(_, flight)| flight.is_over()) {
            flights.pop_front();
        }
        flights.push_back((deadline, Arc::clone(flight)));
        let sooner = deadline.is_some_and(|at| watched.alarm.is_none_or(|alarm| at < alarm));
        if sooner {
            watched.alarm = deadline;
        }
        let first = !std::mem::replace(&mut watched.started, true);
        drop(watched);
        if first {
            let (nudge, ended) = (Arc::clone(&self.nudge), self.ended.clone());
            self.runtime.spawn(keep(Arc::downgrade(self), nudge, ended));
        } else if sooner {
            self.nudge.notify_one();
        }
    }

    /// Cuts off what is due and answers until when to sleep.
    fn check(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut watched = self.watched();
        let mut due = Vec::new();
        for flights in &mut watched.flights {
            flights.retain(|(deadline, flight)| {
                let late = deadline.is_some_and(|at| at <= now);
                if late {
                    due.push(Arc::clone(flight));
                }
                !late && !flight.is_over()
            });
        }
        let deadlines = watched.flights.iter().flatten();
        watched.alarm = deadlines.filter_map(|(deadline, _)| *deadline).min();
        let alarm = watched.alarm;
        drop(watched);
        for flight in due {
            flight.cut(timed_out(flight.patience));
        }
        alarm
    }

    fn cut_all(&self) {
        let flights = std::mem::take(&mut self.watched().flights);
        for (_, flight) in flights.into_iter().flatten() {
            flight.cut(aborted());
        }
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        // The task sleeps on its own reference to the bell; this lets it see that the pool is gone.
        self.nudge.notify_one();
    }
}

async fn keep(deadlines: Weak<Deadlines>, nudge: Arc<Notify>, ended: CancellationToken) {
    loop {
        let Some(next) = deadlines.upgrade().map(|deadlines| deadlines.check()) else {
            return;
        };
        let alarm = async {
            match next {
                Some(at) => time::sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = alarm => {}
            () = nudge.notified() => {}
            () = ended.cancelled() => {
                if let Some(deadlines) = deadlines.upgrade() {
                    deadlines.cut_all();
                }
                return;
            }
        }
    }
}
