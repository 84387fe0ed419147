//! The cancellation of a running future by an `AbortSignal`.

use tokio_util::sync::CancellationToken;

use super::Handle;

/// One call's means to be cancelled. `lib/` makes one only for a call that was given a signal, listens to
/// the signal itself, and rejects with the signal's own reason.
#[derive(Default)]
pub(crate) struct Cancel(CancellationToken);

impl Cancel {
    /// The token to hand to a service; one that never fires when the call has no signal.
    pub(crate) fn token(cancel: Option<&Handle<Cancel>>) -> CancellationToken {
        cancel.map_or_else(CancellationToken::new, |cancel| cancel.0.0.clone())
    }
}

/// A new means to cancel one call.
#[napi_derive::napi(catch_unwind, ts_return_type = "Handle<Cancel>")]
pub fn cancel_create() -> Handle<Cancel> {
    Handle::new(Cancel::default())
}

/// Cancels the call: its future is dropped, or stops at its next step.
#[napi_derive::napi(catch_unwind, ts_args_type = "cancel: Handle<Cancel>")]
pub fn cancel_fire(cancel: Handle<Cancel>) {
    cancel.0.0.cancel();
}
