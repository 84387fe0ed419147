//! The calls that every borrower makes, written by hand.

use std::ffi::CStr;

use moorline_services::libsql::service::LibsqlPool;
use napi::Result;

use crate::{
    bridge::{Call, Exports, Function, ReturnValue},
    pool::{lease_argument, lease_value},
};

/// Adds the hand-written functions.
pub(crate) fn register(exports: &Exports) -> Result<()> {
    exports.add::<Take>()?;
    exports.add::<Release>()
}

/// Takes a free connection at once: its lease, or undefined when there is none.
struct Take;

impl Function for Take {
    const NAME: &'static CStr = c"libsqlTake";
    fn run(call: &Call) -> ReturnValue {
        let pool = call.handle::<LibsqlPool>(0);
        lease_value(pool.and_then(|pool| pool.take()))
    }
}

/// Releases a lease: false when it is not held.
struct Release;

impl Function for Release {
    const NAME: &'static CStr = c"libsqlRelease";
    fn run(call: &Call) -> ReturnValue {
        let released = call
            .handle::<LibsqlPool>(0)
            .zip(lease_argument(call, 1))
            .is_some_and(|(pool, lease)| pool.release(lease));
        ReturnValue::Bool(released)
    }
}
