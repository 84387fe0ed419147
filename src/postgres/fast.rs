//! The calls that every borrower makes, written by hand.

use std::ffi::CStr;

use moorline_core::pool::Lease;
use moorline_services::postgres::service::PostgresPool;
use napi::Result;

use crate::bridge::{Call, Exports, Function, ReturnValue};

/// Adds the hand-written functions.
pub(crate) fn register(exports: &Exports) -> Result<()> {
    exports.add::<Take>()?;
    exports.add::<Release>()
}

/// `postgresTake(pool)`: the lease of a free connection, or undefined when there is none.
struct Take;

impl Function for Take {
    const NAME: &'static CStr = c"postgresTake";
    fn run(call: &Call) -> ReturnValue {
        call.handle::<PostgresPool>(0)
            .and_then(|pool| pool.take())
            .map_or(ReturnValue::Undefined, |lease| {
                ReturnValue::Number(lease.number() as f64)
            })
    }
}

/// `postgresRelease(pool, lease, usable)`: false when it is not held.
struct Release;

impl Function for Release {
    const NAME: &'static CStr = c"postgresRelease";
    fn run(call: &Call) -> ReturnValue {
        let usable = call.flag(2) != Some(false);
        let released = call
            .handle::<PostgresPool>(0)
            .zip(call.number(1))
            .is_some_and(|(pool, lease)| pool.release(Lease::from_number(lease as u64), usable));
        ReturnValue::Bool(released)
    }
}
