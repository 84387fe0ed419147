//! A way to targets through another host, given to a dialer at construction.

use std::{
    future::{pending, ready},
    path::PathBuf,
    pin::Pin,
};

use moorline_core::error::{Delivery, Failure, Kind, Outcome};

use super::{target::Target, transport::ByteStream};

/// The future of a stream through a tunnel.
pub type TunnelFuture<'a> = Pin<Box<dyn Future<Output = Outcome<Box<dyn ByteStream>>> + Send + 'a>>;

/// The future of somebody who waits for a stream without room for it.
pub type CrowdedFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Where a tunnel leads to by itself, as its options say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelEnd {
    /// The address that it leads to, as the far end sees it.
    pub address: TunnelAddress,
    /// The port of this machine that leads there, where there is one.
    pub local_port: Option<u16>,
}

/// An address as the far end of a tunnel sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunnelAddress {
    /// A port of a host.
    Host(String, u16),
    /// A Unix socket.
    Socket(PathBuf),
}

/// Opens byte streams to targets as they are seen from another host, which resolves their names.
pub trait Tunnel: Send + Sync {
    /// Opens a stream of its own to `target`; TLS is the caller's. Dropping the future leaves nothing open. The caller sets
    /// the time limit.
    fn open<'a>(&'a self, target: &'a Target) -> TunnelFuture<'a>;

    /// Opens a stream of its own to a Unix socket of the far end, in the same way (default: it cannot).
    fn open_path<'a>(&'a self, path: &'a str) -> TunnelFuture<'a> {
        let message = format!("the tunnel leads to no Unix sockets, such as {path}");
        let failure = Failure::new(Kind::Rejected, message).with_delivery(Delivery::None);
        Box::pin(ready(Err(failure)))
    }

    /// Where it leads to by itself (default: nowhere).
    fn end(&self) -> Option<TunnelEnd> {
        None
    }

    /// Whether there is no room for all who wait for a stream (default: there always is).
    fn is_crowded(&self) -> bool {
        false
    }

    /// Ready when that may have come about since the call.
    fn crowded(&self) -> CrowdedFuture<'_> {
        Box::pin(pending())
    }
}
