//! Frames: written with header, mask and payload; headers of received ones checked.

use std::{cell::RefCell, io::Cursor};

use tokio_tungstenite::tungstenite::{
    Error,
    protocol::frame::{
        FrameHeader,
        coding::{Control, Data, OpCode},
    },
};

use super::protocol_error::ProtocolError;

/// Random bytes are drawn for so many frames at once.
const ENTROPY_BYTES: usize = 1024;
/// The longest header: two bytes, eight of length, four of mask.
pub(super) const MAX_HEADER_BYTES: usize = 14;
/// The longest payload of a control frame.
pub(super) const MAX_CONTROL_BYTES: usize = 125;

thread_local! {
    /// One for all connections of a thread: an idle connection has none of its own.
    static MASKS: RefCell<Masks> = const { RefCell::new(Masks::new()) };
}

/// The masks of a client's frames. Each is unpredictable, so that no payload can be made to look like a request to a proxy
/// (RFC 6455, 10.3).
struct Masks {
    entropy: [u8; ENTROPY_BYTES],
    used: usize,
}

impl Masks {
    const fn new() -> Self {
        Self {
            entropy: [0; ENTROPY_BYTES],
            used: ENTROPY_BYTES,
        }
    }

    fn next(&mut self) -> [u8; 4] {
        if self.used + 4 > ENTROPY_BYTES {
            if aws_lc_rs::rand::fill(&mut self.entropy).is_err() {
                fastrand::fill(&mut self.entropy);
            }
            self.used = 0;
        }
        let at = self.used;
        self.used += 4;
        let [a, b, c, d] = [0, 1, 2, 3].map(|offset| self.entropy[at + offset]);
        [a, b, c, d]
    }
}

/// Appends one whole message or control frame of a client to `out`.
pub(super) fn write_frame(out: &mut Vec<u8>, opcode: OpCode, compressed: bool, payload: &[u8]) {
    let mask = MASKS.with_borrow_mut(Masks::next);
    let header = FrameHeader {
        is_final: true,
        rsv1: compressed,
        opcode,
        mask: Some(mask),
        ..FrameHeader::default()
    };
    out.reserve(payload.len() + MAX_HEADER_BYTES);
    // Writing to a vector cannot fail.
    let _ = header.format(payload.len() as u64, out);
    let start = out.len();
    out.extend_from_slice(payload);
    apply(mask, &mut out[start..]);
}

fn apply(mask: [u8; 4], payload: &mut [u8]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// A received frame's header that has passed every check that does not depend on the frames before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: FrameKind,
    pub(super) last: bool,
    pub(super) compressed: bool,
    pub(super) payload: u64,
    /// The length of the header itself.
    pub(super) length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Continuation,
    Text,
    Binary,
    Ping,
    Pong,
    Close,
}

impl Header {
    /// The header at the start of `bytes`; `None` when it is not whole yet.
    pub(super) fn read(bytes: &[u8], compression: bool) -> Result<Option<Self>, ProtocolError> {
        let mut cursor = Cursor::new(bytes);
        let (header, payload) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(read)) => read,
            Err(Error::Protocol(_)) => return Err(ProtocolError::UNKNOWN_OPCODE),
            Ok(None) | Err(_) => return Ok(None),
        };
        if header.rsv2 || header.rsv3 {
            return Err(ProtocolError::UNEXPECTED_RESERVED_BIT);
        }
        if header.mask.is_some() {
            return Err(ProtocolError::UNEXPECTED_MASK);
        }
        let kind = match header.opcode {
            OpCode::Data(Data::Continue) => FrameKind::Continuation,
            OpCode::Data(Data::Text) => FrameKind::Text,
            OpCode::Data(Data::Binary) => FrameKind::Binary,
            OpCode::Control(Control::Ping) => FrameKind::Ping,
            OpCode::Control(Control::Pong) => FrameKind::Pong,
            OpCode::Control(Control::Close) => FrameKind::Close,
            OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => {
                return Err(ProtocolError::UNKNOWN_OPCODE);
            }
        };
        let begins = matches!(kind, FrameKind::Text | FrameKind::Binary);
        if header.rsv1 && !(compression && begins) {
            return Err(ProtocolError::UNEXPECTED_COMPRESSION);
        }
        if !begins && kind != FrameKind::Continuation {
            if !header.is_final {
                return Err(ProtocolError::FRAGMENTED_CONTROL);
            }
            if payload > MAX_CONTROL_BYTES as u64 {
                return Err(ProtocolError::INVALID_CONTROL_LENGTH);
            }
        }
        Ok(Some(Self {
            kind,
            last: header.is_final,
            compressed: header.rsv1,
            payload,
            length: cursor.position() as usize,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_covers_every_length() {
        for length in 0..40 {
            let payload: Vec<u8> = (0..length).collect();
            let mut masked = payload.clone();
            apply([1, 2, 3, 4], &mut masked);
            for (index, (byte, plain)) in masked.iter().zip(&payload).enumerate() {
                assert_eq!(byte ^ plain, (index % 4) as u8 + 1);
            }
        }
    }

    #[test]
    fn masks_differ_from_frame_to_frame() {
        let mut masks = Masks::new();
        let masks: std::collections::HashSet<_> = (0..1000).map(|_| masks.next()).collect();
        assert!(masks.len() > 990);
    }

    #[test]
    fn each_mistake_in_a_header_has_its_name() {
        let table: [(&[u8], ProtocolError); 8] = [
            (&[0xc1, 0], ProtocolError::UNEXPECTED_COMPRESSION),
            (&[0xa1, 0], ProtocolError::UNEXPECTED_RESERVED_BIT),
            (&[0x91, 0], ProtocolError::UNEXPECTED_RESERVED_BIT),
            (&[0x83, 0], ProtocolError::UNKNOWN_OPCODE),
            (&[0x8b, 0], ProtocolError::UNKNOWN_OPCODE),
            (&[0x81, 0x80, 1, 2, 3, 4], ProtocolError::UNEXPECTED_MASK),
            (&[0x09, 0], ProtocolError::FRAGMENTED_CONTROL),
            (&[0x89, 126, 0, 126], ProtocolError::INVALID_CONTROL_LENGTH),
        ];
        for (bytes, violation) in table {
            assert_eq!(Header::read(bytes, false), Err(violation), "{bytes:x?}");
        }
        assert_eq!(
            Header::read(&[0xc0, 0], true),
            Err(ProtocolError::UNEXPECTED_COMPRESSION),
            "only a message's first frame may say that it is compressed"
        );
        assert!(Header::read(&[0xc1, 0], true).unwrap().is_some());
    }

    #[test]
    fn a_header_may_come_byte_by_byte() {
        let whole = [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        for cut in 0..whole.len() {
            assert_eq!(Header::read(&whole[..cut], false), Ok(None));
        }
        assert_eq!(
            Header::read(&whole, false).unwrap().unwrap().payload,
            65_536
        );
    }
}
