//! A way to targets through another host, given to a dialer at construction.

use std::{future::pending, pin::Pin};

use moorline_core::error::Outcome;

use super::{target::Target, transport::ByteStream};

/// The future of a stream through a tunnel.
pub type TunnelFuture<'a> = Pin<Box<dyn Future<Output = Outcome<Box<dyn ByteStream>>> + Send + 'a>>;

/// The future of somebody who waits for a stream without room for it.
pub type CrowdedFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Opens byte streams to targets as they are seen from another host, which resolves their names.
pub trait Tunnel: Send + Sync {
    /// Opens a stream of its own to `target`; TLS is the caller's. Dropping the future leaves nothing open. The caller sets
    /// the time limit.
    fn open<'a>(&'a self, target: &'a Target) -> TunnelFuture<'a>;

    /// Whether there is no room for all who wait for a stream (default: there always is).
    fn is_crowded(&self) -> bool {
        false
    }

    /// Ready when that may have come about since the call.
    fn crowded(&self) -> CrowdedFuture<'_> {
        Box::pin(pending())
    }
}
