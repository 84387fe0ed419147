//! Certificates of hosts: what makes one valid for a host.

use super::{host::HostName, pattern::matches_pattern};

/// Signature algorithms with which an authority may sign, OpenSSH's default: not RSA with SHA-1.
const AUTHORITY_ALGORITHMS: [&str; 9] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// What a certificate that a host presents says. Its signature has been verified.
#[derive(Clone, Copy, Debug)]
pub struct HostCertificate<'a> {
    /// The certified key, encoded alone.
    pub key: &'a [u8],
    /// The key of the authority that has signed it.
    pub authority: &'a [u8],
    /// The algorithm of the authority's signature, as `rsa-sha2-512`.
    pub signature_algorithm: &'a str,
    /// Whether it is a host's, and not a user's.
    pub is_for_host: bool,
    /// The names that it is made out to, which may have wildcards.
    pub principals: &'a [String],
    /// The second since the epoch from which on it is valid.
    pub valid_after_s: u64,
    /// The second since the epoch from which on it is no longer valid.
    pub valid_before_s: u64,
    /// Whether it has critical options, none of which are defined for hosts.
    pub has_critical_options: bool,
}

/// Why a certificate was not accepted. Its key may have been judged as any key then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateRefusal {
    /// No `@cert-authority` line for the host has its authority.
    UnknownAuthority,
    /// It is a user's.
    NotForHost,
    /// It is not valid yet.
    NotYetValid,
    /// It is no longer valid.
    Expired,
    /// It is made out to nobody, which OpenSSH took for everybody before 10.3.
    NoPrincipals,
    /// It is made out to other names.
    OtherPrincipals,
    /// It has critical options.
    CriticalOptions,
    /// Its authority has signed it with an algorithm that is not accepted.
    SignatureAlgorithm,
}

impl HostCertificate<'_> {
    /// Whether it is valid for the host at this time, its authority aside.
    pub(super) fn check(&self, host: &HostName, now_s: u64) -> Result<(), CertificateRefusal> {
        if !self.is_for_host {
            return Err(CertificateRefusal::NotForHost);
        }
        if now_s < self.valid_after_s {
            return Err(CertificateRefusal::NotYetValid);
        }
        if now_s >= self.valid_before_s {
            return Err(CertificateRefusal::Expired);
        }
        if self.principals.is_empty() {
            return Err(CertificateRefusal::NoPrincipals);
        }
        let name = host.bare().as_bytes();
        let is_for_name = |principal: &String| matches_pattern(name, principal.as_bytes());
        if !self.principals.iter().any(is_for_name) {
            return Err(CertificateRefusal::OtherPrincipals);
        }
        if self.has_critical_options {
            return Err(CertificateRefusal::CriticalOptions);
        }
        if !AUTHORITY_ALGORITHMS.contains(&self.signature_algorithm) {
            return Err(CertificateRefusal::SignatureAlgorithm);
        }
        Ok(())
    }
}
