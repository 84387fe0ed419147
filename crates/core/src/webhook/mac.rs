//! Message authentication codes: one small trait with two backends, and an external one.
//!
//! A key is expanded once, when the verifier is made; a tag then costs the hashing and nothing else.
//! Which backend is used depends on the processor alone ([`fastest`]), so both give the same bytes and a
//! test holds them against each other. The reasons are in `docs/adr/0004-two-mac-backends.md`.

use aws_lc_rs::{constant_time, digest as aws_digest, hmac as aws_hmac};
use hmac::{Hmac, KeyInit, Mac as _};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The longest signature of any scheme: Ed25519's 64 bytes.
pub const MAX_TAG_BYTES: usize = 64;

/// A signature as bytes, without an allocation of its own.
#[derive(Clone, Copy, Debug)]
pub struct Tag {
    bytes: [u8; MAX_TAG_BYTES],
    len: usize,
}

impl Tag {
    /// Takes the bytes over; `None` when there are more than [`MAX_TAG_BYTES`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut tag = Self {
            bytes: [0; MAX_TAG_BYTES],
            len: bytes.len(),
        };
        tag.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(tag)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Whether both are the same, in a time that depends on their lengths only.
    pub fn matches(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.as_bytes(), other.as_bytes()).is_ok()
    }

    /// From an array that is known to fit.
    fn of<const N: usize>(array: [u8; N]) -> Self {
        const { assert!(N <= MAX_TAG_BYTES) };
        let mut bytes = [0; MAX_TAG_BYTES];
        bytes[..N].copy_from_slice(&array);
        Self { bytes, len: N }
    }
}

/// One key, expanded, ready to sign the concatenation of any parts.
pub trait Mac: Send + Sync {
    /// The tag of `parts` written one after the other.
    fn tag(&self, parts: &[&[u8]]) -> Tag;
}

/// An external implementation for the HMAC-SHA256 of a large body: `src/` gives Node's own
/// OpenSSL, which is the fastest on processors without SHA instructions.
pub trait ExternalMac {
    /// The tag over `before`, the body it knows and `after`, under the verifier's secret number
    /// `secret_index`; or `None` to have it computed here.
    fn hmac_sha256(&self, secret_index: usize, before: &[u8], after: &[u8]) -> Option<Tag>;
}

/// From this many bytes on a [`ExternalMac`] is asked, where [`prefers_external_mac`] says so.
pub const LARGE_BODY_BYTES: usize = 32 * 1024;

/// Whether this processor lacks the instructions that make SHA-256 equally fast in every library.
pub fn prefers_external_mac() -> bool {
    !has_sha_instructions()
}

/// A function over key and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// HMAC-SHA256, which most providers use.
    HmacSha256,
    /// HMAC-SHA1: Twilio, and GitHub's legacy header.
    HmacSha1,
    /// SHA-256 of the secret followed by the content: HubSpot before v3.
    Sha256,
}

/// The keyed function on the backend that is fastest on this processor; `None` for a key it does not take
/// (neither backend refuses one today).
pub fn fastest(function: Function, key: &[u8]) -> Option<Box<dyn Mac>> {
    if has_sha_instructions() {
        rust_crypto(function, key)
    } else {
        Some(aws_lc(function, key))
    }
}

/// SHA-256 of `parts`, one after the other.
pub(super) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().into()
}

/// The keyed function in pure Rust (hmac, sha2, sha1): no call setup, SHA instructions where they exist.
pub fn rust_crypto(function: Function, key: &[u8]) -> Option<Box<dyn Mac>> {
    Some(match function {
        Function::HmacSha256 => Box::new(RustHmac256(Hmac::new_from_slice(key).ok()?)),
        Function::HmacSha1 => Box::new(RustHmac1(Hmac::new_from_slice(key).ok()?)),
        Function::Sha256 => Box::new(RustSha256(Sha256::new_with_prefix(key))),
    })
}

/// The keyed function in aws-lc: assembly for every processor, the faster one without SHA instructions.
pub fn aws_lc(function: Function, key: &[u8]) -> Box<dyn Mac> {
    match function {
        Function::HmacSha256 => Box::new(AwsHmac(aws_hmac::Key::new(aws_hmac::HMAC_SHA256, key))),
        Function::HmacSha1 => Box::new(AwsHmac(aws_hmac::Key::new(
            aws_hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            key,
        ))),
        Function::Sha256 => {
            let mut context = aws_digest::Context::new(&aws_digest::SHA256);
            context.update(key);
            Box::new(AwsSha256(context))
        }
    }
}

/// SHA-256 of `bytes`, where a scheme carries a plain digest beside its signature.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

struct RustHmac256(Hmac<Sha256>);
struct RustHmac1(Hmac<Sha1>);
struct RustSha256(Sha256);
struct AwsHmac(aws_hmac::Key);
struct AwsSha256(aws_digest::Context);

impl Mac for RustHmac256 {
    fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        Tag::of::<32>(mac.finalize().into_bytes().into())
    }
}

impl Mac for RustHmac1 {
    fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        Tag::of::<20>(mac.finalize().into_bytes().into())
    }
}

impl Mac for RustSha256 {
    fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut hash = self.0.clone();
        for part in parts {
            hash.update(part);
        }
        Tag::of::<32>(hash.finalize().into())
    }
}

impl Mac for AwsHmac {
    fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut context = aws_hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        // A tag of SHA-1 or SHA-256 fits; an empty one matches nothing.
        Tag::new(context.sign().as_ref()).unwrap_or_else(|| Tag::of([]))
    }
}

impl Mac for AwsSha256 {
    fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut context = self.0.clone();
        for part in parts {
            context.update(part);
        }
        Tag::new(context.finish().as_ref()).unwrap_or_else(|| Tag::of([]))
    }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn has_sha_instructions() -> bool {
    std::arch::is_x86_feature_detected!("sha")
}

#[cfg(target_arch = "aarch64")]
fn has_sha_instructions() -> bool {
    std::arch::is_aarch64_feature_detected!("sha2")
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
fn has_sha_instructions() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FUNCTIONS: [Function; 3] = [Function::HmacSha256, Function::HmacSha1, Function::Sha256];

    proptest! {
        #[test]
        fn both_backends_give_the_same_tag(
            key in prop::collection::vec(any::<u8>(), 0..200),
            body in prop::collection::vec(any::<u8>(), 0..600),
            cut in 0usize..600,
        ) {
            let (left, right) = body.split_at(cut.min(body.len()));
            for function in FUNCTIONS {
                let ours = rust_crypto(function, &key).unwrap().tag(&[left, right]);
                let theirs = aws_lc(function, &key).tag(&[&body]);
                prop_assert_eq!(ours.as_bytes(), theirs.as_bytes());
                prop_assert!(fastest(function, &key).unwrap().tag(&[&body]).matches(&ours));
            }
        }
    }

    #[test]
    fn a_published_vector_of_hmac_sha256_holds() {
        // RFC 4231, test case 2.
        let tag = fastest(Function::HmacSha256, b"Jefe")
            .unwrap()
            .tag(&[b"what do ya want ", b"for nothing?"]);
        assert_eq!(tag.as_bytes()[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert_eq!(tag.as_bytes()[28..], [0x64, 0xec, 0x38, 0x43]);
    }

    #[test]
    fn tags_of_different_length_never_match() {
        let short = Tag::new(&[0; 20]).unwrap();
        let long = Tag::new(&[0; 32]).unwrap();
        assert!(!short.matches(&long));
        assert!(short.matches(&short.clone()));
        assert!(Tag::new(&[0; 65]).is_none());
    }
}
