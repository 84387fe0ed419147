//! Names to endpoints: what a resolver gives to whoever dials.

use std::{fmt, future::pending, net::SocketAddr, pin::Pin};

use crate::error::Outcome;

/// The future of a resolver's answer.
pub type ResolveFuture<'a> = Pin<Box<dyn Future<Output = Outcome<Vec<Endpoint>>> + Send + 'a>>;

/// An address at which a name is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The address, with the port.
    pub address: SocketAddr,
    /// Endpoints with a lower number are tried first (RFC 2782).
    pub priority: u16,
    /// The share of the connections, beside other endpoints of the same priority (RFC 2782).
    pub weight: u16,
}

impl From<SocketAddr> for Endpoint {
    /// An endpoint that is like all others.
    fn from(address: SocketAddr) -> Self {
        Self {
            address,
            priority: 0,
            weight: 1,
        }
    }
}

/// Resolves names.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// Resolves `name`. `port` is that of the endpoints, where the resolver's source has none. The caller sets the time limit.
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> ResolveFuture<'a>;

    /// Waits until the endpoints of `name` are others than `known`, and gives them. A resolver that is not told of changes
    /// waits for ever.
    fn changed<'a>(
        &'a self,
        _name: &'a str,
        _port: u16,
        _known: &'a [Endpoint],
    ) -> ResolveFuture<'a> {
        Box::pin(pending())
    }
}
