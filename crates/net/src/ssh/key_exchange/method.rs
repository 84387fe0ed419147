//! Key exchange methods: ephemeral keys, and the secret that both sides get by them.

use aws_lc_rs::{
    agreement::{ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey, X25519, agree},
    digest::{self, SHA256, SHA384, SHA512},
    error::Unspecified,
    kem::{Ciphertext, DecapsulationKey, ML_KEM_768},
};

use crate::ssh::wire::{put_mpint, put_string};

/// The length of ML-KEM-768's ciphertext (FIPS 203, table 3).
const CIPHERTEXT_BYTES: usize = 1088;

/// A key exchange method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyExchangeMethod {
    /// ML-KEM-768 and X25519 together (draft-ietf-sshm-mlkem-hybrid-kex).
    MlKem768X25519,
    /// RFC 8731.
    Curve25519,
    /// The same by the name it had before.
    Curve25519Libssh,
    /// RFC 5656.
    NistP256,
    /// RFC 5656.
    NistP384,
    /// RFC 5656.
    NistP521,
}

impl KeyExchangeMethod {
    /// All of them, in order of preference.
    pub const ALL: [Self; 6] = [
        Self::MlKem768X25519,
        Self::Curve25519,
        Self::Curve25519Libssh,
        Self::NistP256,
        Self::NistP384,
        Self::NistP521,
    ];

    /// The name in the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MlKem768X25519 => "mlkem768x25519-sha256",
            Self::Curve25519 => "curve25519-sha256",
            Self::Curve25519Libssh => "curve25519-sha256@libssh.org",
            Self::NistP256 => "ecdh-sha2-nistp256",
            Self::NistP384 => "ecdh-sha2-nistp384",
            Self::NistP521 => "ecdh-sha2-nistp521",
        }
    }

    /// The hash of the exchange and of the derivation of keys.
    pub(crate) fn hash(self) -> &'static digest::Algorithm {
        match self {
            Self::NistP384 => &SHA384,
            Self::NistP521 => &SHA512,
            _ => &SHA256,
        }
    }
}

/// Our ephemeral key.
pub(crate) struct EphemeralKey {
    private: PrivateKey,
    /// The second key of the hybrid method.
    hybrid: Option<DecapsulationKey>,
    /// What the server gets: `Q_C` or `C_INIT`.
    pub(crate) public: Vec<u8>,
}

impl EphemeralKey {
    pub(crate) fn generate(method: KeyExchangeMethod) -> Result<Self, Unspecified> {
        let algorithm = match method {
            KeyExchangeMethod::NistP256 => &ECDH_P256,
            KeyExchangeMethod::NistP384 => &ECDH_P384,
            KeyExchangeMethod::NistP521 => &ECDH_P521,
            _ => &X25519,
        };
        let private = PrivateKey::generate(algorithm)?;
        let mut public = Vec::new();
        let hybrid = match method {
            KeyExchangeMethod::MlKem768X25519 => {
                let key = DecapsulationKey::generate(&ML_KEM_768)?;
                public.extend_from_slice(key.encapsulation_key()?.key_bytes()?.as_ref());
                Some(key)
            }
            _ => None,
        };
        public.extend_from_slice(private.compute_public_key()?.as_ref());
        Ok(Self {
            private,
            hybrid,
            public,
        })
    }

    /// The secret `K` by what the server sent (`Q_S` or `S_REPLY`), in the encoding in which it is hashed: a number, or a
    /// string for the hybrid method (draft-ietf-sshm-mlkem-hybrid-kex, section 2.4).
    pub(crate) fn agree(&self, reply: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut encoded = Vec::new();
        let Some(hybrid) = &self.hybrid else {
            put_mpint(&mut encoded, &self.agree_classical(reply)?);
            return Ok(encoded);
        };
        let (ciphertext, point) = reply
            .split_at_checked(CIPHERTEXT_BYTES)
            .ok_or(Unspecified)?;
        let quantum = hybrid.decapsulate(Ciphertext::from(ciphertext))?;
        let mut hash = digest::Context::new(&SHA256);
        hash.update(quantum.as_ref());
        hash.update(&self.agree_classical(point)?);
        put_string(&mut encoded, hash.finish().as_ref());
        Ok(encoded)
    }

    /// The secret by the elliptic curve. A point that is not on it, or of low order, is refused (RFC 8731, section 3).
    fn agree_classical(&self, point: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let peer = UnparsedPublicKey::new(self.private.algorithm(), point);
        let secret = agree(&self.private, peer, Unspecified, |secret| {
            Ok(secret.to_vec())
        })?;
        if secret.iter().all(|byte| *byte == 0) {
            Err(Unspecified)
        } else {
            Ok(secret)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_classical_method_get_one_secret_and_a_bad_point_none() {
        for method in &KeyExchangeMethod::ALL[1..] {
            let one = EphemeralKey::generate(*method).unwrap();
            let other = EphemeralKey::generate(*method).unwrap();
            let secret = one.agree(&other.public).unwrap();
            assert_eq!(secret, other.agree(&one.public).unwrap());
            for bad in [&[][..], &[0; 32], &[4; 65], &one.public[1..]] {
                assert!(other.agree(bad).is_err(), "{method:?} {bad:?}");
            }
        }
    }

    #[test]
    fn the_hybrid_method_refuses_what_is_too_short() {
        let key = EphemeralKey::generate(KeyExchangeMethod::MlKem768X25519).unwrap();
        assert_eq!(key.public.len(), 1184 + 32);
        for length in [0, 32, 1088, 1119, 1121] {
            assert!(key.agree(&vec![1; length]).is_err());
        }
    }
}
