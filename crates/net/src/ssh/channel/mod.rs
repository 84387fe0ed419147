//! Channels (RFC 4254, section 5): streams of bytes, each with a window of its own.
//!
//! A channel's window opens when its owner has read, so one that is not read holds at most a window of data, and none of the
//! others up. What is written waits in a bounded buffer for the server's window.

mod buffer;
mod state;
mod target;

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop,
};

pub(crate) use self::state::ChannelShared;
pub use self::target::ChannelTarget;
use super::driver::SessionShared;

/// The most data in one packet, both ways, as in OpenSSH.
pub(crate) const MAX_DATA_BYTES: u32 = 32 * 1024;

/// The bytes that a channel has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelStats {
    /// The bytes received from the target.
    pub received_bytes: u64,
    /// The bytes sent to it.
    pub sent_bytes: u64,
}

/// An open channel. Dropping it closes it, after what was written has been sent.
pub struct Channel {
    shared: Arc<ChannelShared>,
    session: Arc<SessionShared>,
}

impl Channel {
    pub(crate) fn new(shared: Arc<ChannelShared>, session: Arc<SessionShared>) -> Self {
        Self { shared, session }
    }

    /// The bytes carried so far.
    pub fn stats(&self) -> ChannelStats {
        let (received_bytes, sent_bytes) = self.shared.bytes();
        ChannelStats {
            received_bytes,
            sent_bytes,
        }
    }

    fn notify(&self, is_due: bool) {
        if is_due {
            self.session.queue_channel(self.shared.id);
        }
    }

    fn poll_write_slices(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let budget = ready!(coop::poll_proceed(context));
        let written = {
            let mut state = self.shared.lock();
            let written = state.write(slices);
            if written.is_none() {
                state.wait_to_write(context.waker());
            }
            written
        };
        let Some(written) = written else {
            return Poll::Pending;
        };
        budget.made_progress();
        let (count, is_due) = written?;
        self.notify(is_due);
        Poll::Ready(Ok(count))
    }
}

impl AsyncRead for Channel {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let budget = ready!(coop::poll_proceed(context));
        let read = {
            let mut state = self.shared.lock();
            let read = state.read(buffer);
            if read.is_none() {
                state.wait_to_read(context.waker());
            }
            read
        };
        let Some(read) = read else {
            return Poll::Pending;
        };
        budget.made_progress();
        self.notify(read?);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_slices(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_slices(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: what was written is on its way, as in a TCP socket.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends our side, after what was written.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_due = self.shared.lock().shut_down();
        self.notify(is_due);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let is_due = self.shared.lock().abandon();
        self.notify(is_due);
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("id", &self.shared.id)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
