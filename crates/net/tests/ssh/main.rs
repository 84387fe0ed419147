//! SSH sessions and tunnels, against a server by another implementation and against servers that misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

#[cfg(unix)]
mod agent;
mod authenticating;
mod channels;
mod exchanging;
mod flow;
mod hostile;
mod lifecycle;
mod raw;
mod server;
mod tunnel;
