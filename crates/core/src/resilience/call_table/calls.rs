//! Calls by number, and the queue of those whose turn has come.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::Wake,
};

use super::super::{call::Call, deadline::Deadline};
use crate::sync::lock;

/// Calls by number, each with the deadline of its attempt. A number is used again once its call is over.
#[derive(Default)]
pub(super) struct Calls {
    entries: Vec<Option<(Call, Deadline)>>,
    free: Vec<u32>,
}

impl Calls {
    pub(super) fn insert(&mut self, call: Call) -> u32 {
        let entry = Some((call, Deadline::NEVER));
        if let Some(id) = self.free.pop() {
            self.entries[id as usize] = entry;
            return id;
        }
        if self.entries.is_empty() {
            // Many an owner makes one call at a time.
            self.entries.reserve_exact(1);
        }
        self.entries.push(entry);
        self.entries.len() as u32 - 1
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut (Call, Deadline)> {
        self.entries.get_mut(id as usize)?.as_mut()
    }

    /// Takes out every call.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Call> {
        self.free.clear();
        self.entries.drain(..).flatten().map(|(call, _)| call)
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<(Call, Deadline)> {
        let call = self.entries.get_mut(id as usize)?.take()?;
        self.free.push(id);
        Some(call)
    }
}

/// The numbers of queued calls whose turn in the bulkhead has come.
#[derive(Default)]
pub(super) struct ReadyQueue(Mutex<VecDeque<u32>>);

impl ReadyQueue {
    /// The next of them.
    pub(super) fn next(&self) -> Option<u32> {
        lock(&self.0).pop_front()
    }
}

/// The waker of one queued call.
pub(super) struct TurnWaker {
    pub(super) ready_queue: Arc<ReadyQueue>,
    pub(super) id: u32,
}

impl Wake for TurnWaker {
    fn wake(self: Arc<Self>) {
        lock(&self.ready_queue.0).push_back(self.id);
    }
}
