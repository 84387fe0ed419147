//! The registry of named breakers, shared by all threads and environments of the process.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{
    breaker::{Breaker, BreakerConfig, Change, CircuitOpen, CircuitState, Permit, Snapshot},
    breaker_metrics::BreakerSeries,
    outcome::AttemptOutcome,
};
use crate::{metrics, sync::lock};

/// A listener for changes. It is called with a lock held: it may only take a note and return.
pub type Watcher = dyn Fn(&str, &Change) + Send + Sync;

/// A breaker that many can use at once.
pub struct SharedBreaker {
    name: String,
    config: BreakerConfig,
    breaker: Mutex<Breaker>,
    watchers: Mutex<Vec<Weak<Watcher>>>,
    series: Option<Mutex<BreakerSeries>>,
}

impl SharedBreaker {
    /// A breaker of its own; [`Registry::join`] gives one that is known by its name.
    pub fn new(name: impl Into<String>, config: BreakerConfig) -> Self {
        Self {
            name: name.into(),
            config,
            breaker: Mutex::new(Breaker::new(config)),
            watchers: Mutex::default(),
            series: None,
        }
    }

    /// The same, shown among the metrics of `registry` as one of that name.
    fn with_metrics(mut self, registry: Option<&metrics::Registry>, name: &str) -> Self {
        // It fails for a name that is another metric's, and none of ours is.
        let series = registry.and_then(|registry| BreakerSeries::new(registry, name).ok());
        self.series = series.map(Mutex::new);
        self
    }

    /// Carries over to the metrics what has changed.
    fn publish(&self) {
        if let Some(series) = &self.series {
            // Read under the lock: figures never go back.
            let mut series = lock(series);
            series.update(&self.snapshot());
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The configuration, given by the first caller that named it.
    pub const fn config(&self) -> &BreakerConfig {
        &self.config
    }

    /// See [`Breaker::admit`].
    pub fn admit(&self, now: Instant) -> Result<Permit, CircuitOpen> {
        self.with(|breaker| breaker.admit(now))
    }

    /// See [`Breaker::check`].
    pub fn check(&self, now: Instant) -> Result<(), CircuitOpen> {
        self.breaker().check(now)
    }

    /// See [`Breaker::refusal`].
    pub fn refusal(&self, now: Instant) -> Option<CircuitOpen> {
        self.breaker().refusal(now)
    }

    /// See [`Breaker::record`].
    pub fn record(&self, permit: Permit, outcome: AttemptOutcome, now: Instant) {
        self.with(|breaker| breaker.record(permit, outcome, now));
    }

    /// See [`Breaker::release`].
    pub fn release(&self, permit: Permit) {
        self.breaker().release(permit);
    }

    /// See [`Breaker::snapshot`].
    pub fn snapshot(&self) -> Snapshot {
        self.breaker().snapshot()
    }

    /// Does something with the breaker itself (opens, closes or resets it) and tells the watchers.
    pub fn with<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker();
        let answer = act(&mut breaker);
        let changed = breaker.has_changes();
        drop(breaker);
        if changed {
            self.notify();
        }
        answer
    }

    /// Tells `watcher` of each change for as long as it lives.
    pub fn watch(&self, watcher: &Arc<Watcher>) {
        let mut watchers = self.watchers();
        if watchers.len() == watchers.capacity() {
            watchers.retain(|watcher| watcher.strong_count() > 0);
        }
        watchers.push(Arc::downgrade(watcher));
    }

    fn notify(&self) {
        // Changes are taken under the watchers' lock, so that two threads tell them in the order they happened.
        let mut watchers = self.watchers();
        let changes = self.breaker().take_changes();
        watchers.retain(|watcher| {
            let Some(watcher) = watcher.upgrade() else {
                return false;
            };
            for change in &changes {
                watcher(&self.name, change);
            }
            true
        });
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        lock(&self.breaker)
    }

    fn watchers(&self) -> MutexGuard<'_, Vec<Weak<Watcher>>> {
        lock(&self.watchers)
    }
}

impl Drop for SharedBreaker {
    fn drop(&mut self) {
        self.publish();
    }
}

impl fmt::Debug for SharedBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SharedBreaker({} {:?})",
            self.name,
            self.snapshot().state
        )
    }
}

/// A breaker found or made by [`Registry::join`].
#[derive(Debug)]
pub struct Joined {
    /// The breaker.
    pub breaker: Arc<SharedBreaker>,
    /// Whether the breaker existed with another configuration than the one asked for: worth one warning.
    pub config_differs: bool,
}

/// Breakers by name.
#[derive(Debug, Default)]
pub struct Registry {
    named: Mutex<Named>,
    owned: AtomicU64,
    /// The metrics in which its breakers are shown.
    metrics: Option<&'static metrics::Registry>,
}

#[derive(Debug, Default)]
struct Named {
    entries: BTreeMap<String, Entry>,
    /// The number of entries after the last sweep of unused ones.
    swept: usize,
}

/// With more breakers than this, and as often as their number has doubled, unused ones are swept out.
const MAX_UNSWEPT: usize = 1_000;

#[derive(Debug)]
enum Entry {
    /// Named by a caller: its state outlives a caller that comes and goes.
    Kept(Arc<SharedBreaker>),
    /// Named by us after the object that owns it: goes with it.
    Owned(Weak<SharedBreaker>),
}

impl Entry {
    fn breaker(&self) -> Option<Arc<SharedBreaker>> {
        match self {
            Self::Kept(breaker) => Some(Arc::clone(breaker)),
            Self::Owned(breaker) => breaker.upgrade(),
        }
    }

    /// Whether it has a holder, or a state worth keeping.
    fn is_needed(&self) -> bool {
        match self {
            Self::Kept(breaker) => {
                let Snapshot {
                    state, failures, ..
                } = breaker.snapshot();
                Arc::strong_count(breaker) > 1 || state != CircuitState::Closed || failures > 0
            }
            Self::Owned(breaker) => breaker.strong_count() > 0,
        }
    }
}

impl Named {
    fn get(&self, name: &str) -> Option<Arc<SharedBreaker>> {
        self.entries.get(name).and_then(Entry::breaker)
    }

    /// Makes room where there are many: names made from ids would otherwise fill the memory.
    fn sweep(&mut self) {
        if self.entries.len() >= MAX_UNSWEPT.max(2 * self.swept) {
            self.entries.retain(|_, entry| entry.is_needed());
            self.swept = self.entries.len();
        }
    }
}

impl Registry {
    /// The registry of the process.
    pub fn global() -> &'static Self {
        static GLOBAL: LazyLock<Registry> =
            LazyLock::new(|| Registry::with_metrics(metrics::Registry::global()));
        &GLOBAL
    }

    /// A registry whose breakers are shown among the metrics of another.
    pub fn with_metrics(metrics: &'static metrics::Registry) -> Self {
        Self {
            metrics: Some(metrics),
            ..Self::default()
        }
    }

    /// Carries over to the metrics what has changed.
    pub fn publish(&self) {
        for breaker in self.all() {
            breaker.publish();
        }
    }

    /// The breaker of that name, made with `config` if there is none yet.
    pub fn join(&self, name: &str, config: BreakerConfig) -> Joined {
        let mut named = self.entries();
        if let Some(breaker) = named.get(name) {
            let config_differs = *breaker.config() != config;
            return Joined {
                breaker,
                config_differs,
            };
        }
        let breaker = SharedBreaker::new(name, config).with_metrics(self.metrics, name);
        let (breaker, entries) = (Arc::new(breaker), &mut named.entries);
        entries.insert(name.to_owned(), Entry::Kept(Arc::clone(&breaker)));
        named.sweep();
        Joined {
            breaker,
            config_differs: false,
        }
    }

    /// A breaker for one owner, listed as `kind-1`, `kind-2`, … until the owner drops it. In the metrics all of a kind
    /// are counted together.
    pub fn own(&self, kind: &str, config: BreakerConfig) -> Arc<SharedBreaker> {
        let number = self.owned.fetch_add(1, Ordering::Relaxed) + 1;
        let name = format!("{kind}-{number}");
        let breaker = SharedBreaker::new(name.as_str(), config).with_metrics(self.metrics, kind);
        let breaker = Arc::new(breaker);
        let mut named = self.entries();
        // A caller may have chosen the same name; then its breaker is the one listed.
        named
            .entries
            .entry(name)
            .or_insert_with(|| Entry::Owned(Arc::downgrade(&breaker)));
        named.sweep();
        breaker
    }

    /// The breaker of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<Arc<SharedBreaker>> {
        self.entries().get(name)
    }

    /// Every breaker, by name.
    pub fn all(&self) -> Vec<Arc<SharedBreaker>> {
        let named = self.entries();
        let entries = named.entries.values();
        entries.filter_map(Entry::breaker).collect()
    }

    fn entries(&self) -> MutexGuard<'_, Named> {
        lock(&self.named)
    }
}
