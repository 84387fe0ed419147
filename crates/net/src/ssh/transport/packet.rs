//! Packets (RFC 4253, section 6): framed, padded, numbered, sealed and opened.

use aws_lc_rs::rand;

use super::cipher::{LENGTH_BYTES, PacketCipher};
use crate::ssh::error::SessionError;

/// The longest packet that is accepted, as in OpenSSH. RFC 4253, section 6.1 demands 35 000.
const MAX_PACKET_BYTES: usize = 256 * 1024;
/// Length of the padding, and at least four bytes of it.
const MIN_PADDING_BYTES: usize = 4;
/// The buffer is not given back below this.
const RETAINED_BYTES: usize = 256 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// A packet's payload and its number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) payload: Vec<u8>,
    pub(crate) sequence_number: u32,
}

/// Received bytes, and the packets in them.
pub(crate) struct PacketReader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    cipher: PacketCipher,
    sequence_number: u32,
    /// The length of the packet that is not whole yet.
    length: Option<usize>,
    pub(crate) bytes: u64,
    /// The packets since the keys are in use.
    pub(crate) packets: u32,
}

impl PacketReader {
    pub(crate) fn new() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            end: 0,
            cipher: PacketCipher::Plain,
            sequence_number: 0,
            length: None,
            bytes: 0,
            packets: 0,
        }
    }

    /// What was received and not read.
    pub(crate) fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Drops bytes that were read otherwise.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Room for received bytes, as much as the packet under way needs and more.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        let missing = self.length.map_or(0, |length| self.packet_bytes(length));
        if self.start > 0 && (self.start == self.end || self.buffer.len() - self.end < READ_BYTES) {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let wanted = (self.start + missing).max(self.end + 1).max(READ_BYTES);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Takes over bytes that were written into [`PacketReader::spare`].
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
        self.bytes += count as u64;
    }

    /// Uses new keys from the next packet on; strict key exchange starts counting anew (draft-ietf-sshm-strict-kex).
    pub(crate) fn rekey(&mut self, cipher: PacketCipher, resets_sequence: bool) {
        self.cipher = cipher;
        self.packets = 0;
        if resets_sequence {
            self.sequence_number = 0;
        }
    }

    /// The whole packet that stands next among the received bytes.
    pub(crate) fn next_packet(&mut self) -> Result<Option<Packet>, SessionError> {
        let Some(length) = self.open_length()? else {
            return Ok(None);
        };
        let whole = self.packet_bytes(length);
        let Some(bytes) = self
            .buffer
            .get_mut(self.start..self.end)
            .and_then(|unread| unread.get_mut(..whole))
        else {
            return Ok(None);
        };
        let (packet, tag) = bytes.split_at_mut(LENGTH_BYTES + length);
        self.cipher
            .open(self.sequence_number, packet, tag)
            .map_err(|_| SessionError::violation("a packet is corrupt or forged"))?;
        let payload = unpad(packet)?.to_vec();
        let sequence_number = self.sequence_number;
        self.start += whole;
        self.length = None;
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.packets = self.packets.saturating_add(1);
        Ok(Some(Packet {
            payload,
            sequence_number,
        }))
    }

    /// Length, packet and tag.
    fn packet_bytes(&self, length: usize) -> usize {
        LENGTH_BYTES + length + self.cipher.tag_bytes()
    }

    fn open_length(&mut self) -> Result<Option<usize>, SessionError> {
        if self.length.is_some() {
            return Ok(self.length);
        }
        let head_bytes = self.cipher.head_bytes();
        let Some(head) = self
            .buffer
            .get_mut(self.start..self.end)
            .and_then(|unread| unread.get_mut(..head_bytes))
        else {
            return Ok(None);
        };
        let length = self
            .cipher
            .open_length(self.sequence_number, head)
            .map_err(|_| SessionError::violation("a packet is corrupt or forged"))?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let padded = if self.cipher.is_length_padded() {
            length.saturating_add(LENGTH_BYTES)
        } else {
            length
        };
        let is_block = padded.is_multiple_of(self.cipher.block_bytes());
        if length > MAX_PACKET_BYTES || length <= MIN_PADDING_BYTES || !is_block {
            return Err(SessionError::violation("a packet has an impossible length"));
        }
        self.length = Some(length);
        Ok(self.length)
    }
}

/// The payload of an opened packet.
fn unpad(packet: &[u8]) -> Result<&[u8], SessionError> {
    let unpadded = || {
        let (padding, body) = packet.get(LENGTH_BYTES..)?.split_first()?;
        let padding = usize::from(*padding);
        let length = body.len().checked_sub(padding)?;
        let payload = body.get(..length)?;
        (padding >= MIN_PADDING_BYTES && !payload.is_empty()).then_some(payload)
    };
    unpadded().ok_or(SessionError::Violation(
        "a packet has an impossible padding".into(),
    ))
}

/// Packets on their way out, many in one buffer, so that one system call takes them.
pub(crate) struct PacketWriter {
    buffer: Vec<u8>,
    start: usize,
    cipher: PacketCipher,
    sequence_number: u32,
    pub(crate) bytes: u64,
    /// The packets since the keys are in use.
    pub(crate) packets: u32,
}

impl PacketWriter {
    pub(crate) fn new() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            cipher: PacketCipher::Plain,
            sequence_number: 0,
            bytes: 0,
            packets: 0,
        }
    }

    /// What is to be written to the stream.
    pub(crate) fn unsent(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// The number of the packet that is written next.
    pub(crate) const fn sequence_number(&self) -> u32 {
        self.sequence_number
    }

    /// Drops bytes that were written to the stream.
    pub(crate) fn advance(&mut self, count: usize) {
        self.start += count;
        self.bytes += count as u64;
        if self.start >= self.buffer.len() {
            self.start = 0;
            self.buffer.clear();
            self.buffer.shrink_to(RETAINED_BYTES);
        } else if self.start > RETAINED_BYTES {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }

    /// Drops what cannot be written.
    pub(crate) fn discard(&mut self) {
        self.start = 0;
        self.buffer.clear();
    }

    /// Appends bytes that are no packet: the version.
    pub(crate) fn put_raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Uses new keys from the next packet on; strict key exchange starts counting anew.
    pub(crate) fn rekey(&mut self, cipher: PacketCipher, resets_sequence: bool) {
        self.cipher = cipher;
        self.packets = 0;
        if resets_sequence {
            self.sequence_number = 0;
        }
    }

    /// Appends a packet with the payload that `write` appends to what it is given.
    pub(crate) fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SessionError> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; LENGTH_BYTES + 1]);
        write(&mut self.buffer);
        let block = self.cipher.block_bytes();
        let unpadded = if self.cipher.is_length_padded() {
            self.buffer.len() - start
        } else {
            self.buffer.len() - start - LENGTH_BYTES
        };
        let padding = block + MIN_PADDING_BYTES - 1 - (unpadded + MIN_PADDING_BYTES - 1) % block;
        self.put_padding(padding)?;
        let length = self.buffer.len() - start - LENGTH_BYTES;
        if let Some([a, b, c, d, padding_length]) = self
            .buffer
            .get_mut(start..)
            .and_then(|packet| packet.first_chunk_mut())
        {
            [*a, *b, *c, *d] = (length as u32).to_be_bytes();
            *padding_length = padding as u8;
        }
        self.cipher
            .seal(self.sequence_number, &mut self.buffer, start)
            .map_err(|_| SessionError::violation("a packet cannot be encrypted"))?;
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.packets = self.packets.saturating_add(1);
        Ok(())
    }

    /// Random padding, once it is encrypted.
    fn put_padding(&mut self, count: usize) -> Result<(), SessionError> {
        let mut padding = [0; 32];
        let padding = padding.get_mut(..count).unwrap_or_default();
        if !self.cipher.is_plain() {
            rand::fill(padding)
                .map_err(|_| SessionError::violation("the system gives no random bytes"))?;
        }
        self.buffer.extend_from_slice(padding);
        Ok(())
    }
}
