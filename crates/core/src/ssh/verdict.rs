//! The answer to "is this the host's key", with all that a message about it names.

use super::{certificate::CertificateRefusal, fingerprint::Fingerprint, known_hosts::LineRef};

/// Whether a host is to be trusted, and why. Only [`Verdict::Trusted`] lets a connection go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the host that is meant.
    Trusted(Trust),
    /// Nothing is known of the host.
    Unknown {
        /// What it presented.
        key: KeyDescription,
        /// The line that makes the key known; `None` when the host's name cannot stand in a file.
        line_to_add: Option<String>,
    },
    /// Other keys are known for the host, of this type or of others.
    Changed {
        /// What it presented.
        key: KeyDescription,
        /// All that are known, in the order of their lines.
        known: Vec<KnownKey>,
    },
    /// The key, or the authority that has certified it, is revoked.
    Revoked {
        /// What the host presented.
        key: KeyDescription,
        /// The line that revokes it.
        line: LineRef,
    },
    /// It is none of the keys whose fingerprints were given.
    OtherFingerprint {
        /// What the host presented.
        key: KeyDescription,
        /// The fingerprints that were given.
        expected: Vec<Fingerprint>,
    },
    /// What was presented is no key that may be used: of no known type, badly encoded, or RSA with less than 1024 bits.
    Unusable,
}

impl Verdict {
    /// Whether the connection may go on.
    pub const fn is_trusted(&self) -> bool {
        matches!(self, Self::Trusted(_))
    }
}

/// Why a host is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// This line has its key.
    Key(LineRef),
    /// This line has the authority that has certified its key.
    Authority(LineRef),
    /// Its key has one of the fingerprints that were given.
    Fingerprint,
    /// Every host is.
    Insecure,
}

/// A key that a host presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// The type of the key, as `ssh-ed25519`.
    pub key_type: &'static str,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What was wrong with the certificate, where it came with one.
    pub certificate: Option<RefusedCertificate>,
}

/// A certificate that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedCertificate {
    /// The fingerprint of its authority's key.
    pub authority: Fingerprint,
    /// What was wrong with it; `None` when only a revocation was.
    pub refusal: Option<CertificateRefusal>,
}

/// A key that is known for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// The line that has it.
    pub line: LineRef,
    /// The type of the key, as `ssh-ed25519`.
    pub key_type: &'static str,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
}
