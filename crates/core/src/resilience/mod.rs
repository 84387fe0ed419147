//! Resilience: retry, breaker, limiter, bulkhead and deadline, and their order.
//!
//! ```text
//! deadline ⊃ [call breaker] ⊃ retry(budget) ⊃ ( bulkhead → limiter → [attempt breaker] → attempt timeout → operation )
//! ```
//!
//! Every part is a machine without a clock: it takes `now` and answers with a decision. [`pipeline::Pipeline`]
//! puts them in order; the driver of a [`call::Call`] (an async task in the services, a loop in JavaScript) only sleeps for the
//! durations it is told and reports what came of each attempt.

pub mod breaker;
pub mod breaker_metrics;
pub mod budget;
pub mod bulkhead;
pub mod call;
pub mod call_table;
pub mod config;
pub mod deadline;
pub mod describe;
pub mod idempotency;
pub mod limiter;
pub mod outcome;
pub mod pipeline;
pub mod policy_metrics;
pub mod refusal;
pub mod registry;
pub mod retry;
pub mod retry_after;
mod snapshot;
mod window;
