//! PostgreSQL, against servers that follow a script.

#![allow(clippy::unwrap_used)] // clippy spares the tests themselves, not what they call

mod greeting;
mod passwords;
mod server;
mod servers;
mod session;
