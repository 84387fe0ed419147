//! Ciphers and MACs by their names in the protocol.

use aws_lc_rs::hmac;

/// A cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// OpenSSH's PROTOCOL.chacha20poly1305.
    ChaCha20Poly1305,
    /// RFC 5647, negotiated as OpenSSH's PROTOCOL, section 1.6 says.
    Aes256Gcm,
    /// The same with a key of 128 bits.
    Aes128Gcm,
    /// RFC 4344, section 4.
    Aes256Ctr,
    /// The same with a key of 128 bits.
    Aes128Ctr,
}

impl Cipher {
    /// All of them, in order of preference. AES comes first because all machines of today compute it in hardware.
    pub const ALL: [Self; 5] = [
        Self::Aes256Gcm,
        Self::Aes128Gcm,
        Self::ChaCha20Poly1305,
        Self::Aes256Ctr,
        Self::Aes128Ctr,
    ];

    /// The name in the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChaCha20Poly1305 => "chacha20-poly1305@openssh.com",
            Self::Aes256Gcm => "aes256-gcm@openssh.com",
            Self::Aes128Gcm => "aes128-gcm@openssh.com",
            Self::Aes256Ctr => "aes256-ctr",
            Self::Aes128Ctr => "aes128-ctr",
        }
    }

    pub(crate) const fn key_bytes(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 => 64,
            Self::Aes256Gcm | Self::Aes256Ctr => 32,
            Self::Aes128Gcm | Self::Aes128Ctr => 16,
        }
    }

    pub(crate) const fn iv_bytes(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 => 0,
            Self::Aes256Gcm | Self::Aes128Gcm => 12,
            Self::Aes256Ctr | Self::Aes128Ctr => 16,
        }
    }

    /// Whether packets are authenticated by the cipher itself, so that no MAC is negotiated.
    pub(crate) const fn is_aead(self) -> bool {
        matches!(
            self,
            Self::ChaCha20Poly1305 | Self::Aes256Gcm | Self::Aes128Gcm
        )
    }
}

/// A MAC (RFC 6668), with the encryption before it (OpenSSH's PROTOCOL, section 1.5) or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mac {
    /// SHA-256 over the ciphertext.
    HmacSha256Etm,
    /// SHA-512 over the ciphertext.
    HmacSha512Etm,
    /// SHA-256 over the plaintext.
    HmacSha256,
    /// SHA-512 over the plaintext.
    HmacSha512,
}

impl Mac {
    /// All of them, in order of preference.
    pub const ALL: [Self; 4] = [
        Self::HmacSha256Etm,
        Self::HmacSha512Etm,
        Self::HmacSha256,
        Self::HmacSha512,
    ];

    /// The name in the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256Etm => "hmac-sha2-256-etm@openssh.com",
            Self::HmacSha512Etm => "hmac-sha2-512-etm@openssh.com",
            Self::HmacSha256 => "hmac-sha2-256",
            Self::HmacSha512 => "hmac-sha2-512",
        }
    }

    pub(crate) const fn is_etm(self) -> bool {
        matches!(self, Self::HmacSha256Etm | Self::HmacSha512Etm)
    }

    /// The length of the tag, and of the key.
    pub(crate) const fn tag_bytes(self) -> usize {
        match self {
            Self::HmacSha256Etm | Self::HmacSha256 => 32,
            Self::HmacSha512Etm | Self::HmacSha512 => 64,
        }
    }

    pub(crate) const fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::HmacSha256Etm | Self::HmacSha256 => hmac::HMAC_SHA256,
            Self::HmacSha512Etm | Self::HmacSha512 => hmac::HMAC_SHA512,
        }
    }
}
