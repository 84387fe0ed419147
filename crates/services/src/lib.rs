//! Floor 2: speaks the protocol of each service.
//!
//! One module per service, none of which uses another. Each authenticates and speaks its protocol over the connections
//! of `moorline-net`, and knows nothing of JavaScript. Every service module has the same files: `config` (raw options
//! to normalized ones, the only place a default appears), `connect`, `service`, `error` (driver errors to the one
//! taxonomy) and `mod` (its overview).

#![forbid(unsafe_code)]

pub mod libsql;
pub mod nixtla;
pub mod postgres;
pub mod sse;
pub mod websocket;
