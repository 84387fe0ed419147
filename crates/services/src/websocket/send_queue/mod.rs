//! The bounded queue of outgoing messages, with the delivery of each.

use std::collections::VecDeque;

use bytes::Bytes;
use moorline_core::error::{Delivery, Failure};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::{
    config::SendQueueConfig,
    frame::{MAX_CONTROL_BYTES, write_frame},
};

/// The capacity above which an empty buffer is freed.
const MAX_KEPT_BYTES: usize = 64 * 1024;
/// The most pongs in the queue, for a peer that sends pings and does not read.
const MAX_UNREAD_PONGS: u32 = 1000;

/// Tells who waits for messages that they are written, or their delivery when the connection ends.
pub(super) type DeliverySender = oneshot::Sender<Result<(), Delivery>>;

/// A message before it is a frame.
pub(super) struct Message {
    pub(super) bytes: Bytes,
    pub(super) is_text: bool,
}

/// The result of a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PushResult {
    /// Will be written, unless the connection ends before.
    Accepted,
    /// There is no room, or others wait for it already.
    Full,
}

struct PendingMessage {
    ticket: u64,
    message: Message,
    delivery_sender: DeliverySender,
}

/// The queue of one connection.
pub(super) struct SendQueue {
    config: SendQueueConfig,
    compress: bool,
    /// Frames, of which the first `head` bytes are written.
    buffer: Vec<u8>,
    head: usize,
    /// Pongs since the buffer was empty.
    unread_pongs: u32,
    /// Bytes written since the beginning.
    written: u64,
    /// Whether the system takes no more at the moment.
    blocked: bool,
    /// The number of times it took more after that, each of which proves that the peer reads.
    peer_read_count: u64,
    /// The ranges of the messages that are frames, in the stream of all bytes.
    frame_ranges: VecDeque<(u64, u64)>,
    /// The last frame is queued: nothing becomes a frame any more.
    closed: bool,
    /// Messages to be compressed, and their bytes.
    uncompressed: VecDeque<Message>,
    uncompressed_bytes: usize,
    /// Messages accepted and messages written since the beginning.
    accepted_messages: u64,
    written_messages: u64,
    /// Each for the messages from this number to that.
    delivery_senders: VecDeque<(u64, u64, DeliverySender)>,
    /// Messages that wait for room.
    pending: VecDeque<PendingMessage>,
    tickets: u64,
}

impl SendQueue {
    /// With `compress`, messages wait for [`Self::next_uncompressed`] before they are frames.
    pub(super) fn new(config: SendQueueConfig, compress: bool) -> Self {
        Self {
            config,
            compress,
            buffer: Vec::new(),
            head: 0,
            unread_pongs: 0,
            written: 0,
            blocked: false,
            peer_read_count: 0,
            frame_ranges: VecDeque::new(),
            closed: false,
            uncompressed: VecDeque::new(),
            uncompressed_bytes: 0,
            accepted_messages: 0,
            written_messages: 0,
            delivery_senders: VecDeque::new(),
            pending: VecDeque::new(),
            tickets: 0,
        }
    }

    /// Accepts a message when there is room, and none is pending.
    pub(super) fn push(&mut self, bytes: &[u8], is_text: bool) -> PushResult {
        if self.closed || !self.pending.is_empty() || !self.has_room(bytes.len()) {
            return PushResult::Full;
        }
        if self.compress {
            self.accept_uncompressed(Message {
                bytes: Bytes::copy_from_slice(bytes),
                is_text,
            });
        } else {
            self.accept_frame(bytes, is_text, false);
        }
        PushResult::Accepted
    }

    /// Queues a message without regard to the room: it is accepted in order. The ticket cancels it until then.
    pub(super) fn push_pending(
        &mut self,
        message: Message,
        delivery_sender: DeliverySender,
    ) -> u64 {
        self.tickets += 1;
        if self.closed {
            let _ = delivery_sender.send(Err(Delivery::None));
            return self.tickets;
        }
        self.pending.push_back(PendingMessage {
            ticket: self.tickets,
            message,
            delivery_sender,
        });
        self.accept_pending();
        self.tickets
    }

    /// Cancels a message that has not been accepted; false when it has.
    pub(super) fn cancel(&mut self, ticket: u64) -> bool {
        let before = self.pending.len();
        self.pending.retain(|pending| pending.ticket != ticket);
        self.pending.len() < before
    }

    /// Notifies `delivery_sender` when all that was accepted so far is written.
    pub(super) fn notify_when_written(&mut self, delivery_sender: DeliverySender) {
        if self.written_messages == self.accepted_messages {
            let _ = delivery_sender.send(Ok(()));
        } else {
            self.delivery_senders.push_back((
                self.written_messages + 1,
                self.accepted_messages,
                delivery_sender,
            ));
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
        write_frame(&mut self.buffer, OpCode::Control(kind), false, payload);
    }

    /// Appends the close frame, behind which there must be nothing (RFC 6455, 5.5.1): pending messages are rejected as
    /// not written.
    pub(super) fn push_close(&mut self, payload: &[u8]) {
        self.push_control(Control::Close, payload);
        self.closed = true;
        self.reject_pending();
    }

    /// The next message to compress.
    pub(super) fn next_uncompressed(&mut self) -> Option<Message> {
        if self.closed {
            return None;
        }
        self.uncompressed.pop_front()
    }

    /// Appends a message that came from [`Self::next_uncompressed`]; `payload` is what became of its `size` bytes.
    pub(super) fn push_compressed(
        &mut self,
        payload: &[u8],
        is_text: bool,
        compressed: bool,
        size: usize,
    ) {
        self.uncompressed_bytes -= size;
        if !self.closed {
            self.write_frame(payload, is_text, compressed);
        }
    }

    /// The bytes that can be written now.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.head..]
    }

    /// Whether every accepted message is a frame already.
    pub(super) fn all_framed(&self) -> bool {
        self.uncompressed_bytes == 0 && self.uncompressed.is_empty() && self.pending.is_empty()
    }

    /// Whether all that was accepted is written.
    pub(super) fn is_empty(&self) -> bool {
        self.head == self.buffer.len() && self.written_messages == self.accepted_messages
    }

    /// The system takes no more at the moment.
    pub(super) fn on_blocked(&mut self) {
        self.blocked = true;
    }

    /// The number of times the peer has shown that it reads.
    pub(super) fn peer_read_count(&self) -> u64 {
        self.peer_read_count
    }

    /// Counts bytes as written.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.head += bytes;
        self.written += bytes as u64;
        self.peer_read_count += u64::from(std::mem::take(&mut self.blocked));
        if self.head == self.buffer.len() {
            self.written_messages += self.frame_ranges.len() as u64;
            self.frame_ranges.clear();
            self.head = 0;
            self.unread_pongs = 0;
            self.buffer.clear();
            if self.buffer.capacity() > MAX_KEPT_BYTES {
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
                self.written_messages += 1;
            }
            if self.head > MAX_KEPT_BYTES && self.head * 2 > self.buffer.len() {
                self.buffer.drain(..self.head);
                self.head = 0;
            }
        }
        while self
            .delivery_senders
            .front()
            .is_some_and(|(_, last, _)| *last <= self.written_messages)
        {
            if let Some((_, _, delivery_sender)) = self.delivery_senders.pop_front() {
                let _ = delivery_sender.send(Ok(()));
            }
        }
        self.accept_pending();
    }

    /// Ends the queue: everyone who waits gets the delivery of their messages.
    pub(super) fn end(&mut self) {
        // Some bytes of the first incomplete message may be written.
        let first = self.frame_ranges.front();
        let begun = self.written_messages
            + u64::from(first.is_some_and(|(start, _)| *start < self.written));
        for (first, _, delivery_sender) in self.delivery_senders.drain(..) {
            let delivery = if first > begun {
                Delivery::None
            } else {
                Delivery::Unknown
            };
            let _ = delivery_sender.send(Err(delivery));
        }
        self.closed = true;
        self.reject_pending();
        self.uncompressed.clear();
        self.buffer = Vec::new();
        self.head = 0;
    }

    fn reject_pending(&mut self) {
        for pending in self.pending.drain(..) {
            let _ = pending.delivery_sender.send(Err(Delivery::None));
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        let messages = (self.accepted_messages - self.written_messages) as usize;
        let unwritten_bytes = self.buffer.len() - self.head + self.uncompressed_bytes;
        messages == 0
            || (messages < self.config.messages && unwritten_bytes + bytes <= self.config.bytes)
    }

    fn accept_pending(&mut self) {
        while let Some(next) = self.pending.front() {
            if !self.has_room(next.message.bytes.len()) {
                break;
            }
            let Some(PendingMessage {
                message,
                delivery_sender,
                ..
            }) = self.pending.pop_front()
            else {
                break;
            };
            if self.compress {
                self.accept_uncompressed(message);
            } else {
                self.accept_frame(&message.bytes, message.is_text, false);
            }
            self.delivery_senders.push_back((
                self.accepted_messages,
                self.accepted_messages,
                delivery_sender,
            ));
        }
    }

    /// The position of the next frame in the stream of all bytes.
    fn position(&self) -> u64 {
        self.written + (self.buffer.len() - self.head) as u64
    }

    fn accept_uncompressed(&mut self, message: Message) {
        self.accepted_messages += 1;
        self.uncompressed_bytes += message.bytes.len();
        self.uncompressed.push_back(message);
    }

    fn accept_frame(&mut self, payload: &[u8], is_text: bool, compressed: bool) {
        self.accepted_messages += 1;
        self.write_frame(payload, is_text, compressed);
    }

    fn write_frame(&mut self, payload: &[u8], is_text: bool, compressed: bool) {
        let kind = if is_text { Data::Text } else { Data::Binary };
        let start = self.position();
        write_frame(&mut self.buffer, OpCode::Data(kind), compressed, payload);
        self.frame_ranges.push_back((start, self.position()));
    }
}

/// The failure of a message that was not written.
pub(super) fn undelivered_failure(failure: &Failure, delivery: Delivery) -> Failure {
    failure
        .clone()
        .with_delivery(delivery)
        .with_retryable(delivery == Delivery::None)
}

#[cfg(test)]
mod tests;
