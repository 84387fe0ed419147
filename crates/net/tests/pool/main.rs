//! The asynchronous pool against a scripted server, on a paused clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

mod abandoned;
mod borrowing;
mod racing;
mod recycling;
mod server;
mod shutdown;
