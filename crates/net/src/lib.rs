//! Floor 1: carries bytes, connections and calls.
//!
//! Reaching a host ([`dial`]), HTTP ([`http`]), pools of connections ([`pool`]) and of objects that live elsewhere
//! ([`object_pool`]), SSH sessions ([`ssh`]), operations under a resilience pipeline ([`pipeline`]), queues of what was received
//! ([`receive_queue`]) and secrets that users' functions give ([`secret_requests`]). It drives the state machines of `moorline-core` and knows no service.

#![forbid(unsafe_code)]

pub mod blocking;
pub mod dial;
pub mod header;
pub mod http;
pub mod object_pool;
pub mod pipeline;
pub mod pool;
pub mod receive_queue;
pub mod secret_requests;
pub mod ssh;
