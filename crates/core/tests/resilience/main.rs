//! Policies: breakers, limits, retries, and the pipeline they form.

mod breaker;
mod call_table;
mod config;
mod limits;
mod pipeline;
mod registry;
mod retry;
mod turns;
