//! The Nixtla client against a server that speaks the service's wire format, and misbehaves on demand.

#![allow(clippy::unwrap_used)] // clippy spares the tests themselves, not what they call

mod answers;
mod client;
mod double;
mod jobs;
mod local;
mod resilience;
