//! A channel of a tunnel as a byte stream, and the right to have one.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use moorline_core::{
    error::{Failure, Outcome},
    ssh::{ChannelTicket, SessionId},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

use super::inner::TunnelInner;
use crate::ssh::{Channel, ChannelStats, Session};

/// The right to one channel of a session; dropping it gives it to who waits.
pub(super) struct Permit {
    inner: Arc<TunnelInner>,
    id: SessionId,
    pub(super) session: Arc<Session>,
}

impl Permit {
    pub(super) const fn new(inner: Arc<TunnelInner>, id: SessionId, session: Arc<Session>) -> Self {
        Self { inner, id, session }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let id = self.id;
        self.inner
            .update(|state, _, now| state.ledger.release(id, now.into_std()));
    }
}

/// A place in the line for a channel; dropping it leaves the line.
pub(super) struct QueuedRequest {
    inner: Arc<TunnelInner>,
    ticket: ChannelTicket,
    receiver: oneshot::Receiver<Outcome<Permit>>,
}

impl QueuedRequest {
    pub(super) const fn new(
        inner: Arc<TunnelInner>,
        ticket: ChannelTicket,
        receiver: oneshot::Receiver<Outcome<Permit>>,
    ) -> Self {
        Self {
            inner,
            ticket,
            receiver,
        }
    }

    pub(super) async fn outcome(mut self) -> Outcome<Permit> {
        let outcome = (&mut self.receiver).await;
        outcome.unwrap_or_else(|_| Err(Failure::defect()))
    }
}

impl Drop for QueuedRequest {
    fn drop(&mut self) {
        let ticket = self.ticket;
        self.inner.update(|state, _, _| state.leave(ticket));
    }
}

/// A stream through a tunnel, which has a channel of its own. Dropping it closes the channel.
pub struct TunnelStream {
    // Before the permit, so that it is closed before another is opened.
    channel: Channel,
    _permit: Permit,
}

impl TunnelStream {
    pub(super) const fn new(channel: Channel, permit: Permit) -> Self {
        Self {
            channel,
            _permit: permit,
        }
    }

    /// The bytes carried so far.
    pub fn stats(&self) -> ChannelStats {
        self.channel.stats()
    }
}

impl AsyncRead for TunnelStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.channel).poll_read(context, buffer)
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.channel).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.channel).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.channel.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.channel).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.channel).poll_shutdown(context)
    }
}

impl fmt::Debug for TunnelStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TunnelStream").field(&self.channel).finish()
    }
}
