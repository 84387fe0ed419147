//! The Nixtla client against a server with the service's wire format, and faults.

#![allow(clippy::unwrap_used)] // clippy spares the tests themselves, not what they call

mod answers;
mod client;
mod jobs;
mod local;
mod resilience;
mod test_server;
