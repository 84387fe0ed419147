//! Floor 1: connects.
//!
//! One module per service. Each is a pipeline of the decisions of `moorline-core` around driver calls on tokio;
//! nothing here knows JavaScript. Every module has the same files: `config` (the only place of a default),
//! `connect`, `service`, `error`.

pub mod http;
pub mod nixtla;
