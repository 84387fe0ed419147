//! How a request is taken back.

use super::Response;

/// The number of a request on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::postgres) struct RequestId(pub(super) u64);

/// The outcome of taking back a request.
pub(in crate::postgres) enum Withdrawal {
    /// Nothing of it was sent: it is gone.
    Unsent(Box<dyn Response>),
    /// It was sent; [`super::Link::turn`] says when it can be cancelled.
    Sent,
    /// It was answered.
    Answered,
}

/// Whether a request that was withdrawn can be cancelled at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::postgres) enum Turn {
    /// The server works on it, and on nothing after it that anybody waits for. Nothing more is sent until
    /// [`super::Link::release`].
    Now,
    /// Another one is to be answered first, or was sent after it, which a cancellation could hit.
    Later,
    /// It was answered.
    Over,
}
