//! The libSQL service.

mod config;
