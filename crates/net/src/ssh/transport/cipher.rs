//! Encryption and authentication of packets, for one direction.
//!
//! What is sealed and opened is a packet with its length in front, as RFC 4253, section 6 has it. Where the tag covers the
//! ciphertext it is verified before anything is decrypted; tags are compared in constant time.

use aws_lc_rs::{
    aead::{
        AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey,
        chacha20_poly1305_openssh as chacha,
    },
    cipher::{AES_128, AES_256, EncryptionContext, StreamingEncryptingKey, UnboundCipherKey},
    error::Unspecified,
    hmac,
    iv::FixedLength,
};

use super::algorithm::{Cipher, Mac};

/// The bytes of a packet's length.
pub(crate) const LENGTH_BYTES: usize = 4;
/// The block of a packet that is not encrypted (RFC 4253, section 6).
const MIN_BLOCK_BYTES: usize = 8;
const AEAD_TAG_BYTES: usize = 16;
const CTR_BLOCK_BYTES: usize = 16;

/// The state of one direction's cipher.
pub(crate) enum PacketCipher {
    /// Before the first key exchange.
    Plain,
    ChaCha20Poly1305(Box<ChaChaKey>),
    Gcm(Box<GcmKey>),
    Ctr(Box<CtrKey>),
}

/// The keys of `chacha20-poly1305@openssh.com` (OpenSSH's PROTOCOL.chacha20poly1305). A direction uses one of them.
pub(crate) struct ChaChaKey {
    sealing: chacha::SealingKey,
    opening: chacha::OpeningKey,
}

/// A key of AES-GCM and its nonce (RFC 5647, section 7.1).
pub(crate) struct GcmKey {
    key: LessSafeKey,
    fixed: [u8; 4],
    invocations: u64,
}

impl GcmKey {
    fn next_nonce(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        let (fixed, counter) = nonce.split_at_mut(self.fixed.len());
        fixed.copy_from_slice(&self.fixed);
        counter.copy_from_slice(&self.invocations.to_be_bytes());
        self.invocations = self.invocations.wrapping_add(1);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// A stream of AES in counter mode (RFC 4344, section 4) and a MAC (RFC 6668). The cipher is its own inverse.
pub(crate) struct CtrKey {
    stream: StreamingEncryptingKey,
    scratch: Vec<u8>,
    mac_key: hmac::Key,
    mac: Mac,
}

impl CtrKey {
    fn apply(&mut self, bytes: &mut [u8]) -> Result<(), Unspecified> {
        self.scratch.resize(bytes.len() + CTR_BLOCK_BYTES, 0);
        let update = self.stream.update(bytes, &mut self.scratch)?;
        if update.written().len() != bytes.len() {
            return Err(Unspecified);
        }
        bytes.copy_from_slice(update.written());
        Ok(())
    }

    fn sign(&self, sequence_number: u32, packet: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.mac_key);
        context.update(&sequence_number.to_be_bytes());
        context.update(packet);
        context.sign()
    }

    fn verify(&self, sequence_number: u32, packet: &[u8], tag: &[u8]) -> Result<(), Unspecified> {
        let expected = self.sign(sequence_number, packet);
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), tag)
    }
}

impl PacketCipher {
    /// A cipher by its keys, which have the lengths that [`Cipher`] and [`Mac`] say.
    pub(crate) fn new(
        cipher: Cipher,
        mac: Mac,
        key: &[u8],
        iv: &[u8],
        mac_key: &[u8],
    ) -> Result<Self, Unspecified> {
        Ok(match cipher {
            Cipher::ChaCha20Poly1305 => {
                let key = key.try_into().map_err(|_| Unspecified)?;
                Self::ChaCha20Poly1305(Box::new(ChaChaKey {
                    sealing: chacha::SealingKey::new(key),
                    opening: chacha::OpeningKey::new(key),
                }))
            }
            Cipher::Aes256Gcm | Cipher::Aes128Gcm => {
                let algorithm = match cipher {
                    Cipher::Aes256Gcm => &AES_256_GCM,
                    _ => &AES_128_GCM,
                };
                let (fixed, counter) = iv.split_first_chunk().ok_or(Unspecified)?;
                Self::Gcm(Box::new(GcmKey {
                    key: LessSafeKey::new(UnboundKey::new(algorithm, key)?),
                    fixed: *fixed,
                    invocations: u64::from_be_bytes(counter.try_into().map_err(|_| Unspecified)?),
                }))
            }
            Cipher::Aes256Ctr | Cipher::Aes128Ctr => {
                let algorithm = match cipher {
                    Cipher::Aes256Ctr => &AES_256,
                    _ => &AES_128,
                };
                let iv: [u8; CTR_BLOCK_BYTES] = iv.try_into().map_err(|_| Unspecified)?;
                let context = EncryptionContext::Iv128(FixedLength::from(iv));
                let key = UnboundCipherKey::new(algorithm, key)?;
                Self::Ctr(Box::new(CtrKey {
                    stream: StreamingEncryptingKey::less_safe_ctr(key, context)?,
                    scratch: Vec::new(),
                    mac_key: hmac::Key::new(mac.hmac(), mac_key),
                    mac,
                }))
            }
        })
    }

    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    pub(crate) fn tag_bytes(&self) -> usize {
        match self {
            Self::Plain => 0,
            Self::ChaCha20Poly1305(_) | Self::Gcm(_) => AEAD_TAG_BYTES,
            Self::Ctr(key) => key.mac.tag_bytes(),
        }
    }

    /// What the padded packet's length is a multiple of.
    pub(crate) const fn block_bytes(&self) -> usize {
        match self {
            Self::Plain | Self::ChaCha20Poly1305(_) => MIN_BLOCK_BYTES,
            Self::Gcm(_) | Self::Ctr(_) => CTR_BLOCK_BYTES,
        }
    }

    /// Whether the length is encrypted in the packet's first block, and so is part of what is padded.
    pub(crate) fn is_length_padded(&self) -> bool {
        match self {
            Self::Plain => true,
            Self::ChaCha20Poly1305(_) | Self::Gcm(_) => false,
            Self::Ctr(key) => !key.mac.is_etm(),
        }
    }

    /// The bytes that must be there to know a packet's length.
    pub(crate) fn head_bytes(&self) -> usize {
        match self {
            Self::Ctr(key) if !key.mac.is_etm() => CTR_BLOCK_BYTES,
            _ => LENGTH_BYTES,
        }
    }

    /// The length of a packet by its first [`PacketCipher::head_bytes`], which are decrypted where they have to be, so it is
    /// called once for each packet. It is not authenticated.
    pub(crate) fn open_length(
        &mut self,
        sequence_number: u32,
        head: &mut [u8],
    ) -> Result<u32, Unspecified> {
        if let Self::Ctr(key) = self
            && !key.mac.is_etm()
        {
            key.apply(head)?;
        }
        let length = *head.first_chunk().ok_or(Unspecified)?;
        Ok(u32::from_be_bytes(match self {
            Self::ChaCha20Poly1305(key) => {
                key.opening.decrypt_packet_length(sequence_number, length)
            }
            _ => length,
        }))
    }

    /// Verifies and decrypts a packet whose length was opened.
    pub(crate) fn open(
        &mut self,
        sequence_number: u32,
        packet: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Unspecified> {
        match self {
            Self::Plain => Ok(()),
            Self::ChaCha20Poly1305(key) => {
                let tag = tag.try_into().map_err(|_| Unspecified)?;
                key.opening.open_in_place(sequence_number, packet, tag)?;
                Ok(())
            }
            Self::Gcm(key) => {
                let nonce = key.next_nonce();
                let (length, body) = packet
                    .split_at_mut_checked(LENGTH_BYTES)
                    .ok_or(Unspecified)?;
                key.key
                    .open_in_place_separate_tag(nonce, Aad::from(&*length), tag, body)?;
                Ok(())
            }
            Self::Ctr(key) if key.mac.is_etm() => {
                key.verify(sequence_number, packet, tag)?;
                key.apply(packet.get_mut(LENGTH_BYTES..).ok_or(Unspecified)?)
            }
            Self::Ctr(key) => {
                key.apply(packet.get_mut(CTR_BLOCK_BYTES..).ok_or(Unspecified)?)?;
                key.verify(sequence_number, packet, tag)
            }
        }
    }

    /// Encrypts the padded packet at the end of `out`, from `start` on, and appends its tag.
    pub(crate) fn seal(
        &mut self,
        sequence_number: u32,
        out: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), Unspecified> {
        let packet = out.get_mut(start..).ok_or(Unspecified)?;
        match self {
            Self::Plain => {}
            Self::ChaCha20Poly1305(key) => {
                let mut tag = [0; chacha::TAG_LEN];
                key.sealing.seal_in_place(sequence_number, packet, &mut tag);
                out.extend_from_slice(&tag);
            }
            Self::Gcm(key) => {
                let nonce = key.next_nonce();
                let (length, body) = packet
                    .split_at_mut_checked(LENGTH_BYTES)
                    .ok_or(Unspecified)?;
                let tag = key
                    .key
                    .seal_in_place_separate_tag(nonce, Aad::from(&*length), body)?;
                out.extend_from_slice(tag.as_ref());
            }
            Self::Ctr(key) if key.mac.is_etm() => {
                key.apply(packet.get_mut(LENGTH_BYTES..).ok_or(Unspecified)?)?;
                let tag = key.sign(sequence_number, packet);
                out.extend_from_slice(tag.as_ref());
            }
            Self::Ctr(key) => {
                let tag = key.sign(sequence_number, packet);
                key.apply(packet)?;
                out.extend_from_slice(tag.as_ref());
            }
        }
        Ok(())
    }
}
