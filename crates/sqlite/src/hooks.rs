//! What the functions need that the engine calls.

use std::time::Instant;

use crate::{Action, Authorization};

pub(crate) type Authorizer = Box<dyn FnMut(Action<'_>) -> Authorization + Send>;

/// The state of these functions for one connection. It lives at one address as long as the connection.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) authorizer: Option<Authorizer>,
    /// The moment from which on a running statement is interrupted.
    pub(crate) deadline: Option<Instant>,
}
