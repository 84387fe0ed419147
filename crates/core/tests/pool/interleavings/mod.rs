//! Random interleavings of the events of a pool, against an owner of real connections.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

mod checks;
mod script;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use moorline_core::{
    limit::Limit,
    pool::{
        Acquire, Condition, Created, Grant, Lease, Ledger, LedgerConfig, Released, Shutdown, Ticket,
    },
};
use proptest::prelude::*;
use script::Event;

/// The owner of the connections: what it has must agree with the ledger after every event.
struct Owner {
    ledger: Ledger,
    now: Instant,
    creating: Vec<Lease>,
    held: Vec<Lease>,
    recycling: Vec<Lease>,
    /// Slots of which no connection may be handed out again.
    evicted: HashSet<u32>,
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
            recycling: Vec::new(),
            evicted: HashSet::new(),
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
            !self.evicted.contains(&slot),
            "{lease:?} is of an evicted connection"
        );
        let recycling = self.recycling.iter().any(|other| other.slot == slot);
        assert!(!recycling, "{lease:?} has been handed out unrecycled");
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
        let most = self.ledger.config().max_connecting.get();
        assert!(
            most.is_none_or(|most| (self.creating.len() as u64) < most),
            "too many connections are being made"
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
            self.recycling.retain(|recycling| *recycling != lease);
            self.returned.push(lease);
            self.begin_close(lease);
        }
        assert!(!forced || self.held.is_empty() && self.recycling.is_empty());
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
        match self.ledger.on_created(lease, self.now) {
            Created::InUse(grant) => {
                self.since.insert(lease, self.now);
                self.held.push(lease);
                if let Some(grant) = grant {
                    self.on_grant(grant);
                }
            }
            Created::Unwanted => self.begin_close(lease),
        }
    }

    fn release(&mut self, lease: Lease, condition: Condition) {
        self.returned.push(lease);
        let released = self.ledger.release(lease, self.now, condition);
        let recycles = matches!(released, Released::Recycle(_));
        assert!(condition == Condition::Dirty || !recycles);
        if condition != Condition::Clean {
            assert!(recycles || released == Released::Close);
        }
        self.on_released(lease, released);
    }

    fn on_released(&mut self, lease: Lease, released: Released) {
        match released {
            Released::Idle => assert!(self.queue.is_empty(), "idle beside a waiter"),
            Released::Granted(grant) => self.on_grant(grant),
            Released::Recycle(lease) => {
                assert!(
                    self.all_leases.insert(lease),
                    "{lease:?} was given out twice"
                );
                self.recycling.push(lease);
            }
            Released::Close => self.begin_close(lease),
            Released::UnknownLease => panic!("{lease:?} was held"),
        }
    }

    /// Asserts that no call with a lease that is not held changes anything.
    fn assert_ignored(&mut self, lease: Lease) {
        let before = (self.ledger.stats(), self.ledger.counters());
        assert_eq!(
            self.ledger.release(lease, self.now, Condition::Clean),
            Released::UnknownLease
        );
        assert_eq!(
            self.ledger.on_recycled(lease, self.now),
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
            Event::Release { number, condition } => {
                if let Some(lease) = pick(&mut self.held, number) {
                    self.release(lease, condition);
                }
            }
            Event::Recycled(number) => {
                if let Some(lease) = pick(&mut self.recycling, number) {
                    self.returned.push(lease);
                    let released = self.ledger.on_recycled(lease, self.now);
                    self.on_released(lease, released);
                }
            }
            Event::RecyclingFailed(number) => {
                if let Some(lease) = pick(&mut self.recycling, number) {
                    assert!(self.ledger.discard(lease));
                    self.returned.push(lease);
                    self.begin_close(lease);
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
                    self.evicted.remove(&lease.slot);
                    self.reported.remove(&lease);
                    self.creating.push(lease);
                }
            }
            Event::Closed(number) => {
                if let Some(lease) = pick(&mut self.closing, number) {
                    assert!(self.open.remove(&lease.slot));
                    self.evicted.remove(&lease.slot);
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
            Event::EvictAll => {
                self.evicted.extend(&self.open);
                for lease in self.ledger.evict_all(self.now) {
                    self.begin_close(lease);
                }
                assert_eq!(self.ledger.stats().available, 0);
            }
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
