//! The bookkeeping of a pool, without its connections.
//!
//! A [`Ledger`] knows slots, their holders and the waiters; it never sees a connection. The owner of the
//! connections asks it what to do and tells it what happened: the asynchronous pool of the services keeps
//! one connection per slot, a pool of JavaScript objects keeps them in a `Map`. Both therefore share the
//! same guarantees:
//!
//! - Never more than [`LedgerConfig::max`] connections exist: a slot is reserved before a connection is made
//!   and freed only when its connection is [confirmed closed](Ledger::on_closed).
//! - Waiters are served in the order they came, idle connections are reused last in, first out, and no
//!   waiter is forgotten: every call that frees a slot returns the [`Grant`] it leads to.
//! - Connections are made a few at once ([`LedgerConfig::max_connecting`]), and a connection on which its borrower left something
//!   is recycled before anybody else gets it.
//! - Each hand-out is a new [`Lease`]: a lease released twice, or never given out by this ledger, changes
//!   nothing for the present holder of the slot.
//! - Taking an idle connection and returning it allocates nothing.

mod config;
mod creation;
mod housekeeping;
mod ledger;
mod metrics;
mod refusal;
mod slot;
mod stats;
mod waiters;

pub use config::{LedgerConfig, OptionNames};
pub use creation::Created;
pub use housekeeping::{Leak, Shutdown};
pub use ledger::{Acquire, Condition, Grant, Ledger, Released};
pub use metrics::{PoolSeries, UsageSeries};
pub use refusal::{Refusal, acquire_timed_out, close_timed_out, connect_timed_out};
pub use slot::Lease;
pub use stats::{Counters, Stats, Waits};
pub use waiters::Ticket;
