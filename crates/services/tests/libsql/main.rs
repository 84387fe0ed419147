//! The libSQL service.

#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by unwrapping it"
)]

mod config;
mod remote;
mod server;
