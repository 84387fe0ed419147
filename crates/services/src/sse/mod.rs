//! Server-sent events: one stream at a time, as the HTML standard has it, over the HTTP engine.
//!
//! [`EventStreamClient`] asks for a stream and judges the answer; a task per open stream carries it from the
//! network through the parser into a bounded [`ReceiveQueue`](moorline_net::receive_queue::ReceiveQueue), which JavaScript empties once per wake-up. It makes one
//! attempt and reports how that went. Whether and when to connect again, with which id, is decided above by the one
//! retry machine; the ids and the times that a server sets travel among the events. Why the parser is our own:
//! docs/adr/0011-our-own-event-stream-parser.md.

mod batch;
mod config;
mod cursor;
mod driver;
mod error;
mod id;
mod parser;
#[cfg(test)]
mod parser_cases;
#[cfg(test)]
mod second_opinion;
mod service;

pub use batch::EventText;
pub use config::Config;
pub use cursor::{Cursor, OnWriteFailed};
pub use driver::Closed;
pub use id::is_sendable;
pub use service::{EventStream, EventStreamClient};
