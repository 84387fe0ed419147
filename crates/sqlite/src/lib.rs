//! The engine of libSQL behind a safe interface.
//!
//! The functions are those of SQLite's C interface, as `libsql::ffi` declares them; no other SQLite is linked. What C
//! leaves to its caller is held here by types:
//!
//! - A [`Connection`] is opened without the engine's own lock (`SQLITE_OPEN_NOMUTEX`), which allows its use by one
//!   thread at a time. So it can be sent but not shared, and whatever touches the engine takes it by `&mut`. Only an
//!   [`InterruptHandle`] is shared, and loses its connection before that is closed.
//! - Compiled statements belong to their connection and are named by a [`StatementId`]; none outlives it.
//! - [`Connection::run`] lends arguments to the engine, and the engine's values to its caller, for the time of the
//!   call. Nothing is copied on the way, and values have a length, so that U+0000 is a character like any other.
//! - Functions that the engine calls catch their panics.
//!
//! [`Connection::run_nonblocking`] is for callers whose thread must not wait: nothing in it sleeps, waits for a lock
//! or reads from a disk.
//!
//! `unsafe` is allowed here and in the bridge, and nowhere else in the addon.

mod authorizer;
mod connection;
mod error;
mod hooks;
mod log;
mod nonblocking;
mod statement;
mod value;

pub use authorizer::{Action, Authorization};
pub use connection::{Connection, InterruptHandle};
pub use error::{Error, Result};
pub use log::LogSize;
pub use nonblocking::{NonblockingLimits, supports_nonblocking_reads};
pub use statement::{Column, Compilation, Row, RowSink, RunError, StatementId};
pub use value::{Value, ValueRef};
