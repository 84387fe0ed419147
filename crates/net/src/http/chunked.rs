//! The chunked transfer coding (RFC 9112, section 7.1), as strict as hyper's.

use std::io;

use bytes::BytesMut;

/// The most bytes of chunk extensions in one body, and of its trailers.
const MAX_EXTRA_BYTES: u32 = 16 << 10;

/// A decoder of one body, whose bytes may be cut anywhere.
#[derive(Debug, Default)]
pub(super) struct ChunkedDecoder {
    state: State,
    /// The bytes of the current chunk that are still to come.
    left: u64,
    extension_bytes: u32,
    trailer_bytes: u32,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    FirstDigit,
    Size,
    /// Space behind the size.
    SizeSpace,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    /// A trailer, or the empty line that ends the body.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    EndLineFeed,
    End,
}

impl ChunkedDecoder {
    /// Whether the end of the body has come.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::End
    }

    /// Appends what `input` contains of the body to `data`, also where an error comes behind it. What follows the end of the
    /// body is ignored.
    pub(super) fn decode(&mut self, mut input: &[u8], data: &mut BytesMut) -> io::Result<()> {
        while let Some((byte, rest)) = input.split_first() {
            match self.state {
                State::Data => input = self.take_data(input, data),
                State::End => break,
                _ => {
                    self.state = self.step(*byte)?;
                    input = rest;
                }
            }
        }
        Ok(())
    }

    fn take_data<'i>(&mut self, input: &'i [u8], data: &mut BytesMut) -> &'i [u8] {
        let taken = self.left.min(input.len() as u64);
        let (chunk, rest) = input.split_at(taken as usize);
        data.extend_from_slice(chunk);
        self.left -= taken;
        if self.left == 0 {
            self.state = State::DataReturn;
        }
        rest
    }

    fn step(&mut self, byte: u8) -> io::Result<State> {
        Ok(match (self.state, byte) {
            (State::FirstDigit | State::Size, byte) if byte.is_ascii_hexdigit() => {
                self.add_digit(byte)?;
                State::Size
            }
            (State::Size | State::SizeSpace, b' ' | b'\t') => State::SizeSpace,
            (State::Size | State::SizeSpace, b';') => State::Extension,
            (State::Size | State::SizeSpace | State::Extension, b'\r') => State::SizeLineFeed,
            (State::Extension, byte) if byte != b'\n' => {
                count(&mut self.extension_bytes, "chunk extensions")?;
                State::Extension
            }
            (State::SizeLineFeed, b'\n') if self.left == 0 => State::TrailerStart,
            (State::SizeLineFeed, b'\n') => State::Data,
            (State::DataReturn, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => State::FirstDigit,
            (State::TrailerStart, b'\r') => State::EndLineFeed,
            (State::EndLineFeed, b'\n') => State::End,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerStart | State::TrailerName, byte) if is_name_byte(byte) => {
                count(&mut self.trailer_bytes, "trailers")?;
                State::TrailerName
            }
            (State::TrailerValue, b'\r') => State::TrailerLineFeed,
            (State::TrailerValue, byte) if byte == b'\t' || !byte.is_ascii_control() => {
                count(&mut self.trailer_bytes, "trailers")?;
                State::TrailerValue
            }
            (State::TrailerLineFeed, b'\n') => State::TrailerStart,
            (state, byte) => {
                let message = format!("byte {byte:#04x} of a chunked body cannot be {state:?}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        })
    }

    fn add_digit(&mut self, digit: u8) -> io::Result<()> {
        let value = char::from(digit).to_digit(16).unwrap_or_default();
        let size = self.left.checked_mul(16);
        let size = size.and_then(|size| size.checked_add(value.into()));
        self.left = size.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the size of a chunk overflows")
        })?;
        Ok(())
    }
}

fn count(bytes: &mut u32, what: &str) -> io::Result<()> {
    *bytes += 1;
    if *bytes < MAX_EXTRA_BYTES {
        return Ok(());
    }
    let message = format!("the {what} of a chunked body exceed {MAX_EXTRA_BYTES} bytes");
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

/// Whether a header name may contain it.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is decoded of the parts, and whether the end was reached.
    fn decode(parts: &[&[u8]]) -> (Vec<u8>, io::Result<bool>) {
        let (mut decoder, mut data) = (ChunkedDecoder::default(), BytesMut::new());
        for part in parts {
            if let Err(error) = decoder.decode(part, &mut data) {
                return (data.to_vec(), Err(error));
            }
        }
        (data.to_vec(), Ok(decoder.is_over()))
    }

    #[test]
    fn chunks_are_joined_wherever_they_are_cut() {
        let sent = b"3\r\nabc\r\n00A \t;x=\"y\"\r\n0123456789\r\n1;\r\nz\r\n0;end\r\nDate: now\r\nx:\xe9\r\n\r\n";
        for cut in 0..=sent.len() {
            let (first, second) = sent.split_at(cut);
            let (data, over) = decode(&[first, second]);
            assert_eq!(data, b"abc0123456789z");
            assert!(over.unwrap());
        }
        let bytes: Vec<&[u8]> = sent.chunks(1).collect();
        assert_eq!(decode(&bytes).0, b"abc0123456789z");
        for end in 0..sent.len() {
            assert!(!decode(&[&sent[..end]]).1.unwrap(), "over after {end}");
        }
    }

    #[test]
    fn what_follows_the_end_is_ignored() {
        let (data, over) = decode(&[b"1\r\na\r\n0\r\n\r\nHTTP/1.1 200", b"more"]);
        assert_eq!((data.as_slice(), over.unwrap()), (&b"a"[..], true));
    }

    #[test]
    fn wrong_framing_is_an_error_behind_the_data_before_it() {
        for wrong in [
            "\r\n",
            "g\r\n",
            ";x\r\n",
            " 1\r\na\r\n",
            "-1\r\na\r\n",
            "1\na\r\n",
            "1 2\r\na\r\n",
            "1;x\na\r\n",
            "1\rxa\r\n",
            "1\r\naX",
            "1\r\na\n",
            "1\r\na\rX",
            "10000000000000000\r\n",
            "0\r\nX",
            "0\r\n\rX",
            "0\r\nno colon\r\n\r\n",
            "0\r\n: no name\r\n\r\n",
            "0\r\na: b\nc: d\r\n\r\n",
            "0\r\na: b\rX",
            "0\r\na: \0\r\n\r\n",
        ] {
            // One that ends in a single "X" is wrong only there.
            let sent = [
                "2\r\nok\r\n",
                wrong,
                if wrong == "0\r\nX" { "\r\n" } else { "" },
            ]
            .concat();
            let (data, over) = decode(&[sent.as_bytes()]);
            assert!(data.starts_with(b"ok"), "{wrong:?}");
            assert_eq!(
                over.unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn the_largest_size_is_read_and_what_is_not_data_is_bounded() {
        assert!(decode(&[b"ffffffffffffffff\r\nabc"]).1.is_ok());
        let long = "x".repeat(MAX_EXTRA_BYTES as usize);
        for sent in [
            format!("1;{long}"),
            format!("0\r\n{long}"),
            format!("0\r\nx:{long}"),
            format!(
                "0\r\n{}",
                "xxxxxxx:xxxxxxx\r\n".repeat(MAX_EXTRA_BYTES as usize / 14 + 1)
            ),
            "1;xxx\r\na\r\n".repeat(MAX_EXTRA_BYTES as usize / 3 + 1),
        ] {
            assert!(decode(&[sent.as_bytes()]).1.is_err());
        }
        assert!(decode(&[b"1;", &long.as_bytes()[2..]]).1.is_ok());
    }
}
