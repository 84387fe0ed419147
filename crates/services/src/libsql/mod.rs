//! libSQL: files, memory and remote servers behind one pool.
//!
//! A connection to a file or to memory lives on a thread of its own, because the engine blocks; a remote one
//! is a stream of the Hrana protocol over the HTTP transport. Both write their results as the text that
//! JavaScript parses fastest. The pool hands out leases, and every operation on one keeps its deadline: when
//! that passes, the connection is discarded and its statement interrupted.

pub mod config;
pub mod connect;
pub mod cursor_store;
pub mod error;
pub mod local;
pub mod operation;
pub mod remote;
pub mod result;
pub mod service;
pub mod statement;
pub mod target;
mod uri;
