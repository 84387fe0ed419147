//! What the functions need that the engine calls.

use std::ffi::c_int;

use crate::{Action, Authorization};

pub(crate) type Authorizer = Box<dyn FnMut(Action<'_>) -> Authorization + Send>;

/// The state of these functions for one connection. It lives at one address as long as the connection.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) authorizer: Option<Authorizer>,
    /// Whether the statement that runs nonblocking has begun to commit.
    pub(crate) has_begun_commit: bool,
    /// The number of pages at which the log is to be moved into the database; none where that is turned off.
    pub(crate) log_limit: c_int,
    /// The number of pages of the log after a commit that did not move it.
    pub(crate) log_pages: Option<c_int>,
}
