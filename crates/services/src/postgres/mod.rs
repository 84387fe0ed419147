//! PostgreSQL: a connection of our own over the messages of `postgres-protocol`, pooled by the one pool.

pub mod address;
mod auth;
pub mod config;
pub mod connect;
pub mod connection;
pub mod driver;
pub mod error;
mod frame;
mod negotiation;
pub mod password;
pub mod result;
pub mod service;
mod session_state;
pub mod session_target;
pub mod statement;
