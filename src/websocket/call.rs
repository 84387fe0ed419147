//! Sends of a connection: admitted by its policy and counted by its tracker, without a crossing for either.

use std::{
    mem,
    sync::{Arc, Mutex},
};

use moorline_core::sync::lock;
use moorline_services::websocket::{FlushResult, Socket};
use napi::{Env, Result};
use napi_derive::napi;

use crate::{
    bridge::{Handle, PromiseValue, promise},
    connection::{AdmittedCall, CallContext, metrics::ConnectionTracker},
    resilience::Policy,
};

/// A socket with the policy and the tracker of its connection, and the calls that are to be flushed.
pub struct PolicySocket {
    socket: Arc<Socket>,
    context: Arc<CallContext>,
    /// Calls whose message was pushed, and its bytes.
    pushed: Mutex<Vec<(AdmittedCall, u64)>>,
}

impl PolicySocket {
    /// Pushes a message under the policy: the number of its call; `None` where it has to wait.
    pub(super) fn push(&self, bytes: &[u8], is_text: bool) -> Option<u32> {
        let call = AdmittedCall::begin(&self.context)?;
        if !self.socket.push(bytes, is_text) {
            return None;
        }
        let id = call.id();
        lock(&self.pushed).push((call, bytes.len() as u64));
        id
    }

    /// Writes what was pushed, and counts it; false when not all of it could be written.
    pub(super) fn flush(&self) -> bool {
        let flushed = self.socket.flush() == FlushResult::Done;
        if flushed {
            let written = mem::take(&mut *lock(&self.pushed));
            self.count(written);
        }
        flushed
    }

    fn count(&self, written: Vec<(AdmittedCall, u64)>) {
        AdmittedCall::succeed_all(&self.context, written);
    }
}

/// A socket for the messages of a connection, each sent under `policy` and counted by `tracker`.
#[napi(catch_unwind, ts_return_type = "Handle<PolicySocket>")]
pub fn websocket_policy_socket(
    socket: Handle<Socket>,
    policy: Handle<Policy>,
    tracker: Handle<ConnectionTracker>,
) -> Handle<PolicySocket> {
    let context = CallContext {
        policy: policy.0,
        tracker: tracker.0,
    };
    Handle::new(PolicySocket {
        socket: socket.0,
        context: Arc::new(context),
        pushed: Mutex::default(),
    })
}

/// Waits until what was pushed is written, and counts it. Where that fails, the calls go on in JavaScript.
#[napi(catch_unwind, ts_return_type = "Promise<void>")]
pub fn websocket_calls_written(env: Env, socket: Handle<PolicySocket>) -> Result<PromiseValue> {
    let pushed = mem::take(&mut *lock(&socket.pushed));
    promise(&env, async move {
        match socket.socket.wait_until_written().await {
            Ok(()) => socket.count(pushed),
            Err(failure) => {
                for (call, _) in pushed {
                    call.hand_over();
                }
                return Err(failure);
            }
        }
        Ok(())
    })
}
