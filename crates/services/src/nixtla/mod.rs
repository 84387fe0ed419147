//! Nixtla: forecasts and anomalies by TimeGPT, with a local model as the fallback.
//!
//! Calls have retries and a breaker; the local model answers when the service cannot.
//!
//! The wire format is that of the vendor's own client (nixtla 0.9.0 for Python): flat arrays, one request for many
//! series. A request is read and checked whole before anything is sent ([`request`], [`series`], [`frequency`]),
//! written once ([`payload`]), sent once for each attempt ([`connect`], [`service`]), and the reply
//! joined with the times and names of the series ([`result`]). [`local`] answers the same requests by itself.
//!
//! No `bench`: the time of a call is that of the service's model, whichever client asks.

mod account;
pub mod call_limits;
pub mod config;
mod connect;
mod error;
mod fallback;
pub mod frequency;
pub mod jobs;
pub mod local;
pub mod moment;
mod payload;
mod reply;
pub mod request;
pub mod result;
pub mod series;
pub mod service;
mod window;

/// The name in failures, breakers and events.
pub const SERVICE: &str = "nixtla";
