//! A policy as JavaScript holds it: its calls, its clock, and its breaker's listener.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use moorline_core::{
    limit::Limit,
    resilience::{call_table::CallTable, registry::Watcher},
    sync::lock,
};
use serde_json::Value as Json;

use super::{clock::Clock, encode::encode_not_admitted};

/// A policy of one JavaScript environment.
pub struct Policy {
    pub(crate) calls: CallTable,
    /// The clock that all times are read from.
    pub(crate) clock: Clock,
    /// The answer to the last call that could not go, as JSON.
    not_admitted: Mutex<Json>,
    /// The breaker holds it weakly.
    watcher: Mutex<Option<Arc<Watcher>>>,
}

impl Policy {
    pub(crate) fn new(calls: CallTable) -> Self {
        Self {
            calls,
            clock: Clock::default(),
            not_admitted: Mutex::default(),
            watcher: Mutex::default(),
        }
    }

    /// The number of a call that may go; else the answer to it is the next one that `take_not_admitted` gives.
    pub(crate) fn admit(&self, id: Option<u32>, timeout: Limit<Duration>) -> Option<u32> {
        self.admit_at(id, timeout, Instant::now())
    }

    /// The same, where the time of the process was read already.
    pub(crate) fn admit_at(
        &self,
        id: Option<u32>,
        timeout: Limit<Duration>,
        now: Instant,
    ) -> Option<u32> {
        match self.calls.admit(id, timeout, self.clock.at(now)) {
            Ok(id) => Some(id),
            Err(answer) => {
                *lock(&self.not_admitted) = encode_not_admitted(answer);
                None
            }
        }
    }

    pub(super) fn take_not_admitted(&self) -> Json {
        lock(&self.not_admitted).take()
    }

    /// Keeps the watcher of its breaker for as long as the policy lives.
    pub(super) fn set_watcher(&self, watcher: Arc<Watcher>) {
        *lock(&self.watcher) = Some(watcher);
    }
}

/// A policy that goes away with its environment gives back what its calls hold in breakers that others share.
impl Drop for Policy {
    fn drop(&mut self) {
        self.calls.cancel_all_uncounted(self.clock.now());
    }
}
