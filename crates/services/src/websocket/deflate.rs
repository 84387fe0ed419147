//! Compressed messages (RFC 7692, 7.2), in steps that never hold the runtime for long.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{permessage_deflate::Agreement, protocol_error::ProtocolError};

/// The end of each compressed message, which is left out on the wire and put back here.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// A message without any bytes: an empty block less its tail (RFC 7692, 7.2.3.6).
const EMPTY: u8 = 0;
/// Small messages on the way of a runtime thread: most of the gain for a third of the time of the usual level.
const LEVEL: u32 = 4;
/// Output grows by at least and at most so much at once.
const GROWTH: std::ops::RangeInclusive<usize> = 1024..=256 * 1024;
/// A message is compressed in pieces of this size.
pub(super) const COMPRESS_STEP: usize = 32 * 1024;

/// Decompresses what the server sends.
pub(super) struct Inflater {
    stream: Decompress,
    forget: bool,
    /// Something of the message has come.
    begun: bool,
}

impl Inflater {
    pub(super) fn new(agreement: &Agreement) -> Self {
        Self {
            // The largest window reads what was written with any smaller one.
            stream: Decompress::new(false),
            forget: agreement.server_no_context_takeover,
            begun: false,
        }
    }

    /// Decompresses a part of a message onto `message`, which must not grow beyond `max`.
    pub(super) fn feed(
        &mut self,
        mut input: &[u8],
        message: &mut Vec<u8>,
        max: usize,
    ) -> Result<(), ProtocolError> {
        self.begun |= !input.is_empty();
        loop {
            if message.len() == message.capacity() {
                message.reserve(message.len().clamp(*GROWTH.start(), *GROWTH.end()));
            }
            let before = (self.stream.total_in(), message.len());
            let status = self
                .stream
                .decompress_vec(input, message, FlushDecompress::Sync)
                .map_err(|_| ProtocolError::INVALID_DEFLATE)?;
            let taken = (self.stream.total_in() - before.0) as usize;
            input = &input[taken..];
            if message.len() > max {
                return Err(ProtocolError::MESSAGE_TOO_LARGE);
            }
            if status == Status::StreamEnd {
                // A block marked as the last one: another stream may follow within the message.
                self.stream.reset(false);
            }
            let stuck = taken == 0 && message.len() == before.1;
            let full = message.len() == message.capacity();
            if !full && (input.is_empty() || stuck) {
                return Ok(());
            }
        }
    }

    /// Ends a message.
    pub(super) fn finish(
        &mut self,
        message: &mut Vec<u8>,
        max: usize,
    ) -> Result<(), ProtocolError> {
        // The tail of nothing would be taken for the beginning of a block.
        if self.begun {
            self.feed(&TAIL, message, max)?;
        }
        self.begun = false;
        if self.forget {
            self.stream.reset(false);
        }
        Ok(())
    }
}

/// Compresses what we send.
pub(super) struct Deflater {
    stream: Compress,
    forget: bool,
}

impl Deflater {
    /// `None` with a window of 256 bytes, which zlib cannot write: such messages go uncompressed, as they may.
    pub(super) fn new(agreement: &Agreement) -> Option<Self> {
        let bits = agreement.client_window_bits;
        (bits > 8).then(|| Self {
            stream: Compress::new_with_window_bits(Compression::new(LEVEL), false, bits),
            forget: agreement.client_no_context_takeover,
        })
    }

    /// Compresses a part of a message onto `out`; `last` ends the message.
    pub(super) fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>, last: bool) {
        let flush = if last {
            FlushCompress::Sync
        } else {
            FlushCompress::None
        };
        let before = out.len();
        loop {
            if out.capacity() - out.len() < 64 {
                out.reserve(out.len().clamp(*GROWTH.start(), *GROWTH.end()));
            }
            let taken = self.stream.total_in();
            // With memory to write to, zlib has no way to fail.
            let _ = self.stream.compress_vec(input, out, flush);
            input = &input[(self.stream.total_in() - taken) as usize..];
            if input.is_empty() && out.len() < out.capacity() {
                break;
            }
        }
        if last {
            if out.len() == before {
                // Nothing came since the last flush, and zlib takes a second one for none.
                out.push(EMPTY);
            } else if out.ends_with(&TAIL) {
                out.truncate(out.len() - TAIL.len());
            }
            if self.forget {
                self.stream.reset();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agreement(forget: bool, bits: u8) -> Agreement {
        Agreement {
            server_no_context_takeover: forget,
            client_no_context_takeover: forget,
            server_window_bits: bits,
            client_window_bits: bits,
        }
    }

    fn inflate(
        inflater: &mut Inflater,
        bytes: &[u8],
        max: usize,
    ) -> Result<Vec<u8>, ProtocolError> {
        let mut message = Vec::new();
        inflater.feed(bytes, &mut message, max)?;
        inflater.finish(&mut message, max)?;
        Ok(message)
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(
            messages in prop::collection::vec(prop::collection::vec(0_u8..4, 0..3000), 1..6),
            forget: bool,
            bits in 9_u8..=15,
            step in 1_usize..2000,
        ) {
            let agreement = agreement(forget, bits);
            let mut deflater = Deflater::new(&agreement).unwrap();
            let mut inflater = Inflater::new(&agreement);
            for message in messages {
                let mut wire = Vec::new();
                for piece in message.chunks(step) {
                    deflater.feed(piece, &mut wire, false);
                }
                deflater.feed(&[], &mut wire, true);
                prop_assert_eq!(inflate(&mut inflater, &wire, 4000), Ok(message));
            }
        }
    }

    #[test]
    fn a_message_without_bytes_leaves_the_next_one_whole() {
        for forget in [false, true] {
            let agreement = agreement(forget, 15);
            let mut deflater = Deflater::new(&agreement).unwrap();
            let mut inflater = Inflater::new(&agreement);
            for message in [&b""[..], b"one", b"", b"", b"two"] {
                let mut wire = Vec::new();
                deflater.feed(message, &mut wire, true);
                assert!(!wire.is_empty());
                assert_eq!(inflate(&mut inflater, &wire, 10).unwrap(), message);
                // From those who send no byte for no bytes.
                assert_eq!(inflate(&mut inflater, b"", 10).unwrap(), b"");
            }
        }
    }

    #[test]
    fn a_message_that_refers_to_the_one_before_is_smaller() {
        let mut sizes = Vec::new();
        for forget in [false, true] {
            let mut deflater = Deflater::new(&agreement(forget, 15)).unwrap();
            let text: Vec<u8> = (0..600_u32).map(|n| (n * n % 251) as u8).collect();
            let mut wire = Vec::new();
            deflater.feed(&text, &mut wire, true);
            let first = wire.len();
            deflater.feed(&text, &mut wire, true);
            sizes.push((first, wire.len() - first));
        }
        assert!(sizes[0].1 * 4 < sizes[0].0, "{sizes:?}");
        assert_eq!(sizes[1].1, sizes[1].0);
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let mut bomb = Vec::new();
        let mut deflater = Deflater::new(&agreement(false, 15)).unwrap();
        deflater.feed(&vec![0; 50 << 20], &mut bomb, true);
        let mut message = Vec::new();
        let fed = Inflater::new(&agreement(false, 15)).feed(&bomb, &mut message, 1 << 20);
        assert_eq!(fed, Err(ProtocolError::MESSAGE_TOO_LARGE));
        assert!(message.capacity() < 3 << 20);
    }

    #[test]
    fn a_final_block_ends_no_message() {
        // "Hello" in a block with BFINAL set, and the empty block after it (RFC 7692, 7.2.3.4).
        let wire = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        let mut inflater = Inflater::new(&agreement(false, 15));
        for _ in 0..2 {
            assert_eq!(inflate(&mut inflater, &wire, 100).unwrap(), b"Hello");
        }
        let junk = Inflater::new(&agreement(false, 15)).feed(&[0xff; 9], &mut Vec::new(), 100);
        assert_eq!(junk, Err(ProtocolError::INVALID_DEFLATE));
    }
}
