//! Decisions of SSH: whether a server's key is that of the host that is meant, and a tunnel's.
//!
//! [`KnownHosts`] reads the files that `ssh` has. [`HostKeyPolicy`] judges a key or a certificate by them as OpenSSH's
//! client does with `StrictHostKeyChecking=yes`, or by given fingerprints, and says which algorithms to offer. The
//! caller reads the files, verifies signatures and knows the time.
//!
//! Tunnels: [`Reconnection`] decides about connecting, [`SessionLedger`] about sessions and channels.

mod certificate;
mod fingerprint;
mod host;
mod key;
mod known_hosts;
mod pattern;
mod policy;
mod tunnel;
mod verdict;

pub use certificate::{CertificateRefusal, HostCertificate};
pub use fingerprint::Fingerprint;
pub use host::HostName;
pub use known_hosts::{KnownHosts, LineRef, SkipReason, SkippedLine};
pub use policy::{HostKeyPolicy, PresentedKey};
pub use tunnel::{
    AttemptFailed, ChannelRequest, ChannelTicket, Due, Lost, Need, NeedDecision, ReconnectPolicy,
    Reconnection, Recovery, SessionCounts, SessionId, SessionLedger, SessionLimits, TunnelSeries,
    TunnelTotals,
};
pub use verdict::{KeyDescription, KnownKey, RefusedCertificate, Trust, Verdict};
