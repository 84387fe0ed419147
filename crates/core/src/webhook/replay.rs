//! Remembering what was accepted, so that a captured request is not accepted again.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// Where accepted requests are remembered. Time comes in as milliseconds since the epoch.
pub trait ReplayStore {
    /// Remembers `key` for `ttl` and says whether it is new; `false` means a replay.
    fn remember(&mut self, key: &str, ttl: Duration, now_ms: i64) -> bool;

    /// Whether `key` is remembered now.
    fn has(&self, key: &str, now_ms: i64) -> bool;

    /// Forgets `key`, so that the sender's retry of a request that could not be processed is accepted.
    fn forget(&mut self, key: &str);
}

/// A store in this process. When it is full the entry that would expire first makes room; only genuine
/// requests are remembered, so nobody without the secret can crowd an entry out.
#[derive(Debug)]
pub struct MemoryReplayStore {
    capacity: usize,
    expiry: HashMap<String, i64>,
    by_expiry: BTreeSet<(i64, String)>,
}

impl MemoryReplayStore {
    /// The default capacity: about 20 MB when full.
    pub const DEFAULT_CAPACITY: usize = 100_000;

    /// A store for at most `capacity` requests, at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            expiry: HashMap::new(),
            by_expiry: BTreeSet::new(),
        }
    }

    /// How many requests are remembered, expired ones that nobody asked for since included.
    pub fn len(&self) -> usize {
        self.expiry.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.expiry.is_empty()
    }

    fn drop_expired(&mut self, now_ms: i64) {
        while let Some((expires_ms, _)) = self.by_expiry.first()
            && *expires_ms < now_ms
            && let Some((_, key)) = self.by_expiry.pop_first()
        {
            self.expiry.remove(&key);
        }
    }
}

impl Default for MemoryReplayStore {
    fn default() -> Self {
        Self::new(Self::DEFAULT_CAPACITY)
    }
}

impl ReplayStore for MemoryReplayStore {
    fn remember(&mut self, key: &str, ttl: Duration, now_ms: i64) -> bool {
        self.drop_expired(now_ms);
        if self.expiry.contains_key(key) {
            return false;
        }
        if self.expiry.len() >= self.capacity
            && let Some((_, oldest)) = self.by_expiry.pop_first()
        {
            self.expiry.remove(&oldest);
        }
        let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        let expires_ms = now_ms.saturating_add(ttl_ms);
        self.expiry.insert(key.to_owned(), expires_ms);
        self.by_expiry.insert((expires_ms, key.to_owned()));
        true
    }

    fn has(&self, key: &str, now_ms: i64) -> bool {
        let expires_ms = self.expiry.get(key);
        expires_ms.is_some_and(|expires_ms| *expires_ms >= now_ms)
    }

    fn forget(&mut self, key: &str) {
        if let Some((key, expires_ms)) = self.expiry.remove_entry(key) {
            self.by_expiry.remove(&(expires_ms, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_key_is_new_once_until_it_expires_or_is_forgotten() {
        let mut store = MemoryReplayStore::default();
        assert!(store.remember("a", MINUTE, 0));
        assert!(!store.remember("a", MINUTE, 60_000));
        assert!(store.has("a", 60_000) && !store.has("a", 60_001) && !store.has("b", 0));
        assert!(store.remember("a", MINUTE, 60_001));
        store.forget("a");
        assert!(store.remember("a", MINUTE, 60_002));
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn it_never_holds_more_than_its_capacity_and_drops_the_oldest_first() {
        let mut store = MemoryReplayStore::new(3);
        for n in 0..10 {
            assert!(store.remember(&n.to_string(), MINUTE, n));
            assert!(store.len() <= 3);
        }
        assert!(!store.remember("9", MINUTE, 10));
        assert!(!store.remember("7", MINUTE, 10));
        assert!(store.remember("6", MINUTE, 10));
    }

    #[test]
    fn expired_keys_leave_even_when_nobody_asks_for_them_again() {
        let mut store = MemoryReplayStore::default();
        for n in 0..100 {
            store.remember(&n.to_string(), MINUTE, 0);
        }
        store.remember("later", MINUTE, 60_001);
        assert_eq!(store.len(), 1);
    }
}
