//! The ledger of a pool: single behaviours, and random interleavings of all of them.

mod behaviour;
mod interleavings;
mod recycling;
