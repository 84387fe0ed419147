//! The store of cursors: the last event id of each reader, across restarts.

use std::pin::Pin;

use crate::error::Outcome;

/// The future of a store's answer.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Outcome<T>> + Send + 'a>>;

/// Keeps places by name. A place is the stream's own: the id of an event, opaque to us.
///
/// A place is stored after what comes before it was handled, so a crash in between means that something comes twice,
/// and never that something is missed.
pub trait CursorStore: Send + Sync {
    /// The place that was stored last; `None` when there is none.
    fn load<'a>(&'a self, name: &'a str) -> StoreFuture<'a, Option<String>>;

    /// Stores a place in the stead of the last one.
    fn store<'a>(&'a self, name: &'a str, event_id: &'a str) -> StoreFuture<'a, ()>;
}
