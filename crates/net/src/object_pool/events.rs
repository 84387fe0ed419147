//! The events of a pool of objects, in terms of its objects.

use std::sync::Arc;

use moorline_core::{error::Kind, sync::lock};

use super::{Leases, ObjectOwner, ObjectPoolEvent};
use crate::pool::{Event, PoolListener};

/// Forwards the events that the owner cannot observe: leaks, by object, and failures in the background.
pub(super) struct PoolEvents {
    pub(super) owner: Arc<dyn ObjectOwner>,
    pub(super) leases: Leases,
}

impl PoolListener for PoolEvents {
    fn on_event(&self, event: Event) {
        self.owner.on_event(match event {
            Event::Leak { lease, held } => {
                let leases = lock(&self.leases);
                let object = leases.iter().find(|(_, of)| **of == lease);
                ObjectPoolEvent::Leak {
                    object: object.map(|(number, _)| *number),
                    held,
                }
            }
            Event::Drain => ObjectPoolEvent::Drain,
            // The owner reported a failed creation itself.
            Event::Error(failure)
                if failure.kind != Kind::Connect || failure.code == "ETIMEDOUT" =>
            {
                ObjectPoolEvent::Error(failure.during("pool", "acquire"))
            }
            _ => return,
        });
    }
}
