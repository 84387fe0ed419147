//! Protocol-independent connection rules: options, policies, metrics, security levels.

pub mod config;
pub mod defaults;
pub mod failure;
pub mod metrics;
pub mod policy;
pub mod pool;
pub mod retry;
pub mod security;
pub mod tracker;
pub mod transport;
pub mod variables;
