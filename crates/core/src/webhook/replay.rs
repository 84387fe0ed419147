//! Replay protection: a store of accepted requests, and the defaults of receiving.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use serde_json::{Value as Json, json};

use crate::options::{OptionError, Read};

/// Reads how long a key is to be remembered; `path` is what its caller calls it.
pub fn read_ttl(path: &str, ms: f64) -> Read<Duration> {
    if !(ms.is_finite() && ms >= 0.0) {
        return Err(OptionError::out_of_range(path, "a finite number ≥ 0", ms));
    }
    Ok(Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::MAX))
}

/// A store of accepted requests. Time comes in as milliseconds since the epoch.
pub trait ReplayStore {
    /// Remembers `key` for `ttl` and says whether it is new; `false` means a replay.
    fn remember(&mut self, key: &str, ttl: Duration, now_ms: i64) -> bool;

    /// Whether `key` is remembered now.
    fn has(&self, key: &str, now_ms: i64) -> bool;

    /// Forgets `key`, so that the sender's retry of a request that could not be processed is accepted.
    fn forget(&mut self, key: &str);
}

/// A store in this process. When it is full the oldest entry makes room: the shortest-lived are those of requests that
/// are being handled now. Only genuine requests are remembered, so that without the secret no entry can be crowded out.
#[derive(Debug)]
pub struct MemoryReplayStore {
    capacity: usize,
    entries: HashMap<String, Entry>,
    by_expiry: BTreeSet<(i64, u64)>,
    by_age: BTreeMap<u64, String>,
    next: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    expires_ms: i64,
    number: u64,
}

impl MemoryReplayStore {
    /// The default capacity: about 20 MB when full.
    pub const DEFAULT_CAPACITY: usize = 100_000;

    /// A store for at most `capacity` requests, at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            entries: HashMap::new(),
            by_expiry: BTreeSet::new(),
            by_age: BTreeMap::new(),
            next: 0,
        }
    }

    /// The number of requests remembered, expired ones that were not looked up since included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn drop_expired(&mut self, now_ms: i64) {
        while let Some((expires_ms, number)) = self.by_expiry.first().copied()
            && expires_ms < now_ms
        {
            self.drop_numbered(number);
        }
    }

    fn drop_numbered(&mut self, number: u64) {
        if let Some(key) = self.by_age.remove(&number)
            && let Some(entry) = self.entries.remove(&key)
        {
            self.by_expiry.remove(&(entry.expires_ms, number));
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
        if self.entries.contains_key(key) {
            return false;
        }
        if self.entries.len() >= self.capacity
            && let Some((oldest, _)) = self.by_age.first_key_value()
        {
            self.drop_numbered(*oldest);
        }
        let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        let expires_ms = now_ms.saturating_add(ttl_ms);
        let number = self.next;
        self.next += 1;
        self.entries
            .insert(key.to_owned(), Entry { expires_ms, number });
        self.by_expiry.insert((expires_ms, number));
        self.by_age.insert(number, key.to_owned());
        true
    }

    fn has(&self, key: &str, now_ms: i64) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|entry| entry.expires_ms >= now_ms)
    }

    fn forget(&mut self, key: &str) {
        if let Some(entry) = self.entries.get(key).copied() {
            self.drop_numbered(entry.number);
        }
    }
}

/// The largest body that is read.
const LIMIT_BYTES: u64 = 10 * 1024 * 1024;
/// The time limit for the arrival of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The status for a request that was handled before.
const DUPLICATE_STATUS: u16 = 200;
/// The time for which a request in progress is not handled a second time.
const CLAIM: Duration = Duration::from_mins(5);
/// The time limit of each call to a replay store.
const REPLAY_STORE_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests that a store in memory remembers.
const REPLAY_CAPACITY: u32 = 100_000;

/// The defaults of receiving bodies and of a replay store in memory, by the names of their options, times in
/// milliseconds.
pub fn receive_defaults() -> Json {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    json!({
        "limitBytes": LIMIT_BYTES,
        "timeoutMs": ms(BODY_TIMEOUT),
        "duplicateStatus": DUPLICATE_STATUS,
        "claimMs": ms(CLAIM),
        "replayStoreTimeoutMs": ms(REPLAY_STORE_TIMEOUT),
        "capacity": REPLAY_CAPACITY,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_time_that_is_none_is_refused_by_its_name() {
        for ms in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            let message = read_ttl("ttlMs", ms).unwrap_err().message;
            assert!(
                message.starts_with("ttlMs must be a finite number"),
                "{message}"
            );
        }
        assert_eq!(read_ttl("ttlMs", 0.0), Ok(Duration::ZERO));
        assert_eq!(read_ttl("ttlMs", 1500.0), Ok(Duration::from_millis(1500)));
        assert_eq!(read_ttl("ttlMs", f64::MAX), Ok(Duration::MAX));
    }

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
    fn a_short_life_is_no_reason_to_make_room() {
        let mut store = MemoryReplayStore::new(2);
        assert!(store.remember("handled", 1440 * MINUTE, 0));
        assert!(store.remember("being handled", MINUTE, 0));
        assert!(store.remember("another", 1440 * MINUTE, 0));
        assert!(store.has("being handled", 0) && !store.has("handled", 0));
    }

    #[test]
    fn expired_keys_are_removed_without_being_looked_up_again() {
        let mut store = MemoryReplayStore::default();
        for n in 0..100 {
            store.remember(&n.to_string(), MINUTE, 0);
        }
        store.remember("later", MINUTE, 60_001);
        assert_eq!(store.len(), 1);
    }
}
