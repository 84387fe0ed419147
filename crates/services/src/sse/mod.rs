//! Server-sent events: one stream at a time, by the HTML standard, over the HTTP engine.
//!
//! No `connect.rs`: a stream is the response to one HTTP request, so `moorline_net::http` connects.
//!
//! [`EventStreamClient`] asks for a stream and checks the response; a task per open stream carries it from the
//! network through the parser into a bounded [`ReceiveQueue`](moorline_net::receive_queue::ReceiveQueue), which JavaScript empties once per wake-up. It makes one
//! attempt and reports how that went. Whether and when to connect again, with which id, is decided above by the one
//! retry machine; the ids and the times that a server sets travel among the events. Why the parser is our own:
//! docs/adr/0011-our-own-event-stream-parser.md.

mod config;
mod cursor;
mod driver;
mod error;
mod event_queue;
mod id;
mod parser;
mod service;

pub use config::Config;
pub use cursor::{Cursor, OnWriteFailed};
pub use driver::StreamEnd;
pub use event_queue::{EventBatch, EventQueue};
pub use id::is_sendable;
pub use parser::{Event, FieldUpdate, Sink};
pub use service::{EventStream, EventStreamClient};
