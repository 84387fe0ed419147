//! WebSocket: one connection to a server, in both directions.
//!
//! tokio-tungstenite shakes hands and reads and writes the headers of frames; what happens between frames is
//! ours, because it does not know permessage-deflate, and because messages must cross to JavaScript in batches
//! (docs/adr/0010-websocket-frames-of-our-own.md). What is decided stands apart from what is done: [`receiver`], [`permessage_deflate`], [`deflate`],
//! [`send_queue`] and [`heartbeat`] are machines without sockets, and [`driver`] is the one task that
//! moves bytes between them and the wire. A sender over plain TCP writes to the socket directly, and leaves to
//! the driver only what the system does not take at once.

mod batch;
mod compressor;
mod config;
mod connect;
mod deflate;
mod driver;
mod error;
mod frame;
mod heartbeat;
mod permessage_deflate;
mod protocol_error;
mod receiver;
mod refusal;
mod request;
mod send_queue;
mod service;
mod shared;
mod stream;

pub use batch::{Batch, Entry, split_json_list};
pub use config::{Compression, Config, read_close, read_ping_timeout};
pub use driver::CloseEvent;
pub use permessage_deflate::Agreement;
pub use service::{FlushResult, Socket, WebSocketClient};
