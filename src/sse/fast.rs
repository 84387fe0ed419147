//! The call of every wait for an event, written by hand.

use std::ffi::CStr;

use napi::Result;

use crate::bridge::{Call, Exports, Function, ReturnValue};

/// Adds the hand-written function.
pub(crate) fn register(exports: &Exports) -> Result<()> {
    exports.add::<KeepProcessAlive>()
}

/// `sseKeepProcessAlive(wanted)`: keeps the process alive while an event is waited for.
struct KeepProcessAlive;

impl Function for KeepProcessAlive {
    const NAME: &'static CStr = c"sseKeepProcessAlive";
    fn run(call: &Call) -> ReturnValue {
        call.keep_alive(call.flag(0).unwrap_or(false));
        ReturnValue::Undefined
    }
}
