//! Messages of a server, cut out of the bytes that it sends.

use bytes::{Buf, Bytes, BytesMut};
use moorline_core::error::Outcome;
use postgres_protocol::message::backend::Header;

use crate::postgres::error::{protocol_failure, unexpected};

/// The longest message that is taken: what a server can send at most, one field of a gigabyte, and the fields beside it.
const MAX_MESSAGE_BYTES: usize = (1 << 30) + (1 << 20);
/// The longest message before the user has logged in: as libpq bounds an error.
const MAX_GREETING_BYTES: usize = 30_000;
/// Tag and length.
const HEADER_BYTES: usize = 5;

/// A message of the server.
#[derive(Debug)]
pub(super) struct Frame {
    /// Its type.
    pub(super) tag: u8,
    /// The bytes after its length.
    pub(super) body: Bytes,
}

/// The messages that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before the user has logged in.
    Greeting,
    /// Afterwards.
    Session,
}

/// Takes the next message out of `buffer`; `None` while it is not complete.
pub(super) fn next_frame(buffer: &mut BytesMut, phase: Phase) -> Outcome<Option<Frame>> {
    let header = Header::parse(buffer)
        .map_err(|_| unexpected("Messages of PostgreSQL were expected", buffer))?;
    let Some(header) = header else {
        return Ok(None);
    };
    let most = match phase {
        Phase::Greeting => MAX_GREETING_BYTES,
        Phase::Session => MAX_MESSAGE_BYTES,
    };
    let bytes = usize::try_from(header.len()).unwrap_or(usize::MAX);
    if bytes > most || !header.tag().is_ascii_alphanumeric() {
        return Err(unexpected("Messages of PostgreSQL were expected", buffer));
    }
    if buffer.len() <= bytes {
        return Ok(None);
    }
    let mut frame = buffer.split_to(bytes + 1);
    frame.advance(HEADER_BYTES);
    Ok(Some(Frame {
        tag: header.tag(),
        body: frame.freeze(),
    }))
}

/// Reads the fields of a message.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Outcome<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| protocol_failure("A message of the server is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    pub(super) fn i16(&mut self) -> Outcome<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    /// A count.
    pub(super) fn u16(&mut self) -> Outcome<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Outcome<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Outcome<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A text that ends with NUL.
    pub(super) fn text(&mut self) -> Outcome<&'a str> {
        let end = memchr::memchr(0, self.0)
            .ok_or_else(|| protocol_failure("A text of the server has no end"))?;
        let text = self.take(end + 1)?;
        std::str::from_utf8(&text[..end])
            .map_err(|_| protocol_failure("A text of the server is not UTF-8"))
    }

    /// A value with its length before it; `None` for NULL.
    pub(super) fn value(&mut self) -> Outcome<Option<&'a [u8]>> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length)
                    .map_err(|_| protocol_failure("A length of the server is negative"))?;
                self.take(length).map(Some)
            }
        }
    }

    /// Makes sure that nothing is left.
    pub(super) fn finish(self) -> Outcome<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(protocol_failure("A message of the server is too long"))
    }
}

#[cfg(test)]
mod tests {
    use moorline_core::error::Kind;
    use proptest::prelude::*;

    use super::*;

    fn bytes(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[tag][..], &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn a_message_is_taken_when_it_is_complete_wherever_it_is_cut() {
        let whole = [bytes(b'Z', b"I"), bytes(b'1', b"")].concat();
        for cut in 0..whole.len() {
            let mut buffer = BytesMut::new();
            let mut tags = Vec::new();
            for part in [&whole[..cut], &whole[cut..]] {
                buffer.extend_from_slice(part);
                while let Some(frame) = next_frame(&mut buffer, Phase::Session).unwrap() {
                    tags.push((frame.tag, frame.body));
                }
            }
            assert_eq!(
                tags,
                [(b'Z', Bytes::from_static(b"I")), (b'1', Bytes::new())],
                "{cut}"
            );
        }
    }

    /// Messages, of which some bytes are others: their length, too.
    fn changed_messages() -> impl Strategy<Value = Vec<u8>> {
        let messages = prop::collection::vec(
            (any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)),
            0..6,
        );
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
        (messages, changes).prop_map(|(messages, changes)| {
            let mut sent: Vec<u8> = messages
                .iter()
                .flat_map(|(tag, body)| bytes(*tag, body))
                .collect();
            if sent.is_empty() {
                return sent;
            }
            for (at, byte) in changes {
                let at = at.index(sent.len());
                sent[at] = byte;
            }
            sent
        })
    }

    /// Reads frames from pieces of these lengths; returns them, and whether reading ended with a failure.
    fn read_in_pieces(sent: &[u8], pieces: &[usize], phase: Phase) -> (Vec<(u8, Bytes)>, bool) {
        let (mut buffer, mut frames, mut left) = (BytesMut::new(), Vec::new(), sent);
        let mut pieces = pieces.iter().copied().cycle();
        while !left.is_empty() {
            let (piece, rest) = left.split_at(pieces.next().unwrap_or(1).min(left.len()));
            left = rest;
            buffer.extend_from_slice(piece);
            loop {
                match next_frame(&mut buffer, phase) {
                    Ok(Some(frame)) => frames.push((frame.tag, frame.body)),
                    Ok(None) => break,
                    Err(_) => return (frames, true),
                }
            }
        }
        // Nothing is set aside for what a length announces.
        assert!(buffer.capacity() <= 4 * sent.len() + 64);
        (frames, false)
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_the_same_however_it_is_cut(
            sent in changed_messages(),
            pieces in prop::collection::vec(1..9_usize, 1..5),
        ) {
            for phase in [Phase::Greeting, Phase::Session] {
                let whole = read_in_pieces(&sent, &[usize::MAX], phase);
                prop_assert_eq!(&read_in_pieces(&sent, &pieces, phase), &whole);
                for (_, body) in whole.0 {
                    let mut fields = Fields(&body);
                    while fields.text().is_ok() || matches!(fields.value(), Ok(Some(value)) if !value.is_empty()) {}
                }
            }
        }
    }

    #[test]
    fn what_is_no_message_is_refused_at_once_and_shown() {
        for (sent, phase) in [
            (b"HTTP/1.1 400 Bad Request".to_vec(), Phase::Greeting),
            (b"SSH-2.0-OpenSSH_9.2".to_vec(), Phase::Greeting),
            ([b'E', 0, 0, 0, 3].to_vec(), Phase::Session),
            ([b'D', 0x80, 0, 0, 0].to_vec(), Phase::Session),
            ([0x16, 0, 0, 0, 9].to_vec(), Phase::Session),
            ([b'D', 0x7f, 0xff, 0xff, 0xff].to_vec(), Phase::Session),
        ] {
            let failure = next_frame(&mut sent[..].into(), phase).unwrap_err();
            assert_eq!(failure.kind, Kind::Protocol);
            assert!(failure.message.contains(", but '"), "{failure}");
        }
    }

    #[test]
    fn fields_that_are_cut_are_failures() {
        let body = [0, 7, 0, 0, 0, 2, b'a', b'b', b'c', 0];
        let read = |body: &[u8]| {
            let mut fields = Fields(body);
            let number = fields.u16()?;
            let value = fields.value()?.map(<[u8]>::to_vec);
            let text = fields.text()?.to_owned();
            fields.finish().map(|()| (number, value, text))
        };
        let expected = (7, Some(b"ab".to_vec()), "c".to_owned());
        assert_eq!(read(&body).unwrap(), expected);
        for cut in 0..body.len() {
            assert_eq!(read(&body[..cut]).unwrap_err().kind, Kind::Protocol);
        }
        assert!(read(&[&body[..], &[0]].concat()).is_err());
        assert!(read(&[0, 7, 0xff, 0xff, 0xff, 0xfe]).is_err());
    }
}
