//! The one HTTP transport: every service that speaks HTTP without an HTTP connection object of its own
//! (Nixtla, libSQL's remote protocol) sends its requests here.
//!
//! There is one client per set of options, and one for all who take the defaults, so that connections are
//! shared. It follows no redirect and uses no proxy unless asked: an API call goes where it was sent, or fails.

mod client;
mod error;
mod off_runtime;

pub use client::HttpClient;
pub use error::{Phase, failure};
pub(crate) use off_runtime::off_runtime;
