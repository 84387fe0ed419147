//! Floor 0: decides.
//!
//! Policies, state machines, signatures and the error taxonomy that every service shares. Nothing here
//! opens a socket, waits, reads a clock on its own or knows JavaScript: time comes in as an argument, and
//! what has to happen goes out as a return value. That is what makes it possible to test all of it without
//! sleeping, and to use it from every service and, across the bridge, from `lib/`.

#![forbid(unsafe_code)]

pub mod clock;
pub mod connection;
pub mod cursor;
pub mod environment;
pub mod error;
pub mod health;
pub mod json;
pub mod limit;
pub mod metrics;
pub mod options;
pub mod pool;
pub mod profile;
pub mod resilience;
pub mod resolve;
pub mod secret;
pub mod ssh;
pub mod sync;
pub mod webhook;
