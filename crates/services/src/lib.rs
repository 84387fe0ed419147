//! Floor 1: connects.
//!
//! One module per service. Each dials, authenticates and speaks its protocol, drives the state machines of
//! `moorline-core`, and never hears of JavaScript. Every service module has the same files: `config` (raw
//! options to normalized ones, the only place a default appears), `connect`, `service`, `error` (driver
//! errors to the one taxonomy) and `mod` (its story).

#![forbid(unsafe_code)]

mod blocking;
pub mod dial;
mod header;
pub mod http;
pub mod inbox;
pub mod libsql;
pub mod nixtla;
pub mod pipeline;
pub mod pool;
pub mod sse;
pub mod websocket;
