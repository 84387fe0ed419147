//! What holds after each event, and at the end.

use std::collections::HashSet;

use moorline_core::pool::{Condition, Stats};

use super::{Event, Owner};

impl Owner {
    pub(super) fn check(&self) {
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
            let most = self.ledger.config().max_connecting.get();
            assert!(
                existing.len() == max
                    || most.is_some_and(|most| self.creating.len() as u64 >= most),
                "room for a connection beside a waiter"
            );
        }
    }

    fn in_transit(&self) -> usize {
        self.creating.len() + self.held.len() + self.recycling.len() + self.closing.len()
    }

    /// Completes every step that is due, once; the queue must be empty after that.
    pub(super) fn wind_down(&mut self) {
        let mut rounds = 0;
        while self.in_transit() > 0 {
            rounds += 1;
            assert!(rounds < 1_000, "a slot is lost");
            self.apply(&Event::Created(0));
            self.apply(&Event::Release {
                number: 0,
                condition: Condition::Clean,
            });
            self.apply(&Event::Recycled(0));
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
