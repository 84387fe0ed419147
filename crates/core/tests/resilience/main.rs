//! Policies: breakers, limits, retries, and the pipeline they form.

mod breaker;
mod config;
mod limits;
mod pipeline;
mod registry;
mod retry;
mod turns;
