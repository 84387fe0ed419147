//! The calls that every borrower makes, written by hand.

use std::ffi::CStr;

use moorline_net::object_pool::ObjectPool;
use napi::Result;

use crate::bridge::{Call, Exports, Function, ReturnValue};

/// Adds the hand-written functions.
pub(crate) fn register(exports: &Exports) -> Result<()> {
    exports.add::<Take>()?;
    exports.add::<Release>()
}

/// `objectPoolTake(pool)`: the number of a free object at once, or undefined when there is none.
struct Take;

impl Function for Take {
    const NAME: &'static CStr = c"objectPoolTake";
    fn run(call: &Call) -> ReturnValue {
        let object = call.handle::<ObjectPool>(0).and_then(|pool| pool.take());
        object.map_or(ReturnValue::Undefined, |number| {
            ReturnValue::Number(f64::from(number))
        })
    }
}

/// `objectPoolRelease(pool, object, usable)`: gives an object back; false when it is not borrowed.
struct Release;

impl Function for Release {
    const NAME: &'static CStr = c"objectPoolRelease";
    fn run(call: &Call) -> ReturnValue {
        let (Some(pool), Some(number)) = (call.handle::<ObjectPool>(0), call.index(1)) else {
            return ReturnValue::Bool(false);
        };
        ReturnValue::Bool(pool.release(number, call.flag(2) != Some(false)))
    }
}
