//! The exchange hash and the keys that are derived from it.

use aws_lc_rs::{
    digest::{self, Algorithm},
    error::Unspecified,
};
use moorline_core::secret::Secret;

use super::negotiation::DirectionAlgorithms;
use crate::ssh::{transport::PacketCipher, wire::put_string};

/// What both sides have sent, as it is hashed (RFC 4253, section 8; RFC 5656, section 4).
pub(crate) struct ExchangeTranscript<'a> {
    pub(crate) client_version: &'a [u8],
    pub(crate) server_version: &'a [u8],
    pub(crate) client_kexinit: &'a [u8],
    pub(crate) server_kexinit: &'a [u8],
    pub(crate) host_key: &'a [u8],
    pub(crate) client_public: &'a [u8],
    pub(crate) server_public: &'a [u8],
    /// The secret `K`, encoded.
    pub(crate) secret: &'a [u8],
}

impl ExchangeTranscript<'_> {
    /// The exchange hash `H`.
    pub(crate) fn hash(&self, algorithm: &'static Algorithm) -> Vec<u8> {
        let mut out = Vec::new();
        for part in [
            self.client_version,
            self.server_version,
            self.client_kexinit,
            self.server_kexinit,
            self.host_key,
            self.client_public,
            self.server_public,
        ] {
            put_string(&mut out, part);
        }
        out.extend_from_slice(self.secret);
        digest::digest(algorithm, &out).as_ref().to_vec()
    }
}

/// A direction, by the letters of its keys (RFC 4253, section 7.2): IV, encryption, integrity.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    ClientToServer,
    ServerToClient,
}

impl Direction {
    const fn letters(self) -> [u8; 3] {
        match self {
            Self::ClientToServer => *b"ACE",
            Self::ServerToClient => *b"BDF",
        }
    }
}

/// What keys are derived from.
pub(crate) struct KeyMaterial<'a> {
    pub(crate) algorithm: &'static Algorithm,
    pub(crate) secret: &'a [u8],
    pub(crate) exchange_hash: &'a [u8],
    pub(crate) session_id: &'a [u8],
}

impl KeyMaterial<'_> {
    /// The cipher of one direction.
    pub(crate) fn cipher(
        &self,
        direction: Direction,
        algorithms: DirectionAlgorithms,
    ) -> Result<PacketCipher, Unspecified> {
        let DirectionAlgorithms { cipher, mac } = algorithms;
        let [iv, key, mac_key] = direction.letters();
        PacketCipher::new(
            cipher,
            mac,
            self.derive(key, cipher.key_bytes()).expose(),
            self.derive(iv, cipher.iv_bytes()).expose(),
            self.derive(mac_key, mac.tag_bytes()).expose(),
        )
    }

    fn derive(&self, letter: u8, length: usize) -> Secret {
        let mut key = self.hash(&[&[letter], self.session_id]);
        while key.len() < length {
            let more = self.hash(&[&key]);
            key.extend_from_slice(&more);
        }
        key.truncate(length);
        Secret::new(key)
    }

    fn hash(&self, rest: &[&[u8]]) -> Vec<u8> {
        let mut hash = digest::Context::new(self.algorithm);
        hash.update(self.secret);
        hash.update(self.exchange_hash);
        for part in rest {
            hash.update(part);
        }
        hash.finish().as_ref().to_vec()
    }
}
