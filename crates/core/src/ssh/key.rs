//! Public keys of hosts: their types, names and encoding (RFC 4253, RFC 5656, RFC 8709).
//!
//! A key is kept in the one encoding that it has: numbers without leading zeros, and the name of its type, not that of
//! a signature algorithm. So two keys are the same when their bytes are.

use super::fingerprint::Fingerprint;

/// OpenSSH refuses RSA keys with fewer bits, in files and from servers.
const MIN_RSA_BITS: usize = 1024;

/// OpenSSH refuses longer numbers.
const MAX_NUMBER_BYTES: usize = 2048;

/// The type of a key. Each curve is a type of its own, since its keys have a name of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyType {
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Rsa,
    SkEd25519,
    SkEcdsaP256,
}

impl KeyType {
    /// The name in the encoding of a key and in a line of a file.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::Rsa => "ssh-rsa",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// The curve's name and the bytes of an uncompressed point on it.
    const fn curve(self) -> Option<(&'static [u8], usize)> {
        match self {
            Self::EcdsaP256 | Self::SkEcdsaP256 => Some((b"nistp256", 65)),
            Self::EcdsaP384 => Some((b"nistp384", 97)),
            Self::EcdsaP521 => Some((b"nistp521", 133)),
            Self::Ed25519 | Self::Rsa | Self::SkEd25519 => None,
        }
    }

    /// Whether the key is on a security key, and so has the application that it is for.
    const fn has_application(self) -> bool {
        matches!(self, Self::SkEd25519 | Self::SkEcdsaP256)
    }
}

/// The type of key that an algorithm of this name signs with, and whether the name is that of a certificate.
pub(super) fn type_named(name: &[u8]) -> Option<(KeyType, bool)> {
    let name = std::str::from_utf8(name).ok()?;
    let (plain, certified) = match name.strip_suffix("-cert-v01@openssh.com") {
        Some(plain) => (plain, true),
        None => (name, false),
    };
    let key_type = match (plain, certified) {
        ("ssh-ed25519", _) => KeyType::Ed25519,
        ("ecdsa-sha2-nistp256", _) => KeyType::EcdsaP256,
        ("ecdsa-sha2-nistp384", _) => KeyType::EcdsaP384,
        ("ecdsa-sha2-nistp521", _) => KeyType::EcdsaP521,
        ("ssh-rsa" | "rsa-sha2-256" | "rsa-sha2-512", _) => KeyType::Rsa,
        ("sk-ssh-ed25519@openssh.com", false) | ("sk-ssh-ed25519", true) => KeyType::SkEd25519,
        (
            "sk-ecdsa-sha2-nistp256@openssh.com" | "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
            false,
        )
        | ("sk-ecdsa-sha2-nistp256" | "webauthn-sk-ecdsa-sha2-nistp256", true) => {
            KeyType::SkEcdsaP256
        }
        _ => return None,
    };
    Some((key_type, certified))
}

/// A public key, alone or out of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    pub(super) key_type: KeyType,
    /// Whether it was read from a certificate, whose other contents are not kept.
    pub(super) certified: bool,
    /// The encoding of the key alone.
    pub(super) blob: Vec<u8>,
}

impl PublicKey {
    /// The key of an encoded key or certificate; `None` when it is of no known type or not encoded as its type is. The
    /// signature of a certificate is not verified, nor whether a point is on its curve.
    pub(super) fn decode(encoded: &[u8]) -> Option<Self> {
        let mut reader = Reader(encoded);
        let (key_type, certified) = type_named(reader.string()?)?;
        if certified {
            // The nonce.
            reader.string()?;
        }
        let mut blob = Vec::with_capacity(encoded.len());
        put_string(&mut blob, key_type.name().as_bytes());
        read_fields(&mut reader, key_type, &mut blob)?;
        if certified {
            skip_certificate(&mut reader)?;
        }
        reader.0.is_empty().then_some(Self {
            key_type,
            certified,
            blob,
        })
    }

    /// The fingerprint of the key, which is that of its certificates, too.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.blob)
    }
}

/// Reads what a key of this type consists of, and writes it to `blob`.
fn read_fields(reader: &mut Reader, key_type: KeyType, blob: &mut Vec<u8>) -> Option<()> {
    if key_type == KeyType::Rsa {
        put_number(blob, reader.number()?);
        let modulus = reader.number()?;
        if bits(modulus) < MIN_RSA_BITS {
            return None;
        }
        put_number(blob, modulus);
    } else if let Some((curve, point_bytes)) = key_type.curve() {
        let name = reader.string()?;
        let point = reader.string()?;
        if name != curve || point.len() != point_bytes || point.first() != Some(&4) {
            return None;
        }
        put_string(blob, name);
        put_string(blob, point);
    } else {
        let key = reader.string()?;
        if key.len() != 32 {
            return None;
        }
        put_string(blob, key);
    }
    if key_type.has_application() {
        put_string(blob, reader.string()?);
    }
    Some(())
}

/// Reads over what follows the key in a certificate: serial number, kind, key id, principals, validity, critical
/// options, extensions, a reserved field, the authority's key and its signature.
fn skip_certificate(reader: &mut Reader) -> Option<()> {
    reader.take(8)?;
    reader.take(4)?;
    reader.string()?;
    reader.string()?;
    reader.take(16)?;
    for _ in 0..5 {
        reader.string()?;
    }
    Some(())
}

fn bits(number: &[u8]) -> usize {
    number
        .first()
        .map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

fn put_string(blob: &mut Vec<u8>, bytes: &[u8]) {
    // A part of an encoding whose own lengths have 32 bits.
    blob.extend((bytes.len() as u32).to_be_bytes());
    blob.extend(bytes);
}

fn put_number(blob: &mut Vec<u8>, bytes: &[u8]) {
    let is_padded = bytes.first().is_some_and(|first| first & 0x80 != 0);
    blob.extend(((bytes.len() + usize::from(is_padded)) as u32).to_be_bytes());
    if is_padded {
        blob.push(0);
    }
    blob.extend(bytes);
}

/// What is left of an encoding.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        self.take(usize::try_from(u32::from_be_bytes(*length)).ok()?)
    }

    /// A number that is not negative, without leading zeros.
    fn number(&mut self) -> Option<&'a [u8]> {
        let bytes = self.string()?;
        if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            return None;
        }
        let is_too_long = bytes.len() > MAX_NUMBER_BYTES
            && (bytes.len() > MAX_NUMBER_BYTES + 1 || bytes.first() != Some(&0));
        if is_too_long {
            return None;
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes.get(zeros..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rsa(exponent: &[u8], modulus: &[u8]) -> Vec<u8> {
        let mut blob = Vec::new();
        for part in [b"ssh-rsa", exponent, modulus] {
            put_string(&mut blob, part);
        }
        blob
    }

    #[test]
    fn a_number_with_leading_zeros_is_the_same_number() {
        let modulus = [&[0], [0xc1; 128].as_slice()].concat();
        let shortest = rsa(&[1, 0, 1], &modulus);
        let padded = rsa(&[0, 1, 0, 1], &[&[0, 0], modulus.as_slice()].concat());
        let key = PublicKey::decode(&shortest).unwrap();
        assert_eq!(key.blob, shortest);
        assert_eq!(PublicKey::decode(&padded), Some(key));
    }

    #[test]
    fn an_rsa_key_has_1024_bits_or_more_and_is_positive() {
        assert!(PublicKey::decode(&rsa(&[3], &[0x7f; 128])).is_none());
        assert!(PublicKey::decode(&rsa(&[3], &[0xff; 128])).is_none());
        let bits_1024 = [&[0], [0x80; 128].as_slice()].concat();
        assert!(PublicKey::decode(&rsa(&[3], &bits_1024)).is_some());
        assert!(PublicKey::decode(&rsa(&[3], &[0x7f; 2048])).is_some());
        assert!(PublicKey::decode(&rsa(&[3], &[0x7f; 2049])).is_none());
    }

    #[test]
    fn what_follows_a_key_makes_it_none() {
        let mut blob = Vec::new();
        put_string(&mut blob, b"ssh-ed25519");
        put_string(&mut blob, &[7; 32]);
        assert!(PublicKey::decode(&blob).is_some());
        for length in 0..blob.len() {
            assert!(PublicKey::decode(&blob[..length]).is_none(), "{length}");
        }
        blob.push(0);
        assert!(PublicKey::decode(&blob).is_none());
    }
}
