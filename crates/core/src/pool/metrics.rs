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

/// Series of a service, in which its pools are shown under names of its own, too.
#[derive(Clone, Debug)]
pub struct UsageSeries {
    /// The connections in use.
    pub in_use: Arc<Gauge>,
    /// The connections that could not be had.
    pub errors: Arc<Counter>,
}

impl UsageSeries {
    /// Connections that could not be had: of the totals, failed creations and timeouts.
    const ERRORS: Count = |counters| counters.create_failures + counters.timeouts;
}

/// The series of one pool. Counters outlive it; its connections leave with it.
#[derive(Debug)]
pub struct PoolSeries {
    counters: [Arc<Counter>; COUNTERS.len()],
    levels: [Arc<Gauge>; LEVELS.len()],
    waiting: Arc<Gauge>,
    wait: Arc<Histogram>,
    most: Arc<Gauge>,
    max: u32,
    usage: Option<UsageSeries>,
    /// The totals that the counters have already.
    counted: [u64; COUNTERS.len()],
    counted_errors: u64,
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
            usage: None,
            counted: [0; COUNTERS.len()],
            counted_errors: 0,
            counted_waits: Waits::default(),
            shown: Stats::default(),
        };
        series.most.add(f64::from(max));
        Ok(series)
    }

    /// Shows the pool in series of its service, too.
    pub fn add_usage(&mut self, usage: UsageSeries) {
        self.usage = Some(usage);
    }

    /// Carries over what has changed.
    pub fn update(&mut self, stats: Stats, counters: &Counters) {
        let pairs = self.counters.iter().zip(&mut self.counted);
        for ((_, _, count), (series, counted)) in COUNTERS.iter().zip(pairs) {
            carry_over(count(counters), counted, series);
        }
        if let Some(usage) = &self.usage {
            let now = UsageSeries::ERRORS(counters);
            carry_over(now, &mut self.counted_errors, &usage.errors);
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
        if let Some(usage) = &self.usage {
            change(&usage.in_use, |stats| stats.in_use);
        }
        change(&self.waiting, |stats| stats.waiting);
        self.shown = stats;
    }
}

/// Adds to a counter what it does not have yet of a total.
fn carry_over(now: u64, counted: &mut u64, series: &Counter) {
    series.add(now.saturating_sub(*counted) as f64);
    *counted = now.max(*counted);
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
    fn a_service_shows_its_pools_under_names_of_its_own() {
        let registry = Registry::new();
        let in_use_gauge = registry.gauge("borrowed", "", &[]).unwrap();
        let errors = registry.counter("errors", "", &[]).unwrap();
        let mut series = PoolSeries::new(&registry, "db", "postgres", 5).unwrap();
        series.add_usage(UsageSeries {
            in_use: Arc::clone(&in_use_gauge),
            errors: Arc::clone(&errors),
        });
        let failed = Counters {
            create_failures: 2,
            timeouts: 1,
            ..Counters::default()
        };
        for _ in 0..2 {
            series.update(in_use(3), &failed);
        }
        let is = |value: f64, expected: f64| (value - expected).abs() < f64::EPSILON;
        assert!(is(in_use_gauge.get(), 3.0) && is(errors.get(), 3.0));
        drop(series);
        assert!(is(in_use_gauge.get(), 0.0) && is(errors.get(), 3.0));
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
