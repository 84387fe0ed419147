//! Random interleavings of the events of a pool, against an owner of real connections.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

mod script;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use moorline_core::{
    limit::Limit,
    pool::{Acquire, Grant, Lease, Ledger, LedgerConfig, Released, Shutdown, Stats, Ticket},
};
use proptest::prelude::*;
use script::Event;

/// The owner of the connections: what it has must agree with the ledger after every event.
struct Owner {
    ledger: Ledger,
    now: Instant,
    creating: Vec<Lease>,
    held: Vec<Lease>,
    closing: Vec<Lease>,
    /// Slots with an open connection.
    open: HashSet<u32>,
    returned: Vec<Lease>,
    all_leases: HashSet<Lease>,
    queue: VecDeque<(Ticket, Option<Instant>)>,
    reported: HashSet<Lease>,
    since: HashMap<Lease, Instant>,
    shut_down_called: bool,
}

fn pick<T>(from: &mut Vec<T>, number: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(number % from.len()))
}

impl Owner {
    fn new(config: LedgerConfig) -> Self {
        Self {
            ledger: Ledger::with_random(config, fastrand::Rng::with_seed(7)),
            now: Instant::now(),
            creating: Vec::new(),
            held: Vec::new(),
            closing: Vec::new(),
            open: HashSet::new(),
            returned: Vec::new(),
            all_leases: HashSet::new(),
            queue: VecDeque::new(),
            reported: HashSet::new(),
            since: HashMap::new(),
            shut_down_called: false,
        }
    }

    fn record_new(&mut self, lease: Lease) {
        assert!(
            self.all_leases.insert(lease),
            "{lease:?} was handed out twice"
        );
        assert!(
            !self.shut_down_called,
            "{lease:?} was handed out after the end"
        );
    }

    fn on_ready(&mut self, lease: Lease) {
        self.record_new(lease);
        let slot = lease.slot;
        assert!(self.open.contains(&slot), "{lease:?} has no connection");
        assert!(
            self.held.iter().all(|other| other.slot != slot),
            "slot {slot} has two borrowers"
        );
        self.since.insert(lease, self.now);
        self.held.push(lease);
    }

    fn begin_creation(&mut self, lease: Lease) {
        self.record_new(lease);
        assert!(
            !self.open.contains(&lease.slot),
            "{lease:?} would be a second connection"
        );
        self.creating.push(lease);
    }

    fn on_grant(&mut self, grant: Grant) {
        let (Grant::Ready { ticket, .. } | Grant::Create { ticket, .. }) = grant;
        let front = self.queue.pop_front().map(|(ticket, _)| ticket);
        assert_eq!(front, Some(ticket), "a waiter was served out of order");
        match grant {
            Grant::Ready { lease, .. } => self.on_ready(lease),
            Grant::Create { lease, .. } => self.begin_creation(lease),
        }
    }

    fn begin_close(&mut self, lease: Lease) {
        assert!(
            self.open.contains(&lease.slot),
            "{lease:?} has nothing to close"
        );
        self.closing.push(lease);
    }

    fn shut_down(&mut self, shutdown: Shutdown, forced: bool) {
        let waiting: Vec<_> = self.queue.drain(..).map(|(ticket, _)| ticket).collect();
        assert_eq!(shutdown.refused, waiting);
        self.shut_down_called = true;
        for lease in shutdown.to_close {
            let was_held = self.held.contains(&lease);
            assert!(forced || !was_held, "a drain takes nothing from a borrower");
            self.held.retain(|held| *held != lease);
            self.returned.push(lease);
            self.begin_close(lease);
        }
        assert!(!forced || self.held.is_empty());
    }

    fn housekeeping(&mut self) {
        for ticket in self.ledger.expire(self.now) {
            let place = self
                .queue
                .iter()
                .position(|(waiting, _)| *waiting == ticket);
            let (_, deadline) = self.queue.remove(place.unwrap()).unwrap();
            assert!(deadline.unwrap() <= self.now);
        }
        let overdue = |(_, at): &(Ticket, Option<Instant>)| at.is_some_and(|at| at <= self.now);
        assert!(
            !self.queue.iter().any(overdue),
            "a deadline passed unnoticed"
        );
        for lease in self.ledger.sweep(self.now) {
            self.begin_close(lease);
        }
        for leak in self.ledger.report_leaks(self.now) {
            assert!(self.held.contains(&leak.lease));
            assert!(
                self.reported.insert(leak.lease),
                "a leak was reported twice"
            );
            assert_eq!(self.since[&leak.lease] + leak.held, self.now);
        }
        while let Some(lease) = self.ledger.warm(self.now) {
            self.begin_creation(lease);
        }
        let due = self.ledger.next_due(self.now);
        assert!(
            due.is_none_or(|due| due > self.now),
            "housekeeping would spin"
        );
    }

    fn on_created(&mut self, lease: Lease) {
        self.open.insert(lease.slot);
        if self.ledger.on_created(lease, self.now) {
            self.since.insert(lease, self.now);
            self.held.push(lease);
        } else {
            self.begin_close(lease);
        }
    }

    fn release(&mut self, lease: Lease, reusable: bool) {
        self.returned.push(lease);
        match self.ledger.release(lease, self.now, reusable) {
            Released::Idle => assert!(self.queue.is_empty(), "idle beside a waiter"),
            Released::Granted(grant) => self.on_grant(grant),
            Released::Close => self.begin_close(lease),
            Released::UnknownLease => panic!("{lease:?} was held"),
        }
    }

    /// Asserts that no call with a lease that is not held changes anything.
    fn assert_ignored(&mut self, lease: Lease) {
        let before = (self.ledger.stats(), self.ledger.counters());
        assert_eq!(
            self.ledger.release(lease, self.now, true),
            Released::UnknownLease
        );
        assert!(!self.ledger.discard(lease));
        assert!(!self.ledger.recreate(lease));
        assert!(!self.ledger.holds(lease));
        assert_eq!(before, (self.ledger.stats(), self.ledger.counters()));
    }

    fn acquire(&mut self, timeout_ms: u64) {
        let timeout = Limit::At(Duration::from_millis(timeout_ms));
        match self.ledger.acquire_within(self.now, timeout) {
            Acquire::Ready { lease, .. } => self.on_ready(lease),
            Acquire::Create(lease) => self.begin_creation(lease),
            Acquire::Wait { ticket, deadline } => self.queue.push_back((ticket, deadline)),
            Acquire::Refused(_) => {
                let most = self.ledger.config().max_waiters.get().unwrap() as usize;
                assert!(self.shut_down_called || self.queue.len() == most);
            }
        }
    }

    fn borrow_or_return(&mut self, event: &Event) {
        match *event {
            Event::Take => {
                if let Some(lease) = self.ledger.take(self.now) {
                    assert!(self.queue.is_empty(), "a newcomer overtook a waiter");
                    self.on_ready(lease);
                }
            }
            Event::Acquire { timeout_ms } => self.acquire(timeout_ms),
            Event::Cancel(number) if !self.queue.is_empty() => {
                let place = number % self.queue.len();
                let (ticket, _) = self.queue.remove(place).unwrap();
                assert!(self.ledger.cancel(ticket));
                assert!(!self.ledger.cancel(ticket), "one ticket left twice");
            }
            Event::Release { number, reusable } => {
                if let Some(lease) = pick(&mut self.held, number) {
                    self.release(lease, reusable);
                }
            }
            Event::ReleaseAgain(number) if !self.returned.is_empty() => {
                self.assert_ignored(self.returned[number % self.returned.len()]);
            }
            Event::ReleaseUnknown { slot, generation } => {
                self.assert_ignored(Lease { slot, generation });
            }
            _ => {}
        }
    }

    fn open_or_close(&mut self, event: &Event) {
        match *event {
            Event::Created(number) => {
                if let Some(lease) = pick(&mut self.creating, number) {
                    self.on_created(lease);
                }
            }
            Event::CreateFailed(number) => {
                if let Some(lease) = pick(&mut self.creating, number)
                    && let Some(grant) = self.ledger.on_create_failed(lease, self.now)
                {
                    self.on_grant(grant);
                }
            }
            Event::Discard(number) => {
                if let Some(lease) = pick(&mut self.held, number) {
                    assert!(self.ledger.discard(lease));
                    self.returned.push(lease);
                    self.begin_close(lease);
                }
            }
            Event::Recreate(number) => {
                if let Some(lease) = pick(&mut self.held, number) {
                    assert!(self.ledger.recreate(lease));
                    assert!(self.open.remove(&lease.slot));
                    self.reported.remove(&lease);
                    self.creating.push(lease);
                }
            }
            Event::Closed(number) => {
                if let Some(lease) = pick(&mut self.closing, number) {
                    assert!(self.open.remove(&lease.slot));
                    if let Some(grant) = self.ledger.on_closed(lease, self.now) {
                        self.on_grant(grant);
                    }
                }
            }
            _ => {}
        }
    }

    fn apply(&mut self, event: &Event) {
        self.borrow_or_return(event);
        self.open_or_close(event);
        match *event {
            Event::Wait { ms } => self.now += Duration::from_millis(ms),
            Event::Housekeeping => self.housekeeping(),
            Event::Drain => {
                let shutdown = self.ledger.drain();
                self.shut_down(shutdown, false);
            }
            Event::ForceClose => {
                let shutdown = self.ledger.force_close();
                self.shut_down(shutdown, true);
            }
            _ => {}
        }
        self.check();
    }

    fn check(&self) {
        let stats = self.ledger.stats();
        let max = self.ledger.config().max as usize;
        let being_made = self.creating.iter().map(|lease| lease.slot);
        let existing: HashSet<u32> = self.open.iter().copied().chain(being_made).collect();
        assert!(
            existing.len() <= max,
            "{} connections of {max}",
            existing.len()
        );
        assert_eq!(stats.total as usize, existing.len());
        assert_eq!(stats.waiting as usize, self.queue.len());
        assert_eq!(stats.total, stats.in_use + stats.available + stats.closing);
        if !self.queue.is_empty() {
            assert_eq!(stats.available, 0, "a free connection beside a waiter");
            assert_eq!(existing.len(), max, "room for a connection beside a waiter");
        }
    }

    /// Completes every step that is due, once; the queue must be empty after that.
    fn wind_down(&mut self) {
        let mut rounds = 0;
        while !(self.creating.is_empty() && self.held.is_empty() && self.closing.is_empty()) {
            rounds += 1;
            assert!(rounds < 1_000, "a slot is lost");
            self.apply(&Event::Created(0));
            self.apply(&Event::Release {
                number: 0,
                reusable: true,
            });
            self.apply(&Event::Closed(0));
        }
        assert!(self.queue.is_empty(), "a waiter is stranded");
        if !self.shut_down_called {
            self.apply(&Event::Drain);
        }
        while !self.closing.is_empty() {
            self.apply(&Event::Closed(0));
        }
        assert!(self.ledger.is_drained());
        assert_eq!(self.ledger.stats(), Stats::default());
        let counters = self.ledger.counters();
        assert_eq!(counters.created, counters.destroyed);
        assert_eq!(
            self.ledger.next_due(self.now),
            None,
            "a drained pool waits for nothing"
        );
    }
}

proptest! {
    #[test]
    fn no_interleaving_overshoots_strands_a_waiter_or_hands_a_lease_out_twice(
        config in script::config(),
        script in script::script(),
    ) {
        let mut owner = Owner::new(config);
        for event in &script {
            owner.apply(event);
        }
        owner.wind_down();
    }
}
