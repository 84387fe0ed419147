//! Calls that have nothing to wait for: on a database of this machine, on a connection that is held or free.

use std::sync::Arc;

use moorline_core::pool::Lease;
use moorline_net::pool::PooledConnection;

use crate::libsql::{
    connect::{Connection, LibsqlConnector},
    local::in_flight::{InFlight, LeaseUse},
    result::ResultText,
    service::{Call, LibsqlPool},
    statement::Statement,
};

/// The lease of one call: its caller's, or one that is released when this is dropped.
pub struct CallLease {
    lease: Lease,
    borrowed: Option<PooledConnection<LibsqlConnector>>,
}

impl LibsqlPool {
    /// The lease for a call, where that can be had at once: the one that is `held`, or that of a free connection. `None` for a
    /// database on a server.
    pub fn lease_for_call(&self, held: Option<Lease>) -> Option<CallLease> {
        if !self.is_local {
            return None;
        }
        if let Some(lease) = held {
            let borrowed = None;
            return Some(CallLease { lease, borrowed });
        }
        self.pool.take().map(|borrowed| CallLease {
            lease: borrowed.lease(),
            borrowed: Some(borrowed),
        })
    }

    /// Runs `statement` on this thread, if it is known to be over in no time and waits for nothing. Otherwise it has had no
    /// effect, and is for [`Self::start`].
    pub fn run_inline(&self, on: &CallLease, statement: &Statement) -> Option<ResultText> {
        let local = |connection: &mut Connection| match connection {
            Connection::Local(connection) => Some(Arc::clone(connection)),
            Connection::Remote(_) => None,
        };
        let connection = self.pool.with(on.lease, local).ok().flatten()?;
        connection.run_inline(statement, self.int_mode)
    }

    /// Starts a call on the thread of its connection. True when its outcome may be expected within microseconds. The call
    /// comes back when its lease is not held.
    pub fn start(self: &Arc<Self>, on: CallLease, call: Call) -> Result<bool, Call> {
        let release_after = on.borrowed.is_some();
        // From here on the operation in flight releases it.
        let lease = match on.borrowed {
            Some(borrowed) => borrowed.into_lease(),
            None => on.lease,
        };
        let lease_use = LeaseUse {
            lease,
            release_after,
        };
        InFlight::submit(self, lease_use, call).map(|(_, is_quick)| is_quick)
    }
}
