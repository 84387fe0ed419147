//! A connection in use by a request.

use std::sync::Arc;

use http::Request;
use tokio::sync::OwnedSemaphorePermit;

use super::{OriginConnector, PooledHttp};
use crate::{
    http::{
        body::RequestBody,
        byte_count::{ByteCounter, CountingStream},
        h1::{H1, SendResult},
        h2::{H2, StreamGuard},
    },
    pool::PooledConnection,
};

/// The slot of a connection in the pool.
pub(in crate::http) type PooledHttpConnection = PooledConnection<OriginConnector>;

/// A connection to send one request on.
pub(in crate::http) enum Checkout {
    H1 {
        h1: Box<H1>,
        pooled: PooledHttpConnection,
    },
    H2 {
        h2: H2,
        _in_use: StreamGuard,
        _permit: OwnedSemaphorePermit,
        reused: bool,
    },
}

impl Checkout {
    pub(in crate::http) fn is_reused(&self) -> bool {
        match self {
            Self::H1 { h1, .. } => h1.used,
            Self::H2 { reused, .. } => *reused,
        }
    }

    /// Whether other requests use the same connection.
    pub(in crate::http) fn is_shared(&self) -> bool {
        matches!(self, Self::H2 { .. })
    }

    /// The counter of the bytes of this request, where it has the connection for itself.
    pub(in crate::http) fn byte_counter(&self) -> Option<Arc<ByteCounter>> {
        match self {
            Self::H1 { h1, .. } => Some(Arc::clone(&h1.byte_counter)),
            Self::H2 { .. } => None,
        }
    }

    /// Sends a request and returns the head of its response; with `hold_body` hyper gets nothing behind that, where the
    /// request has the connection for itself.
    pub(in crate::http) async fn send(
        &mut self,
        message: Request<RequestBody>,
        hold_body: bool,
    ) -> SendResult {
        match self {
            Self::H1 { h1, .. } => h1.send(message, hold_body).await,
            Self::H2 { h2, .. } => h2.sender.try_send_request(message).await.map_err(Box::new),
        }
    }

    /// The connection without hyper, where that has got no body and has nothing left to write; it is open for as long as
    /// the slot is held.
    pub(in crate::http) fn detach(self) -> Result<(CountingStream, PooledHttpConnection), Self> {
        match self {
            Self::H1 { h1, pooled } if h1.byte_counter.is_detachable() => {
                h1.byte_counter.release_body();
                Ok((h1.into_stream(), pooled))
            }
            attached => Err(attached),
        }
    }

    /// Lets hyper have the body.
    pub(in crate::http) fn release_body(&self) {
        if let Some(counter) = self.byte_counter() {
            counter.release_body();
        }
    }

    /// The number of bytes received from the server so far, on a connection that others use as well.
    pub(in crate::http) fn bytes_received(&self) -> u64 {
        match self {
            Self::H1 { .. } => 0,
            Self::H2 { h2, .. } => h2.bytes_received(),
        }
    }

    /// The request is over; the connection may carry another.
    pub(in crate::http) fn finish(self) {
        if let Self::H1 { mut h1, pooled } = self
            && h1.is_ready()
        {
            pooled.with(|connection| *connection = PooledHttp::H1(h1));
        }
    }
}
