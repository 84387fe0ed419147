//! Pools in the metrics of the process.
//!
//! Lending must cost nothing more for it: a pool keeps its own books, and carries them over when somebody looks.

use std::sync::{Mutex, Weak};

use moorline_core::{
    metrics::Registry,
    pool::{Counters, PoolSeries, Stats},
    sync::lock,
};

/// Something that carries its figures over when it is asked.
pub(crate) trait Publish: Send + Sync {
    fn publish(&self);
}

static PUBLISHED: Mutex<Vec<Weak<dyn Publish>>> = Mutex::new(Vec::new());

/// Carries over the figures of all pools that were published.
pub fn refresh() {
    let mut all = lock(&PUBLISHED);
    all.retain(|one| one.strong_count() > 0);
    let alive: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
    // The last reference may be dropped here, and with it whatever the pool holds.
    drop(all);
    for one in alive {
        one.publish();
    }
}

/// The figures of one pool, once it was published.
#[derive(Debug, Default)]
pub(crate) struct Published(Mutex<Option<PoolSeries>>);

impl Published {
    /// From now on `pool` is counted under `name`, as one of type `kind`.
    pub(crate) fn begin(&self, name: &str, kind: &str, max: u32, pool: Weak<dyn Publish>) {
        // It fails for a name that is another metric's, and none of ours is.
        let series = PoolSeries::new(Registry::process(), name, kind, max);
        *lock(&self.0) = series.ok();
        let mut all = lock(&PUBLISHED);
        if all.len() == all.capacity() {
            all.retain(|one| one.strong_count() > 0);
        }
        all.push(pool);
    }

    /// Carries over what `books` says. They are read while nobody else does this: figures never go back. Without
    /// stats the pool has ended, and is shown no more.
    pub(crate) fn update(&self, books: impl FnOnce() -> (Option<Stats>, Counters)) {
        let mut published = lock(&self.0);
        let Some(series) = published.as_mut() else {
            return;
        };
        let (stats, counters) = books();
        series.update(stats.unwrap_or_default(), &counters);
        if stats.is_none() {
            *published = None;
        }
    }
}
