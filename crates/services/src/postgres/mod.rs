//! PostgreSQL: a connection of our own over the messages of `postgres-protocol`, pooled by the one pool
//! (docs/adr/0016-a-connection-to-postgresql-of-our-own.md).
//!
//! A task drives each connection: it writes statements as they are handed over, and gives the answers to those who wait for them.
//! Results are written as the text that JavaScript parses fastest. What a borrower leaves is removed before anybody else gets
//! the connection.

pub mod address;
mod auth;
mod call;
mod command_tag;
pub mod config;
pub mod connect;
pub mod connection;
pub mod driver;
pub mod error;
mod frame;
pub mod message_queue;
pub mod metrics;
mod negotiation;
pub mod password;
mod policy;
pub mod result;
pub mod service;
mod session_sharing;
mod session_state;
pub mod session_target;
pub mod statement;
mod statement_cache;
