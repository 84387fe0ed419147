//! Calls by number, and whose turn it is.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    task::Wake,
};

use moorline_core::resilience::{call::Call, deadline::Deadline};
use serde_json::Value as Json;

use super::lock;

/// Calls by number. A number is used again once its call is over.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) running: Vec<Option<(Call, Deadline)>>,
    free: Vec<u32>,
    /// The step of the last call that may not go, as JSON.
    pub(super) step: Json,
}

/// Calls whose turn in the bulkhead has come.
#[derive(Default)]
pub(super) struct Turns(pub(super) Mutex<VecDeque<u32>>);

pub(super) struct Turn {
    pub(super) turns: Arc<Turns>,
    pub(super) id: u32,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        lock(&self.turns.0).push_back(self.id);
    }
}

impl Calls {
    pub(super) fn insert(&mut self, call: Call) -> u32 {
        let entry = Some((call, Deadline::NEVER));
        if let Some(id) = self.free.pop() {
            self.running[id as usize] = entry;
            return id;
        }
        self.running.push(entry);
        self.running.len() as u32 - 1
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut (Call, Deadline)> {
        self.running.get_mut(id as usize)?.as_mut()
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<(Call, Deadline)> {
        let call = self.running.get_mut(id as usize)?.take()?;
        self.free.push(id);
        Some(call)
    }
}
