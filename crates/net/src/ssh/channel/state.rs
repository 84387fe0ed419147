//! The state that a channel's owner and the driver of its session share.

use std::{
    io,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
};

use bytes::{Buf, BytesMut};
use moorline_core::{error::Failure, sync::lock};
use tokio::io::ReadBuf;

use super::buffer::ReceiveBuffer;

/// The data that wait to be sent, at most.
const SEND_BYTES: usize = 128 * 1024;
/// The room that must be there before a writer is woken.
const SEND_ROOM_BYTES: usize = SEND_BYTES / 2;
/// As OpenSSH, the window is opened again once three of the largest packets were read.
const ADJUST_BYTES: u32 = 3 * super::MAX_DATA_BYTES;

/// What both sides share.
pub(crate) struct ChannelShared {
    pub(crate) id: u32,
    state: Mutex<ChannelState>,
    received: AtomicU64,
    sent: AtomicU64,
}

impl ChannelShared {
    pub(crate) fn new(id: u32, window: u32) -> Self {
        Self {
            id,
            state: Mutex::new(ChannelState {
                receive: ReceiveBuffer::default(),
                consumed: 0,
                adjust_at: ADJUST_BYTES.min(window / 2).max(1),
                read_waker: None,
                write_waker: None,
                send: BytesMut::new(),
                is_eof: false,
                is_closed: false,
                failure: None,
                is_shut_down: false,
                is_dropped: false,
                is_queued: false,
            }),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, ChannelState> {
        lock(&self.state)
    }

    pub(crate) fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> (u64, u64) {
        (
            self.received.load(Ordering::Relaxed),
            self.sent.load(Ordering::Relaxed),
        )
    }
}

/// The state of a channel.
pub(crate) struct ChannelState {
    receive: ReceiveBuffer,
    /// What was read and not given back to the window.
    consumed: u32,
    adjust_at: u32,
    read_waker: Option<Waker>,
    write_waker: Option<Waker>,
    send: BytesMut,
    /// The server sends no more.
    is_eof: bool,
    /// The server has closed the channel.
    is_closed: bool,
    /// Why the session is over.
    failure: Option<Failure>,
    /// The owner writes no more.
    is_shut_down: bool,
    /// The owner is gone.
    is_dropped: bool,
    /// Whether the driver is to look at it.
    is_queued: bool,
}

/// What the driver has to do for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The bytes by which the window opens.
    pub(crate) adjust: u32,
    /// The bytes that wait to be sent.
    pub(crate) unsent: usize,
    pub(crate) is_shut_down: bool,
    pub(crate) is_dropped: bool,
}

/// The owner's side. What returns `true` wants the driver to be told.
impl ChannelState {
    /// Moves received data into `out`; `None` when there are none yet.
    pub(super) fn read(&mut self, out: &mut ReadBuf<'_>) -> Option<io::Result<bool>> {
        let count = self.receive.read(out);
        if count > 0 {
            return Some(Ok(self.consume(count)));
        }
        if let Some(failure) = &self.failure {
            return Some(Err(lost(failure)));
        }
        (self.is_eof || self.is_closed || out.remaining() == 0).then_some(Ok(false))
    }

    /// Takes data over to be sent, as much as there is room for; `None` when there is none.
    pub(super) fn write(
        &mut self,
        slices: &[io::IoSlice<'_>],
    ) -> Option<io::Result<(usize, bool)>> {
        if let Some(failure) = &self.failure {
            return Some(Err(lost(failure)));
        }
        if self.is_closed || self.is_shut_down {
            return Some(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut room = SEND_BYTES.saturating_sub(self.send.len());
        if room == 0 {
            return None;
        }
        let before = self.send.len();
        for slice in slices {
            let taken = slice.get(..room.min(slice.len())).unwrap_or_default();
            self.send.extend_from_slice(taken);
            room -= taken.len();
        }
        let count = self.send.len() - before;
        Some(Ok((count, count > 0 && self.queue())))
    }

    pub(super) fn wait_to_read(&mut self, waker: &Waker) {
        keep(&mut self.read_waker, waker);
    }

    pub(super) fn wait_to_write(&mut self, waker: &Waker) {
        keep(&mut self.write_waker, waker);
    }

    pub(super) fn shut_down(&mut self) -> bool {
        self.is_shut_down = true;
        self.queue()
    }

    pub(super) fn abandon(&mut self) -> bool {
        self.is_dropped = true;
        self.receive.clear();
        (self.read_waker, self.write_waker) = (None, None);
        self.queue()
    }
}

/// The driver's side.
impl ChannelState {
    /// Takes over a payload whose data begin at `start`.
    pub(crate) fn receive(&mut self, payload: Vec<u8>, start: usize) {
        if self.is_dropped {
            return;
        }
        self.receive.push(payload, start);
        self.wake_reader();
    }

    /// Counts received data as read.
    pub(crate) fn consume(&mut self, count: usize) -> bool {
        // Never more than the window.
        self.consumed = self.consumed.saturating_add(count as u32);
        self.consumed >= self.adjust_at && !self.is_eof && self.queue()
    }

    /// What is to be done now, after which it is not queued any more.
    pub(crate) fn take_due(&mut self) -> Due {
        self.is_queued = false;
        let adjust = if self.consumed >= self.adjust_at && !self.is_eof && !self.is_dropped {
            std::mem::take(&mut self.consumed)
        } else {
            0
        };
        Due {
            adjust,
            unsent: self.send.len(),
            is_shut_down: self.is_shut_down,
            is_dropped: self.is_dropped,
        }
    }

    /// Whether its owner is gone.
    pub(crate) const fn is_abandoned(&self) -> bool {
        self.is_dropped
    }

    /// Marks it as queued; `true` unless it was.
    pub(crate) fn queue(&mut self) -> bool {
        !std::mem::replace(&mut self.is_queued, true)
    }

    /// The first bytes that wait to be sent.
    pub(crate) fn unsent(&self, count: usize) -> &[u8] {
        self.send.get(..count).unwrap_or_default()
    }

    /// Drops bytes that were sent, and wakes the writer when there is room.
    pub(crate) fn advance(&mut self, count: usize) {
        self.send.advance(count.min(self.send.len()));
        if self.send.is_empty() {
            // The memory of a burst is not kept.
            self.send = BytesMut::new();
        }
        if SEND_BYTES - self.send.len() >= SEND_ROOM_BYTES
            && let Some(waker) = self.write_waker.take()
        {
            waker.wake();
        }
    }

    pub(crate) fn on_eof(&mut self) {
        self.is_eof = true;
        self.wake_reader();
    }

    pub(crate) fn on_close(&mut self) {
        self.is_closed = true;
        self.end();
    }

    pub(crate) fn on_session_end(&mut self, failure: &Failure) {
        if !self.is_closed {
            self.failure = Some(failure.clone());
        }
        self.end();
    }

    fn end(&mut self) {
        self.send = BytesMut::new();
        self.wake_reader();
        if let Some(waker) = self.write_waker.take() {
            waker.wake();
        }
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.read_waker.take() {
            waker.wake();
        }
    }
}

fn keep(kept: &mut Option<Waker>, waker: &Waker) {
    match kept {
        Some(kept) => kept.clone_from(waker),
        None => *kept = Some(waker.clone()),
    }
}

fn lost(failure: &Failure) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, failure.clone())
}
