//! The calls that every borrower makes, written by hand.

use std::{ffi::CStr, sync::Arc};

use moorline_services::postgres::{connection::Connection, service::PostgresPool};
use napi::Result;

use crate::{
    bridge::{Call, Exports, Function, ReturnValue},
    pool::{lease_argument, lease_value},
};

/// Adds the hand-written functions.
pub(crate) fn register(exports: &Exports) -> Result<()> {
    exports.add::<Take>()?;
    exports.add::<ConnectionId>()?;
    exports.add::<TransactionStatus>()?;
    exports.add::<Release>()
}

/// `postgresTake(pool)`: the lease of a free connection, or undefined when there is none.
struct Take;

impl Function for Take {
    const NAME: &'static CStr = c"postgresTake";
    fn run(call: &Call) -> ReturnValue {
        let pool = call.handle::<PostgresPool>(0);
        lease_value(pool.and_then(|pool| pool.take()))
    }
}

/// `postgresConnectionId(pool, lease)`: the number of the connection in this process; undefined when the lease is not held.
struct ConnectionId;

impl Function for ConnectionId {
    const NAME: &'static CStr = c"postgresConnectionId";
    fn run(call: &Call) -> ReturnValue {
        leased(call).map_or(ReturnValue::Undefined, |connection| {
            ReturnValue::Number(connection.id() as f64)
        })
    }
}

/// `postgresTransactionStatus(pool, lease)`: the letter of the state of the transaction, as a number; undefined when the lease is
/// not held.
struct TransactionStatus;

impl Function for TransactionStatus {
    const NAME: &'static CStr = c"postgresTransactionStatus";
    fn run(call: &Call) -> ReturnValue {
        leased(call).map_or(ReturnValue::Undefined, |connection| {
            ReturnValue::Integer(connection.transaction_status().letter().into())
        })
    }
}

fn leased(call: &Call) -> Option<Arc<Connection>> {
    let pool = call.handle::<PostgresPool>(0)?;
    pool.connection(lease_argument(call, 1)?).ok()
}

/// `postgresRelease(pool, lease, usable)`: false when it is not held.
struct Release;

impl Function for Release {
    const NAME: &'static CStr = c"postgresRelease";
    fn run(call: &Call) -> ReturnValue {
        let usable = call.flag(2) != Some(false);
        let released = call
            .handle::<PostgresPool>(0)
            .zip(lease_argument(call, 1))
            .is_some_and(|(pool, lease)| pool.release(lease, usable));
        ReturnValue::Bool(released)
    }
}
