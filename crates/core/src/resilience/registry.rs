//! Breakers that are shared: by name, by every service, thread and JavaScript environment of the process.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{
    breaker::{Breaker, BreakerOptions, Change, Permit, Refused, Snapshot},
    report::Report,
};

/// Somebody who wants to hear of changes. It is called with a lock held: it may only take a note and return.
pub type Watcher = dyn Fn(&str, &Change) + Send + Sync;

/// A breaker that many can use at once.
pub struct SharedBreaker {
    name: String,
    options: BreakerOptions,
    breaker: Mutex<Breaker>,
    watchers: Mutex<Vec<Weak<Watcher>>>,
}

impl SharedBreaker {
    /// A breaker of its own; [`Registry::join`] gives one that is known by its name.
    pub fn new(name: impl Into<String>, options: BreakerOptions) -> Self {
        Self {
            name: name.into(),
            options,
            breaker: Mutex::new(Breaker::new(options)),
            watchers: Mutex::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its options: those of whoever named it first.
    pub const fn options(&self) -> &BreakerOptions {
        &self.options
    }

    /// See [`Breaker::admit`].
    pub fn admit(&self, now: Instant) -> Result<Permit, Refused> {
        self.with(|breaker| breaker.admit(now))
    }

    /// See [`Breaker::check`].
    pub fn check(&self, now: Instant) -> Result<(), Refused> {
        self.lock().check(now)
    }

    /// See [`Breaker::refusal`].
    pub fn refusal(&self, now: Instant) -> Option<Refused> {
        self.lock().refusal(now)
    }

    /// See [`Breaker::record`].
    pub fn record(&self, permit: Permit, report: Report, now: Instant) {
        self.with(|breaker| breaker.record(permit, report, now));
    }

    /// See [`Breaker::release`].
    pub fn release(&self, permit: Permit) {
        self.lock().release(permit);
    }

    /// See [`Breaker::snapshot`].
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot()
    }

    /// Does something with the breaker itself (opens, closes or resets it) and tells the watchers.
    pub fn with<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.lock();
        let answer = act(&mut breaker);
        let changed = breaker.has_changes();
        drop(breaker);
        if changed {
            self.tell();
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

    fn tell(&self) {
        // Changes are taken under the watchers' lock, so that two threads tell them in the order they happened.
        let mut watchers = self.watchers();
        let changes = self.lock().take_changes();
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

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watchers(&self) -> MutexGuard<'_, Vec<Weak<Watcher>>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// It was there already, with other options than those asked for: worth one warning.
    pub options_differ: bool,
}

/// Breakers by name.
#[derive(Debug, Default)]
pub struct Registry {
    named: Mutex<BTreeMap<String, Entry>>,
    owned: AtomicU64,
}

/// After so many breakers with an owner, those whose owner is gone are swept out.
const SWEEP_EVERY: u64 = 64;

#[derive(Debug)]
enum Entry {
    /// Named by a caller: lives as long as the process, so its state outlives a caller that comes and goes.
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
}

impl Registry {
    /// The registry of the process.
    pub fn process() -> &'static Self {
        static PROCESS: LazyLock<Registry> = LazyLock::new(Registry::default);
        &PROCESS
    }

    /// The breaker of that name, made with `options` if there is none yet.
    pub fn join(&self, name: &str, options: BreakerOptions) -> Joined {
        let mut named = self.named();
        if let Some(breaker) = named.get(name).and_then(Entry::breaker) {
            let options_differ = *breaker.options() != options;
            return Joined {
                breaker,
                options_differ,
            };
        }
        let breaker = Arc::new(SharedBreaker::new(name, options));
        named.insert(name.to_owned(), Entry::Kept(Arc::clone(&breaker)));
        Joined {
            breaker,
            options_differ: false,
        }
    }

    /// A breaker for one owner, listed as `kind-1`, `kind-2`, … until the owner drops it.
    pub fn own(&self, kind: &str, options: BreakerOptions) -> Arc<SharedBreaker> {
        let number = self.owned.fetch_add(1, Ordering::Relaxed) + 1;
        let mut named = self.named();
        if number.is_multiple_of(SWEEP_EVERY) {
            named.retain(|_, entry| entry.breaker().is_some());
        }
        let name = format!("{kind}-{number}");
        let breaker = Arc::new(SharedBreaker::new(name.as_str(), options));
        // A caller may have chosen the same name; then its breaker is the one listed.
        named
            .entry(name)
            .or_insert_with(|| Entry::Owned(Arc::downgrade(&breaker)));
        breaker
    }

    /// The breaker of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<Arc<SharedBreaker>> {
        self.named().get(name).and_then(Entry::breaker)
    }

    /// Every breaker, by name.
    pub fn all(&self) -> Vec<Arc<SharedBreaker>> {
        self.named().values().filter_map(Entry::breaker).collect()
    }

    fn named(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
