//! Pools as metrics: one row of series for all pools of one name and type.
//!
//! A pool is counted by its [`Ledger`](super::Ledger); what has changed in them since the last time is carried
//! over when the metrics are read, and when the pool is dropped.

use std::sync::Arc;

use super::{Counters, Stats, Waits};
use crate::metrics::{Counter, DATABASE_SECONDS, Gauge, Histogram, MetricError, Registry};

/// The counters and what they show.
type Count = fn(&Counters) -> u64;
/// The gauges and what they show.
type Level = fn(&Stats) -> u32;

const COUNTERS: [(&str, &str, Count); 6] = [
    (
        "moorline_pool_acquired_total",
        "Connections that pools lent.",
        |counters| counters.acquired,
    ),
    (
        "moorline_pool_acquire_timeouts_total",
        "Borrowers whose time was over before a pool had a connection for them.",
        |counters| counters.timeouts,
    ),
    (
        "moorline_pool_created_total",
        "Connections that pools opened.",
        |counters| counters.created,
    ),
    (
        "moorline_pool_create_failures_total",
        "Connections that pools could not open.",
        |counters| counters.create_failures,
    ),
    (
        "moorline_pool_closed_total",
        "Connections that pools closed.",
        |counters| counters.destroyed,
    ),
    (
        "moorline_pool_leaks_total",
        "Connections that were held for longer than their pool's limit.",
        |counters| counters.leaks,
    ),
];

const LEVELS: [(&str, Level); 3] = [
    ("in-use", |stats| stats.in_use),
    ("idle", |stats| stats.available),
    ("closing", |stats| stats.closing),
];

/// The series of one pool. Counters outlive it; its connections leave with it.
#[derive(Debug)]
pub struct PoolSeries {
    counters: [Arc<Counter>; COUNTERS.len()],
    levels: [Arc<Gauge>; LEVELS.len()],
    waiting: Arc<Gauge>,
    wait: Arc<Histogram>,
    most: Arc<Gauge>,
    max: u32,
    /// The totals that the counters have already.
    counted: [u64; COUNTERS.len()],
    counted_waits: Waits,
    shown: Stats,
}

impl PoolSeries {
    /// The series of a pool of at most `max` connections.
    ///
    /// # Errors
    /// Another metric has one of the names.
    pub fn new(registry: &Registry, name: &str, kind: &str, max: u32) -> Result<Self, MetricError> {
        let own = [("pool", name), ("type", kind)];
        let level = |state| {
            let labels = [own[0], own[1], ("state", state)];
            let help = "Connections of pools, by what they do.";
            registry.gauge("moorline_pool_connections", help, &labels)
        };
        let [first, second, third] = LEVELS;
        let counter = |at: usize| registry.counter(COUNTERS[at].0, COUNTERS[at].1, &own);
        let series = Self {
            counters: [
                counter(0)?,
                counter(1)?,
                counter(2)?,
                counter(3)?,
                counter(4)?,
                counter(5)?,
            ],
            levels: [level(first.0)?, level(second.0)?, level(third.0)?],
            waiting: registry.gauge(
                "moorline_pool_waiting",
                "Borrowers that wait for a connection of a pool.",
                &own,
            )?,
            wait: registry.histogram(
                "moorline_pool_wait_seconds",
                "Waits of borrowers in the queue of a pool, without those that gave up.",
                &own,
                &DATABASE_SECONDS,
            )?,
            most: registry.gauge(
                "moorline_pool_max_connections",
                "Connections that pools may have at most.",
                &own,
            )?,
            max,
            counted: [0; COUNTERS.len()],
            counted_waits: Waits::default(),
            shown: Stats::default(),
        };
        series.most.add(f64::from(max));
        Ok(series)
    }

    /// Carries over what has changed.
    pub fn update(&mut self, stats: Stats, counters: &Counters) {
        let pairs = self.counters.iter().zip(&mut self.counted);
        for ((_, _, count), (series, counted)) in COUNTERS.iter().zip(pairs) {
            let now = count(counters);
            series.add(now.saturating_sub(*counted) as f64);
            *counted = now.max(*counted);
        }
        self.count_waits(counters);
        self.show(stats);
    }

    fn count_waits(&mut self, counters: &Counters) {
        let mut now = counters.waits;
        // Whoever did not wait has waited for no time.
        now.counts[0] += counters.immediate;
        let before = std::mem::replace(&mut self.counted_waits, now);
        let pairs = now.counts.iter().zip(before.counts);
        let new: Vec<_> = pairs.map(|(now, before)| now - before).collect();
        let sum = now.sum.saturating_sub(before.sum);
        self.wait.add_counts(&new, sum.as_secs_f64());
    }

    fn show(&mut self, stats: Stats) {
        let change = |gauge: &Gauge, level: Level| {
            gauge.add(f64::from(level(&stats)) - f64::from(level(&self.shown)));
        };
        for ((_, level), gauge) in LEVELS.iter().zip(&self.levels) {
            change(gauge, *level);
        }
        change(&self.waiting, |stats| stats.waiting);
        self.shown = stats;
    }
}

impl Drop for PoolSeries {
    fn drop(&mut self) {
        self.show(Stats::default());
        self.most.add(-f64::from(self.max));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::TextExposition;

    fn acquired(acquired: u64) -> Counters {
        Counters {
            acquired,
            ..Counters::default()
        }
    }

    fn in_use(in_use: u32) -> Stats {
        Stats {
            in_use,
            ..Stats::default()
        }
    }

    #[test]
    fn waits_are_counted_once_with_those_who_did_not_wait() {
        let registry = Registry::new();
        let text = || {
            let mut exposition = TextExposition::new();
            registry.write(&mut exposition);
            exposition.into_text()
        };
        let mut series = PoolSeries::new(&registry, "db", "libsql", 5).unwrap();
        let mut counters = Counters {
            immediate: 3,
            ..Counters::default()
        };
        counters.waits.count(Duration::from_millis(20));
        for _ in 0..2 {
            series.update(Stats::default(), &counters);
        }
        counters.waits.count(Duration::from_secs(20));
        series.update(Stats::default(), &counters);
        let own = "{pool=\"db\",type=\"libsql\"";
        for expected in [
            format!("moorline_pool_wait_seconds_bucket{own},le=\"0.001\"}} 3\n"),
            format!("moorline_pool_wait_seconds_bucket{own},le=\"0.05\"}} 4\n"),
            format!("moorline_pool_wait_seconds_bucket{own},le=\"10\"}} 4\n"),
            format!("moorline_pool_wait_seconds_sum{own}}} 20.02\n"),
            format!("moorline_pool_wait_seconds_count{own}}} 5\n"),
        ] {
            assert!(text().contains(&expected), "{expected}{}", text());
        }
    }

    #[test]
    fn pools_of_one_name_are_counted_together_and_what_is_gone_stays_counted() {
        let registry = Registry::new();
        let line = |start: &str| {
            let mut exposition = TextExposition::new();
            registry.write(&mut exposition);
            let text = exposition.into_text();
            let found = text.lines().find(|line| line.starts_with(start));
            found.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok())
        };
        let mut first = PoolSeries::new(&registry, "db", "libsql", 5).unwrap();
        let mut second = PoolSeries::new(&registry, "db", "libsql", 2).unwrap();
        first.update(in_use(2), &acquired(3));
        first.update(in_use(1), &acquired(7));
        second.update(in_use(1), &acquired(1));
        assert_eq!(
            line("moorline_pool_acquired_total{pool=\"db\",type=\"libsql\"}"),
            Some(8)
        );
        assert_eq!(
            line("moorline_pool_connections{pool=\"db\",type=\"libsql\",state=\"in-use\"}"),
            Some(2)
        );
        assert_eq!(line("moorline_pool_max_connections{"), Some(7));
        drop(first);
        assert_eq!(line("moorline_pool_acquired_total{"), Some(8));
        assert_eq!(
            line("moorline_pool_connections{pool=\"db\",type=\"libsql\",state=\"in-use\"}"),
            Some(1)
        );
        assert_eq!(line("moorline_pool_max_connections{"), Some(2));
    }
}
