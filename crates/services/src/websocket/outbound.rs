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
pub(super) struct Outbound {
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
    /// Where the accepted messages end in the stream of all bytes.
    ends: VecDeque<u64>,
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

impl Outbound {
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
            ends: VecDeque::new(),
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
        if !self.waiting.is_empty() || !self.has_room(bytes.len()) {
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

    /// The next message to compress.
    pub(super) fn next_raw(&mut self) -> Option<Message> {
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
        self.write_frame(payload, text, compressed);
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

    /// So many bytes more are written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.head += bytes;
        self.written += bytes as u64;
        if self.head == self.buffer.len() {
            self.settled += self.ends.len() as u64;
            self.ends.clear();
            self.head = 0;
            self.unread_pongs = 0;
            self.buffer.clear();
            if self.buffer.capacity() > KEPT_BYTES {
                self.buffer = Vec::new();
            }
        } else {
            while self.ends.front().is_some_and(|end| *end <= self.written) {
                self.ends.pop_front();
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
        let begun = self.settled + u64::from(self.head > 0);
        for (first, _, waiter) in self.waiters.drain(..) {
            let delivery = if first > begun {
                Delivery::None
            } else {
                Delivery::Unknown
            };
            let _ = waiter.send(Err(delivery));
        }
        for waiting in self.waiting.drain(..) {
            let _ = waiting.waiter.send(Err(Delivery::None));
        }
        self.raw.clear();
        self.buffer = Vec::new();
        self.head = 0;
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
        self.frames
            .write(&mut self.buffer, OpCode::Data(kind), compressed, payload);
        let end = self.written + (self.buffer.len() - self.head) as u64;
        self.ends.push_back(end);
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
mod tests {
    use super::*;

    fn queue(messages: usize, bytes: usize) -> Outbound {
        Outbound::new(QueueBounds { messages, bytes }, false)
    }

    fn wait(queue: &mut Outbound, text: &'static str) -> oneshot::Receiver<Result<(), Delivery>> {
        let (waiter, told) = oneshot::channel();
        let bytes = Bytes::from_static(text.as_bytes());
        queue.push_waiting(Message { bytes, text: true }, waiter);
        told
    }

    #[test]
    fn beyond_the_bound_messages_wait_in_order() {
        let mut queue = queue(2, 1000);
        assert_eq!(queue.push(b"one", true), Pushed::Accepted);
        assert_eq!(queue.push(b"two", true), Pushed::Accepted);
        assert_eq!(queue.push(b"three", true), Pushed::Full);
        let mut third = wait(&mut queue, "three");
        let mut fourth = wait(&mut queue, "four");
        let one = queue.bytes().len() / 2;
        queue.wrote(one);
        assert_eq!(
            queue.push(b"five", true),
            Pushed::Full,
            "others came before"
        );
        assert_eq!(third.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        queue.wrote(queue.bytes().len());
        // What waited was accepted as soon as there was room, and now is written too.
        queue.wrote(queue.bytes().len());
        for told in [&mut third, &mut fourth] {
            assert_eq!(told.try_recv(), Ok(Ok(())));
        }
        assert!(queue.is_empty());
    }

    #[test]
    fn one_message_may_be_larger_than_the_whole_bound() {
        let mut queue = queue(10, 8);
        assert_eq!(queue.push(&[0; 100], false), Pushed::Accepted);
        assert_eq!(queue.push(b"x", false), Pushed::Full);
    }

    #[test]
    fn nothing_was_delivered_only_where_no_byte_was_written() {
        let mut queue = queue(1, 1000);
        let mut first = wait(&mut queue, "first");
        let mut second = wait(&mut queue, "second");
        queue.wrote(3);
        queue.end();
        assert_eq!(first.try_recv(), Ok(Err(Delivery::Unknown)));
        assert_eq!(second.try_recv(), Ok(Err(Delivery::None)));

        let mut unwritten = Outbound::new(
            QueueBounds {
                messages: 9,
                bytes: 99,
            },
            false,
        );
        let mut told = wait(&mut unwritten, "x");
        unwritten.end();
        assert_eq!(told.try_recv(), Ok(Err(Delivery::None)));
    }

    #[test]
    fn a_message_can_be_taken_back_until_it_is_accepted() {
        let mut queue = queue(1, 1000);
        assert_eq!(queue.push(b"one", true), Pushed::Accepted);
        let (waiter, _told) = oneshot::channel();
        let bytes = Bytes::from_static(b"two");
        let ticket = queue.push_waiting(Message { bytes, text: true }, waiter);
        assert!(queue.take_back(ticket));
        assert!(!queue.take_back(ticket));
        let frame = queue.bytes().len();
        queue.wrote(frame);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_control_frame_goes_between_messages() {
        let mut queue = queue(10, 1000);
        queue.push(b"a", true);
        queue.push_control(Control::Ping, b"");
        queue.push(b"b", true);
        assert_eq!(queue.bytes()[7] & 0x0f, 9);
        queue.wrote(7 + 6);
        assert!(!queue.is_empty());
        queue.wrote(7);
        assert!(queue.is_empty());
    }
}
