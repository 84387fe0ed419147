//! The connections of an origin in the metrics of the process.

use std::sync::{Arc, Weak};

use super::Origin;
use crate::pool::ReportMetrics;

impl Origin {
    /// Shows its connections in the metrics of the process, under the name of their engine.
    pub(in crate::http) fn register_metrics(self: &Arc<Self>, name: &str) {
        let origin: Weak<dyn ReportMetrics> = Arc::downgrade(self) as _;
        let max = self.pool.config().ledger.max;
        self.metrics.register((name, "http"), max, None, origin);
    }
}

impl ReportMetrics for Origin {
    fn publish(&self) {
        self.metrics.update(|| {
            let (mut stats, mut counters) = (self.stats(), self.pool.counters());
            // The shared connection has left the pool and is still open.
            if self.has_open_h2() {
                stats.available += 1;
                counters.destroyed = counters.destroyed.saturating_sub(1);
            }
            (Some(stats), counters)
        });
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let counters = self.pool.counters();
        self.metrics.update(|| (None, counters));
    }
}
