//! A batch of messages for JavaScript, without an allocation per small message.

use moorline_net::receive_queue::Buffer;

/// Binary messages of this size and more keep the memory they were received in.
const LARGE_BYTES: usize = 64 * 1024;
/// The cost of a message beside its bytes, so that empty ones count too.
const MESSAGE_COST: usize = 64;

/// One message of a [`Batch`].
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// A text message of this many bytes in [`Batch::text`].
    Text(usize),
    /// A binary message of this many bytes in [`Batch::binary`].
    Binary(usize),
    /// A large text, which is valid UTF-8.
    LargeText(Vec<u8>),
    /// A large binary message.
    LargeBinary(Vec<u8>),
}

/// Messages in the order in which they came.
#[derive(Debug, Default)]
pub struct Batch {
    /// The messages, in order.
    pub entries: Vec<Entry>,
    /// The bytes of all small texts, one after the other; each is valid UTF-8.
    pub text: Vec<u8>,
    /// The bytes of all small binary messages, one after the other.
    pub binary: Vec<u8>,
    /// The number of received pings.
    pub pings: u32,
    cost: usize,
}

impl Buffer for Batch {
    type Batch = Self;
    fn take(&mut self) -> Self {
        std::mem::take(self)
    }
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.pings == 0
    }
    fn cost(&self) -> usize {
        self.cost
    }
}

impl Batch {
    pub(super) fn push_text(&mut self, text: &str) {
        self.cost += text.len() + MESSAGE_COST;
        self.text.extend_from_slice(text.as_bytes());
        self.entries.push(Entry::Text(text.len()));
    }

    pub(super) fn push_binary(&mut self, bytes: &[u8]) {
        if bytes.len() >= LARGE_BYTES {
            return self.push_message(bytes.to_vec(), false);
        }
        self.cost += bytes.len() + MESSAGE_COST;
        self.binary.extend_from_slice(bytes);
        self.entries.push(Entry::Binary(bytes.len()));
    }

    /// A message that was put together in memory of its own; text has been checked.
    pub(super) fn push_message(&mut self, bytes: Vec<u8>, text: bool) {
        self.cost += bytes.len() + MESSAGE_COST;
        let large = bytes.len() >= LARGE_BYTES;
        self.entries.push(match (text, large) {
            (true, true) => Entry::LargeText(bytes),
            (false, true) => Entry::LargeBinary(bytes),
            (true, false) => {
                self.text.extend_from_slice(&bytes);
                Entry::Text(bytes.len())
            }
            (false, false) => {
                self.binary.extend_from_slice(&bytes);
                Entry::Binary(bytes.len())
            }
        });
    }

    pub(super) fn push_ping(&mut self) {
        self.pings = self.pings.saturating_add(1);
    }

    /// Takes over what came after.
    pub(super) fn append(&mut self, later: &mut Self) {
        if self.is_empty() {
            return std::mem::swap(self, later);
        }
        self.entries.append(&mut later.entries);
        self.text.append(&mut later.text);
        self.binary.append(&mut later.binary);
        self.pings = self.pings.saturating_add(std::mem::take(&mut later.pings));
        self.cost += std::mem::take(&mut later.cost);
    }
}
