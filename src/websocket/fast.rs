//! The calls that every message makes, written by hand.

use std::ffi::CStr;

use moorline_services::websocket::{FlushResult, Socket};
use napi::Result;

use super::call::PolicySocket;
use crate::bridge::{Call, Exports, Function, ReturnValue};

/// The return value in place of a call's number where its message has to wait.
const NOT_PUSHED: i32 = -1;

/// Adds the hand-written functions.
pub(crate) fn register(exports: &Exports) -> Result<()> {
    exports.add::<Push>()?;
    exports.add::<Flush>()?;
    exports.add::<PushCall>()?;
    exports.add::<FlushCalls>()?;
    exports.add::<Resume>()?;
    exports.add::<Pause>()?;
    exports.add::<Terminate>()?;
    exports.add::<KeepProcessAlive>()
}

/// Accepts a message at once; false when it must wait.
struct Push;

impl Function for Push {
    const NAME: &'static CStr = c"websocketPush";
    fn run(call: &Call) -> ReturnValue {
        let is_text = call.flag(2).unwrap_or(false);
        let pushed = call
            .handle::<Socket>(0)
            .and_then(|socket| call.with_bytes(1, |bytes| socket.push(bytes, is_text)));
        ReturnValue::Bool(pushed.unwrap_or(false))
    }
}

/// Writes what was pushed; false when not all of it could be.
struct Flush;

impl Function for Flush {
    const NAME: &'static CStr = c"websocketFlush";
    fn run(call: &Call) -> ReturnValue {
        let flushed = call.handle::<Socket>(0).map(|socket| socket.flush());
        ReturnValue::Bool(flushed == Some(FlushResult::Done))
    }
}

/// `websocketPushCall(socket, data, isText)`: the number of a call whose message was accepted at once, or -1.
struct PushCall;

impl Function for PushCall {
    const NAME: &'static CStr = c"websocketPushCall";
    fn run(call: &Call) -> ReturnValue {
        let is_text = call.flag(2).unwrap_or(false);
        let pushed = call
            .handle::<PolicySocket>(0)
            .and_then(|socket| call.with_bytes(1, |bytes| socket.push(bytes, is_text)));
        ReturnValue::Integer(pushed.flatten().map_or(NOT_PUSHED, |id| id as i32))
    }
}

/// `websocketFlushCalls(socket)`: writes what was pushed, and counts it; false when not all of it could be written.
struct FlushCalls;

impl Function for FlushCalls {
    const NAME: &'static CStr = c"websocketFlushCalls";
    fn run(call: &Call) -> ReturnValue {
        let socket = call.handle::<PolicySocket>(0);
        ReturnValue::Bool(socket.is_some_and(|socket| socket.flush()))
    }
}

/// Delivers received messages to the listener.
struct Resume;

impl Function for Resume {
    const NAME: &'static CStr = c"websocketResume";
    fn run(call: &Call) -> ReturnValue {
        if let Some(socket) = call.handle::<Socket>(0) {
            socket.resume();
        }
        ReturnValue::Undefined
    }
}

/// Stops delivery to the listener.
struct Pause;

impl Function for Pause {
    const NAME: &'static CStr = c"websocketPause";
    fn run(call: &Call) -> ReturnValue {
        if let Some(socket) = call.handle::<Socket>(0) {
            socket.pause();
        }
        ReturnValue::Undefined
    }
}

/// Ends a connection without a close frame.
struct Terminate;

impl Function for Terminate {
    const NAME: &'static CStr = c"websocketTerminate";
    fn run(call: &Call) -> ReturnValue {
        if let Some(socket) = call.handle::<Socket>(0) {
            socket.terminate();
        }
        ReturnValue::Undefined
    }
}

/// Keeps the process alive while a message is waited for.
struct KeepProcessAlive;

impl Function for KeepProcessAlive {
    const NAME: &'static CStr = c"websocketKeepProcessAlive";
    fn run(call: &Call) -> ReturnValue {
        call.keep_alive(call.flag(0).unwrap_or(false));
        ReturnValue::Undefined
    }
}
