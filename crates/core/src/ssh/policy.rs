//! The rules by which a presented host key is trusted, those of OpenSSH's client.

use std::iter;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    certificate::{CertificateRefusal, HostCertificate},
    fingerprint::Fingerprint,
    host::HostName,
    key::{PublicKey, type_named},
    known_hosts::{Entry, HostLines, KnownHosts},
    verdict::{KeyDescription, KnownKey, RefusedCertificate, Trust, Verdict},
};

/// What a host presents in the key exchange. That it has the private key is verified elsewhere.
#[derive(Clone, Copy, Debug)]
pub enum PresentedKey<'a> {
    /// An encoded public key.
    Plain(&'a [u8]),
    /// A certificate.
    Certificate(HostCertificate<'a>),
}

/// Which hosts are trusted.
#[derive(Clone, Debug)]
pub enum HostKeyPolicy {
    /// Those whose key or authority is in the files.
    KnownHosts(KnownHosts),
    /// Those whose key has one of these fingerprints, certified or not.
    Fingerprints(Vec<Fingerprint>),
    /// All of them.
    Insecure,
}

impl HostKeyPolicy {
    /// Whether the host is trusted by what it presents. The time is in seconds since the epoch.
    pub fn verify(&self, host: &HostName, presented: &PresentedKey, now_s: u64) -> Verdict {
        let Some(key) = DecodedKey::of(presented) else {
            return Verdict::Unusable;
        };
        match self {
            Self::KnownHosts(known) => Lookup::new(known, host, &key, now_s).verdict(),
            Self::Fingerprints(expected) if expected.contains(&key.plain.fingerprint()) => {
                Verdict::Trusted(Trust::Fingerprint)
            }
            Self::Fingerprints(expected) => Verdict::OtherFingerprint {
                key: describe(&key.plain),
                expected: expected.clone(),
            },
            Self::Insecure => Verdict::Trusted(Trust::Insecure),
        }
    }

    /// The algorithms to offer to the host, those first for which it is known: a host has keys of several types, and
    /// presents one of the first algorithm that it has. The order is that of `supported` otherwise.
    pub fn order_algorithms<'n>(&self, host: &HostName, supported: &[&'n str]) -> Vec<&'n str> {
        let Self::KnownHosts(known) = self else {
            return supported.to_vec();
        };
        // Without the fallback to the bare name, as OpenSSH: with it, another key would be presented to us than to it.
        let lines = known.lines_for(host.qualified());
        let has_authority = lines.has_authority();
        let is_expected = |name: &str| {
            type_named(name.as_bytes()).is_some_and(|(key_type, certified)| {
                (certified && has_authority) || lines.expects(key_type)
            })
        };
        let is_best_known = supported
            .first()
            .and_then(|best| type_named(best.as_bytes()))
            .is_some_and(|(key_type, _)| lines.expects(key_type));
        if is_best_known {
            return supported.to_vec();
        }
        let (mut ordered, others): (Vec<_>, Vec<_>) =
            supported.iter().partition(|name| is_expected(name));
        ordered.extend(others);
        ordered
    }
}

/// A presented key, decoded.
struct DecodedKey<'a> {
    plain: PublicKey,
    certificate: Option<Certificate<'a>>,
}

/// A presented certificate, and its authority's key.
struct Certificate<'a> {
    contents: HostCertificate<'a>,
    authority: PublicKey,
}

impl<'a> DecodedKey<'a> {
    fn of(presented: &PresentedKey<'a>) -> Option<Self> {
        let decode = |blob| PublicKey::decode(blob).filter(|key| !key.certified);
        Some(match presented {
            PresentedKey::Plain(blob) => Self {
                plain: decode(blob)?,
                certificate: None,
            },
            PresentedKey::Certificate(contents) => Self {
                plain: decode(contents.key)?,
                certificate: Some(Certificate {
                    contents: *contents,
                    authority: decode(contents.authority)?,
                }),
            },
        })
    }

    /// The line that revokes the key or its authority.
    fn revocation<'k>(&self, lines: &HostLines<'k>) -> Option<&'k Entry> {
        let by_authority = || lines.revocation(&self.certificate.as_ref()?.authority);
        lines.revocation(&self.plain).or_else(by_authority)
    }
}

/// What lines say of a key.
enum Finding<'k> {
    Trusted(Trust),
    Revoked(&'k Entry),
    /// They have other keys.
    Changed,
    /// They have none.
    Unknown,
}

/// One look at the lines of one host for the key that it presents.
struct Lookup<'k> {
    host: &'k HostName,
    key: &'k DecodedKey<'k>,
    now_s: u64,
    /// The lines for the name with its port, and for the bare one.
    lines: HostLines<'k>,
    fallback: Option<HostLines<'k>>,
}

impl<'k> Lookup<'k> {
    fn new(known: &'k KnownHosts, host: &'k HostName, key: &'k DecodedKey, now_s: u64) -> Self {
        Self {
            host,
            key,
            now_s,
            lines: known.lines_for(host.qualified()),
            fallback: host.fallback().map(|name| known.lines_for(name)),
        }
    }

    fn verdict(&self) -> Verdict {
        let finding = self.find(
            &self.lines,
            self.fallback.as_ref(),
            self.key.certificate.as_ref(),
        );
        let key = self.describe();
        match finding {
            Finding::Trusted(trust) => Verdict::Trusted(trust),
            Finding::Revoked(entry) => Verdict::Revoked {
                key,
                line: entry.line.clone(),
            },
            Finding::Changed => Verdict::Changed {
                key,
                known: self.lines.host_keys().map(describe_entry).collect(),
            },
            Finding::Unknown => Verdict::Unknown {
                key,
                line_to_add: self.line_to_add(),
            },
        }
    }

    /// Judges the certificate, if there is one, and then its key like any other. What is unknown under the name with its
    /// port may be accepted under the bare one, or revoked; another key there says nothing of this port.
    fn find(
        &self,
        lines: &HostLines<'k>,
        fallback: Option<&HostLines<'k>>,
        certificate: Option<&Certificate>,
    ) -> Finding<'k> {
        let Some(certificate) = certificate else {
            return self.find_plain(lines, fallback);
        };
        if let Some(entry) = self.key.revocation(lines) {
            return Finding::Revoked(entry);
        }
        let mut under_bare_name = Finding::Unknown;
        if let Some(entry) = lines.authority(&certificate.authority) {
            if certificate.contents.check(self.host, self.now_s).is_ok() {
                return Finding::Trusted(Trust::Authority(entry.line.clone()));
            }
        } else if let Some(bare) = fallback {
            under_bare_name = self.find(bare, None, Some(certificate));
        }
        match (under_bare_name, self.find_plain(lines, fallback)) {
            (found @ Finding::Trusted(_), _)
            | (found @ Finding::Revoked(_), Finding::Changed | Finding::Unknown)
            | (_, found) => found,
        }
    }

    fn find_plain(&self, lines: &HostLines<'k>, fallback: Option<&HostLines<'k>>) -> Finding<'k> {
        if let Some(entry) = lines.revocation(&self.key.plain) {
            return Finding::Revoked(entry);
        }
        if let Some(entry) = lines.host_key(&self.key.plain) {
            return Finding::Trusted(Trust::Key(entry.line.clone()));
        }
        if lines.host_keys().next().is_some() {
            return Finding::Changed;
        }
        match fallback.map(|bare| self.find_plain(bare, None)) {
            Some(found @ (Finding::Trusted(_) | Finding::Revoked(_))) => found,
            Some(Finding::Changed | Finding::Unknown) | None => Finding::Unknown,
        }
    }

    fn describe(&self) -> KeyDescription {
        let certificate = self.key.certificate.as_ref();
        KeyDescription {
            certificate: certificate.map(|certificate| RefusedCertificate {
                authority: certificate.authority.fingerprint(),
                refusal: self.refusal(certificate),
            }),
            ..describe(&self.key.plain)
        }
    }

    /// What is wrong with the certificate.
    fn refusal(&self, certificate: &Certificate) -> Option<CertificateRefusal> {
        let mut looked_at = iter::once(&self.lines).chain(&self.fallback);
        if looked_at.any(|lines| lines.authority(&certificate.authority).is_some()) {
            certificate.contents.check(self.host, self.now_s).err()
        } else {
            Some(CertificateRefusal::UnknownAuthority)
        }
    }

    fn line_to_add(&self) -> Option<String> {
        self.host.is_writable().then(|| {
            let key = &self.key.plain;
            let encoded = STANDARD.encode(&key.blob);
            format!(
                "{} {} {encoded}",
                self.host.qualified(),
                key.key_type.name()
            )
        })
    }
}

fn describe(key: &PublicKey) -> KeyDescription {
    KeyDescription {
        key_type: key.key_type.name(),
        fingerprint: key.fingerprint(),
        certificate: None,
    }
}

fn describe_entry(entry: &Entry) -> KnownKey {
    KnownKey {
        line: entry.line.clone(),
        key_type: entry.key.key_type.name(),
        fingerprint: entry.key.fingerprint(),
    }
}
