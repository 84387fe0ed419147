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
    /// The number of frames at which a commit moves the log into the database; none where that is turned off.
    pub(crate) checkpoint_frames: c_int,
    /// Whether a commit that had to leave this to a later one has reached that number.
    pub(crate) is_checkpoint_due: bool,
}
