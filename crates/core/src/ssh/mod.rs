//! Host keys of SSH: whether the key that a server presents is that of the host that is meant.
//!
//! [`KnownHosts`] reads the files that `ssh` has. [`HostKeyPolicy`] judges a key or a certificate by them as OpenSSH's
//! client does with `StrictHostKeyChecking=yes`, or by given fingerprints, and says which algorithms to offer. The
//! caller reads the files, verifies signatures and knows the time.

mod certificate;
mod fingerprint;
mod host;
mod key;
mod known_hosts;
mod pattern;
mod policy;
mod verdict;

pub use certificate::{CertificateRefusal, HostCertificate};
pub use fingerprint::Fingerprint;
pub use host::HostName;
pub use known_hosts::{KnownHosts, LineRef, SkipReason, SkippedLine};
pub use policy::{HostKeyPolicy, PresentedKey};
pub use verdict::{KeyDescription, KnownKey, RefusedCertificate, Trust, Verdict};
