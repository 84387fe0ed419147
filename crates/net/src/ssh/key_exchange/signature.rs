//! Signatures of public keys: Ed25519 (RFC 8709), ECDSA (RFC 5656, section 3.1), RSA with SHA-2 (RFC 8332).

use aws_lc_rs::{
    error::Unspecified,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
        EcdsaVerificationAlgorithm, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RsaPublicKeyComponents, UnparsedPublicKey,
    },
};

use crate::ssh::wire::{Malformed, Reader};

/// A public key that can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VerifyingKey<'a> {
    Ed25519(&'a [u8]),
    Ecdsa(Curve, &'a [u8]),
    Rsa {
        exponent: &'a [u8],
        modulus: &'a [u8],
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// The curve's own name, and that of its keys and signatures.
    const fn names(self) -> (&'static [u8], &'static str) {
        match self {
            Self::P256 => (b"nistp256", "ecdsa-sha2-nistp256"),
            Self::P384 => (b"nistp384", "ecdsa-sha2-nistp384"),
            Self::P521 => (b"nistp521", "ecdsa-sha2-nistp521"),
        }
    }

    /// The bytes of each of a signature's two numbers.
    const fn scalar_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn algorithm(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
            Self::P521 => &ECDSA_P521_SHA512_FIXED,
        }
    }
}

impl<'a> VerifyingKey<'a> {
    /// Reads an encoded public key and nothing after it.
    pub(super) fn parse(encoded: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(encoded);
        let name = reader.text()?;
        let key = Self::read_fields(&mut reader, name)?;
        if reader.is_empty() {
            Ok(key)
        } else {
            Err(Malformed)
        }
    }

    /// Reads what follows the type's name, in a key or in a certificate of the type.
    pub(super) fn read_fields(reader: &mut Reader<'a>, name: &str) -> Result<Self, Malformed> {
        let curve = match name {
            "ssh-ed25519" => return Ok(Self::Ed25519(reader.string()?)),
            "ssh-rsa" => {
                let exponent = reader.mpint()?;
                let modulus = reader.mpint()?;
                return Ok(Self::Rsa { exponent, modulus });
            }
            "ecdsa-sha2-nistp256" => Curve::P256,
            "ecdsa-sha2-nistp384" => Curve::P384,
            "ecdsa-sha2-nistp521" => Curve::P521,
            _ => return Err(Malformed),
        };
        if reader.string()? != curve.names().0 {
            return Err(Malformed);
        }
        Ok(Self::Ecdsa(curve, reader.string()?))
    }

    /// Verifies an encoded signature, and returns the algorithm that made it.
    pub(super) fn verify(
        &self,
        message: &[u8],
        signature: &'a [u8],
    ) -> Result<&'a str, Unspecified> {
        let mut reader = Reader::new(signature);
        let algorithm = reader.text().map_err(|_| Unspecified)?;
        let signature = reader.string().map_err(|_| Unspecified)?;
        if !reader.is_empty() {
            return Err(Unspecified);
        }
        match (*self, algorithm) {
            (Self::Ed25519(key), "ssh-ed25519") => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature)?;
            }
            (Self::Ecdsa(curve, point), name) if name == curve.names().1 => {
                let fixed = fixed_ecdsa(signature, curve.scalar_bytes()).ok_or(Unspecified)?;
                UnparsedPublicKey::new(curve.algorithm(), point).verify(message, &fixed)?;
            }
            (Self::Rsa { exponent, modulus }, "rsa-sha2-256" | "rsa-sha2-512") => {
                let parameters = match algorithm {
                    "rsa-sha2-256" => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
                    _ => &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
                };
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                // A signature without its leading zeros, as some servers send it.
                let mut whole = vec![0; modulus.len().saturating_sub(signature.len())];
                whole.extend_from_slice(signature);
                key.verify(parameters, message, &whole)?;
            }
            _ => return Err(Unspecified),
        }
        Ok(algorithm)
    }
}

/// The two numbers of a signature by ECDSA, one after the other in a fixed length.
fn fixed_ecdsa(signature: &[u8], scalar_bytes: usize) -> Option<Vec<u8>> {
    let mut reader = Reader::new(signature);
    let mut fixed = Vec::with_capacity(2 * scalar_bytes);
    for _ in 0..2 {
        let number = reader.mpint().ok()?;
        fixed.resize(fixed.len() + scalar_bytes.checked_sub(number.len())?, 0);
        fixed.extend_from_slice(number);
    }
    reader.is_empty().then_some(fixed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, name in 0usize..6, rest: Vec<u8>) {
            let _ = VerifyingKey::parse(&bytes);
            let names = ["ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "x"];
            let mut encoded = Vec::new();
            crate::ssh::wire::put_string(&mut encoded, names[name].as_bytes());
            encoded.extend(&rest);
            if let Ok(key) = VerifyingKey::parse(&encoded) {
                prop_assert!(key.verify(b"message", &bytes).is_err());
            }
            let _ = VerifyingKey::read_fields(&mut Reader::new(&rest), names[name]);
            let _ = fixed_ecdsa(&bytes, 32);
        }
    }
}
