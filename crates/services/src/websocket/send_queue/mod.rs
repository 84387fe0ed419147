//! What waits to be written: bounded, in order, each message with proof of how far it came.

use std::collections::VecDeque;

use bytes::Bytes;
use moorline_core::error::{Delivery, Failure};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{
    config::QueueBounds,
    frame::{FrameWriter, MAX_CONTROL_BYTES},
};

/// A buffer that grew beyond this is given back when it is empty.
const KEPT_BYTES: usize = 64 * 1024;
/// A peer that sends pings and does not read gets no more pongs than this.
const MAX_UNREAD_PONGS: u32 = 1000;

/// Whoever waits for messages to be written: told so, or how far they came.
pub(super) type Waiter = oneshot::Sender<Result<(), Delivery>>;

/// A message before it is a frame.
pub(super) struct Message {
    pub(super) bytes: Bytes,
    pub(super) text: bool,
}

/// What was made of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It will be written, unless the connection ends before.
    Accepted,
    /// There is no room, or others wait for it already.
    Full,
}

struct Waiting {
    ticket: u64,
    message: Message,
    waiter: Waiter,
}

/// The queue of one connection.
pub(super) struct SendQueue {
    bounds: QueueBounds,
    compress: bool,
    frames: FrameWriter,
    /// Frames, of which the first `head` bytes are written.
    buffer: Vec<u8>,
    head: usize,
    /// Pongs since the buffer was empty.
    unread_pongs: u32,
    /// Bytes written since the beginning.
    written: u64,
    /// The system takes no more at the moment.
    stuck: bool,
    /// How often it took more after that: each time, the peer had read.
    drained: u64,
    /// Where the messages that are frames begin and end in the stream of all bytes.
    frame_ranges: VecDeque<(u64, u64)>,
    /// The last frame is queued: nothing becomes a frame any more.
    sealed: bool,
    /// Messages to be compressed, and their bytes.
    raw: VecDeque<Message>,
    raw_bytes: usize,
    /// Messages accepted and messages written since the beginning.
    accepted: u64,
    settled: u64,
    /// Whoever waits for the messages from this number to that.
    waiters: VecDeque<(u64, u64, Waiter)>,
    /// Messages that wait for room.
    waiting: VecDeque<Waiting>,
    tickets: u64,
}

impl SendQueue {
    /// With `compress`, messages wait for [`Self::next_raw`] before they are frames.
    pub(super) fn new(bounds: QueueBounds, compress: bool) -> Self {
        Self {
            bounds,
            compress,
            frames: FrameWriter::new(),
            buffer: Vec::new(),
            head: 0,
            unread_pongs: 0,
            written: 0,
            stuck: false,
            drained: 0,
            frame_ranges: VecDeque::new(),
            sealed: false,
            raw: VecDeque::new(),
            raw_bytes: 0,
            accepted: 0,
            settled: 0,
            waiters: VecDeque::new(),
            waiting: VecDeque::new(),
            tickets: 0,
        }
    }

    /// Accepts a message when there is room, and nobody came before.
    pub(super) fn push(&mut self, bytes: &[u8], text: bool) -> Pushed {
        if self.sealed || !self.waiting.is_empty() || !self.has_room(bytes.len()) {
            return Pushed::Full;
        }
        if self.compress {
            self.accept_raw(Message {
                bytes: Bytes::copy_from_slice(bytes),
                text,
            });
        } else {
            self.accept_frame(bytes, text, false);
        }
        Pushed::Accepted
    }

    /// Queues a message whatever the room: it is accepted in its turn. The ticket takes it back until then.
    pub(super) fn push_waiting(&mut self, message: Message, waiter: Waiter) -> u64 {
        self.tickets += 1;
        if self.sealed {
            let _ = waiter.send(Err(Delivery::None));
            return self.tickets;
        }
        self.waiting.push_back(Waiting {
            ticket: self.tickets,
            message,
            waiter,
        });
        self.admit();
        self.tickets
    }

    /// Takes a message back that has not been accepted; false when it has.
    pub(super) fn take_back(&mut self, ticket: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.ticket != ticket);
        self.waiting.len() < before
    }

    /// Tells `waiter` when all that was accepted so far is written.
    pub(super) fn when_written(&mut self, waiter: Waiter) {
        if self.settled == self.accepted {
            let _ = waiter.send(Ok(()));
        } else {
            self.waiters
                .push_back((self.settled + 1, self.accepted, waiter));
        }
    }

    /// Appends a pong, unless so many wait already that the peer does not read them.
    pub(super) fn push_pong(&mut self, payload: &[u8]) {
        if self.unread_pongs < MAX_UNREAD_PONGS {
            self.unread_pongs += 1;
            self.push_control(Control::Pong, payload);
        }
    }

    /// Appends a control frame, after what is a frame already.
    pub(super) fn push_control(&mut self, kind: Control, payload: &[u8]) {
        let payload = &payload[..payload.len().min(MAX_CONTROL_BYTES)];
        self.frames
            .write(&mut self.buffer, OpCode::Control(kind), false, payload);
    }

    /// Appends the close frame, behind which there must be nothing (RFC 6455, 5.5.1): whoever waits for room is told
    /// that nothing was written.
    pub(super) fn push_close(&mut self, payload: &[u8]) {
        self.push_control(Control::Close, payload);
        self.sealed = true;
        self.give_up_waiting();
    }

    /// The next message to compress.
    pub(super) fn next_raw(&mut self) -> Option<Message> {
        if self.sealed {
            return None;
        }
        self.raw.pop_front()
    }

    /// Appends a message that came from [`Self::next_raw`]; `payload` is what became of its `size` bytes.
    pub(super) fn push_compressed(
        &mut self,
        payload: &[u8],
        text: bool,
        compressed: bool,
        size: usize,
    ) {
        self.raw_bytes -= size;
        if !self.sealed {
            self.write_frame(payload, text, compressed);
        }
    }

    /// What can be written now.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.head..]
    }

    /// Whether every accepted message is a frame already.
    pub(super) fn all_framed(&self) -> bool {
        self.raw_bytes == 0 && self.raw.is_empty() && self.waiting.is_empty()
    }

    /// Whether all that was accepted is written.
    pub(super) fn is_empty(&self) -> bool {
        self.head == self.buffer.len() && self.settled == self.accepted
    }

    /// The system takes no more at the moment.
    pub(super) fn stuck(&mut self) {
        self.stuck = true;
    }

    /// How often the peer has shown that it reads.
    pub(super) fn drained(&self) -> u64 {
        self.drained
    }

    /// So many bytes more are written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.head += bytes;
        self.written += bytes as u64;
        self.drained += u64::from(std::mem::take(&mut self.stuck));
        if self.head == self.buffer.len() {
            self.settled += self.frame_ranges.len() as u64;
            self.frame_ranges.clear();
            self.head = 0;
            self.unread_pongs = 0;
            self.buffer.clear();
            if self.buffer.capacity() > KEPT_BYTES {
                self.buffer = Vec::new();
            }
        } else {
            let written = self.written;
            while self
                .frame_ranges
                .front()
                .is_some_and(|(_, end)| *end <= written)
            {
                self.frame_ranges.pop_front();
                self.settled += 1;
            }
            if self.head > KEPT_BYTES && self.head * 2 > self.buffer.len() {
                self.buffer.drain(..self.head);
                self.head = 0;
            }
        }
        while self
            .waiters
            .front()
            .is_some_and(|(_, last, _)| *last <= self.settled)
        {
            if let Some((_, _, waiter)) = self.waiters.pop_front() {
                let _ = waiter.send(Ok(()));
            }
        }
        self.admit();
    }

    /// The connection has ended: everybody who waits is told how far it came.
    pub(super) fn end(&mut self) {
        // Of the first message that is not whole on its way, some bytes may be.
        let first = self.frame_ranges.front();
        let begun = self.settled + u64::from(first.is_some_and(|(start, _)| *start < self.written));
        for (first, _, waiter) in self.waiters.drain(..) {
            let delivery = if first > begun {
                Delivery::None
            } else {
                Delivery::Unknown
            };
            let _ = waiter.send(Err(delivery));
        }
        self.sealed = true;
        self.give_up_waiting();
        self.raw.clear();
        self.buffer = Vec::new();
        self.head = 0;
    }

    fn give_up_waiting(&mut self) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.waiter.send(Err(Delivery::None));
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        let messages = (self.accepted - self.settled) as usize;
        let waiting = self.buffer.len() - self.head + self.raw_bytes;
        messages == 0 || (messages < self.bounds.messages && waiting + bytes <= self.bounds.bytes)
    }

    fn admit(&mut self) {
        while let Some(next) = self.waiting.front() {
            if !self.has_room(next.message.bytes.len()) {
                break;
            }
            let Some(Waiting {
                message, waiter, ..
            }) = self.waiting.pop_front()
            else {
                break;
            };
            if self.compress {
                self.accept_raw(message);
            } else {
                self.accept_frame(&message.bytes, message.text, false);
            }
            self.waiters
                .push_back((self.accepted, self.accepted, waiter));
        }
    }

    /// Where the next frame begins in the stream of all bytes.
    fn position(&self) -> u64 {
        self.written + (self.buffer.len() - self.head) as u64
    }

    fn accept_raw(&mut self, message: Message) {
        self.accepted += 1;
        self.raw_bytes += message.bytes.len();
        self.raw.push_back(message);
    }

    fn accept_frame(&mut self, payload: &[u8], text: bool, compressed: bool) {
        self.accepted += 1;
        self.write_frame(payload, text, compressed);
    }

    fn write_frame(&mut self, payload: &[u8], text: bool, compressed: bool) {
        let kind = if text { Data::Text } else { Data::Binary };
        let start = self.position();
        self.frames
            .write(&mut self.buffer, OpCode::Data(kind), compressed, payload);
        self.frame_ranges.push_back((start, self.position()));
    }
}

/// What a message that was not written fails with.
pub(super) fn undelivered(failure: &Failure, delivery: Delivery) -> Failure {
    failure
        .clone()
        .with_delivery(delivery)
        .with_retryable(delivery == Delivery::None)
}

#[cfg(test)]
mod tests;
