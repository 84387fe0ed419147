//! HTTP: the engine behind HTTP connections, event streams and libSQL servers, and a client for Nixtla.
//!
//! [`Engine`] keeps one [`pool`](crate::pool) of connections for each origin and sends requests over them. A
//! request's own task drives its HTTP/1 connection, so that no hop between tasks is paid for; an HTTP/2
//! connection is shared (docs/adr/0009-requests-drive-their-connections.md). Every wait has its limit, every failure says in which phase it came,
//! how many bytes had been written, and what that proves about delivery.
//!
//! [`ApiClient`] is reqwest, for Nixtla. There is one client per set of options,
//! and one for all who take the defaults, so that connections are shared. It follows no redirect and uses no
//! proxy unless asked: an API call goes where it was sent, or fails.

mod api_client;
mod body;
mod byte_count;
mod chunked;
mod config;
mod decode;
mod detached_body;
mod engine;
mod error;
mod h1;
mod h2;
mod head_scanner;
mod offload;
mod origin;
mod raw_body;
mod redirect;
mod request;
mod response;
mod timeouts;

pub use api_client::ApiClient;
pub use body::{BodyChunks, BodySender, BodySenders, RequestBody};
pub use config::CONNECTIONS_TIMEOUT;
pub use config::{CallConfig, HttpConfig};
pub use engine::Engine;
pub use error::{Phase, failure, unsendable};
pub use offload::offload;
pub use request::Request;
pub use response::{Response, ResponseBody, Streaming};
