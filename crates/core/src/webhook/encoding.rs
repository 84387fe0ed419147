//! Hex and base64, canonical only: each signature has one encoded form.
//!
//! A second form (upper case, missing padding, spare bits) would let the same signature pass a replay
//! store twice, and no provider of the table sends one.

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};

use super::mac::{MAX_TAG_BYTES, Tag};

/// The encoding of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Lower-case hexadecimal digits.
    Hex,
    /// Padded standard base64 without spare bits.
    Base64,
}

impl Encoding {
    /// The bytes of `text`, or `None` when it is not written canonically.
    ///
    /// A run of hex digits of another length than `expected` bytes is a signature too, one that matches
    /// nothing: the generic forms are defined by their digits, not by their number.
    pub fn decode(self, text: &str, expected: usize) -> Option<Tag> {
        match self {
            Self::Hex => {
                if !is_hex(text) {
                    return None;
                }
                let mut bytes = [0; MAX_TAG_BYTES];
                match decode_hex(text.as_bytes(), bytes.get_mut(..expected)?) {
                    Some(()) => Tag::new(bytes.get(..expected)?),
                    None => Tag::new(&[]),
                }
            }
            Self::Base64 if text.len() == expected.div_ceil(3) * 4 => {
                // Room for what a text of this length decodes to at most, two bytes more than it should.
                let mut bytes = [0; MAX_TAG_BYTES + 8];
                let written = STANDARD.decode_slice(text, &mut bytes).ok()?;
                (written == expected).then(|| Tag::new(bytes.get(..written)?))?
            }
            Self::Base64 => None,
        }
    }

    /// The canonical text of `bytes`.
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => encode_hex(bytes),
            Self::Base64 => STANDARD.encode(bytes),
        }
    }
}

/// Whether `text` is lower-case hexadecimal digits, at least one.
pub fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|character| digit(character).is_some())
}

/// Lower-case hexadecimal digits.
pub fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Bytes of a secret written in hexadecimal digits of either case.
pub fn decode_hex_secret(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    decode_hex(text.to_ascii_lowercase().as_bytes(), &mut bytes)?;
    Some(bytes)
}

/// Bytes of a secret written in base64. Key files and dashboards drop the padding at times, and the last letter of a
/// secret that was typed, or drawn from the alphabet, has bits that belong to no byte.
pub fn decode_base64_secret(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    LENIENT.decode(text).ok()
}

fn decode_hex(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(())
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_read() {
        let canonical = "00ff";
        assert_eq!(
            Encoding::Hex.decode(canonical, 2).unwrap().as_bytes(),
            [0, 255]
        );
        for other in ["", "00FF", " 00ff", "00ff ", "0x00", "00fg", "é00"] {
            assert!(Encoding::Hex.decode(other, 2).is_none(), "{other}");
        }
        for short_or_long in ["0", "00f", "00ff0", "00ff00"] {
            let tag = Encoding::Hex.decode(short_or_long, 2).unwrap();
            assert!(tag.as_bytes().is_empty(), "{short_or_long}");
        }
        assert_eq!(
            Encoding::Base64.decode("AP8=", 2).unwrap().as_bytes(),
            [0, 255]
        );
        // Without padding, with spare bits, URL-safe, spaced, too long.
        for other in [
            "AP8", "AP9=", "AP-=", "AP8= ", " AP8=", "AP8A", "AP8=AP8=", "====",
        ] {
            assert!(Encoding::Base64.decode(other, 2).is_none(), "{other}");
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_bytes() {
        let bytes: Vec<u8> = (0..=63).map(|n| n * 4 + 3).collect();
        for encoding in [Encoding::Hex, Encoding::Base64] {
            for len in [1, 2, 3, 20, 32, 64] {
                let text = encoding.encode(&bytes[..len]);
                let tag = encoding.decode(&text, len).unwrap();
                assert_eq!(tag.as_bytes(), &bytes[..len]);
            }
        }
    }

    #[test]
    fn secrets_may_be_written_with_and_without_padding_with_spare_bits_and_in_either_case() {
        assert_eq!(decode_base64_secret("AP8="), decode_base64_secret("AP8"));
        assert_eq!(decode_base64_secret("AP9="), Some(vec![0, 255]));
        assert_eq!(decode_base64_secret("AP9"), Some(vec![0, 255]));
        assert_eq!(decode_base64_secret("A"), None);
        assert_eq!(decode_hex_secret("00Ff"), Some(vec![0, 255]));
        assert_eq!(decode_hex_secret("0"), None);
    }
}
