//! Pools in the metrics of the process.
//!
//! Acquiring must not cost more for it: a pool counts in its own state, and carries the counts over when the metrics are
//! read.

use std::sync::{Mutex, Weak};

use moorline_core::{
    metrics::Registry,
    pool::{Counters, PoolSeries, Stats, UsageSeries},
    sync::lock,
};

/// A source of figures that can be asked to carry them over.
pub(crate) trait ReportMetrics: Send + Sync {
    fn publish(&self);
}

static REGISTERED: Mutex<Vec<Weak<dyn ReportMetrics>>> = Mutex::new(Vec::new());

/// Carries over the figures of all pools that were registered.
pub fn refresh() {
    let mut all = lock(&REGISTERED);
    all.retain(|one| one.strong_count() > 0);
    let alive: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
    // The last reference may be dropped here, and with it whatever the pool holds.
    drop(all);
    for one in alive {
        one.publish();
    }
}

/// Has the figures of `source` carried over from now on.
pub(crate) fn report_metrics_of(source: Weak<dyn ReportMetrics>) {
    let mut all = lock(&REGISTERED);
    if all.len() == all.capacity() {
        all.retain(|one| one.strong_count() > 0);
    }
    all.push(source);
}

/// The figures of one pool, once it was registered.
#[derive(Debug, Default)]
pub(crate) struct PoolMetrics(Mutex<Option<PoolSeries>>);

impl PoolMetrics {
    /// Counts `pool` under `name` from now on, as one of type `kind`; in series of its service, too, where that has some.
    pub(crate) fn register(
        &self,
        (name, kind): (&str, &str),
        max: u32,
        usage: Option<UsageSeries>,
        pool: Weak<dyn ReportMetrics>,
    ) {
        // It fails only for a name that another metric has, and none of ours does.
        let mut series = PoolSeries::new(Registry::global(), name, kind, max).ok();
        if let Some((series, usage)) = series.as_mut().zip(usage) {
            series.add_usage(usage);
        }
        *lock(&self.0) = series;
        report_metrics_of(pool);
    }

    /// Carries over the figures that `read_figures` returns. It is called under this lock, so that figures never go back.
    /// Without stats the pool has ended, and is no longer shown.
    pub(crate) fn update(&self, read_figures: impl FnOnce() -> (Option<Stats>, Counters)) {
        let mut metrics = lock(&self.0);
        let Some(series) = metrics.as_mut() else {
            return;
        };
        let (stats, counters) = read_figures();
        series.update(stats.unwrap_or_default(), &counters);
        if stats.is_none() {
            *metrics = None;
        }
    }
}
