//! The host's key or certificate: its signature verified, then judged.

use std::time::{SystemTime, UNIX_EPOCH};

use moorline_core::ssh::{HostCertificate, PresentedKey};

use super::{signature::VerifyingKey, verdict::refusal};
use crate::ssh::{
    config::SessionConfig,
    error::SessionError,
    wire::{Malformed, Reader},
};

const CERTIFICATE_SUFFIX: &str = "-cert-v01@openssh.com";
/// OpenSSH's PROTOCOL.certkeys.
const CERTIFICATE_OF_HOST: u32 = 2;
/// The most principals that a certificate may have, as in OpenSSH.
const MAX_PRINCIPALS: usize = 256;

/// The algorithms of host keys that we verify, in OpenSSH's order of preference. RSA signs with SHA-2 alone.
pub(super) const HOST_KEY_ALGORITHMS: [&str; 12] = [
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// Verifies that the host has the private key of what it presents, and that it is trusted by that.
pub(super) fn verify(
    config: &SessionConfig,
    algorithm: &str,
    host_key: &[u8],
    signature: &[u8],
    exchange_hash: &[u8],
) -> Result<(), SessionError> {
    let (key_type, is_certificate) = key_type(algorithm);
    let name = Reader::new(host_key).text()?;
    let certificate = match name.strip_suffix(CERTIFICATE_SUFFIX) {
        Some(plain) if is_certificate && plain == key_type => Some(Certificate::parse(host_key)?),
        None if !is_certificate && name == key_type => None,
        _ => {
            return Err(SessionError::violation(
                "its host key is not of the type that was chosen",
            ));
        }
    };
    let key = match &certificate {
        Some(certificate) => certificate.key,
        None => VerifyingKey::parse(host_key)?,
    };
    let signed_with = key.verify(exchange_hash, signature).map_err(|_| {
        SessionError::violation("it did not prove that it has the host's private key")
    })?;
    if Some(signed_with) != algorithm_of_signature(algorithm) {
        return Err(SessionError::violation(
            "it signed with an algorithm that was not chosen",
        ));
    }
    match certificate {
        Some(certificate) => certificate.judge(config),
        None => judge(config, &PresentedKey::Plain(host_key)),
    }
}

/// The type of an algorithm's keys, and whether they come in certificates.
fn key_type(algorithm: &str) -> (&str, bool) {
    let (plain, is_certificate) = match algorithm.strip_suffix(CERTIFICATE_SUFFIX) {
        Some(plain) => (plain, true),
        None => (algorithm, false),
    };
    match plain {
        "rsa-sha2-512" | "rsa-sha2-256" => ("ssh-rsa", is_certificate),
        plain => (plain, is_certificate),
    }
}

fn algorithm_of_signature(algorithm: &str) -> Option<&str> {
    algorithm.split(CERTIFICATE_SUFFIX).next()
}

fn judge(config: &SessionConfig, presented: &PresentedKey) -> Result<(), SessionError> {
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let verdict = config.host_keys.verify(&config.host, presented, now_s);
    match refusal(&config.host, &verdict) {
        None => Ok(()),
        Some(failure) => Err(SessionError::Refused(failure)),
    }
}

/// A host certificate (OpenSSH's PROTOCOL.certkeys).
struct Certificate<'a> {
    key: VerifyingKey<'a>,
    /// The key, encoded alone.
    key_blob: Vec<u8>,
    authority: &'a [u8],
    signature: &'a [u8],
    signed: &'a [u8],
    kind: u32,
    principals: Vec<String>,
    valid_after_s: u64,
    valid_before_s: u64,
    has_critical_options: bool,
}

impl<'a> Certificate<'a> {
    fn parse(encoded: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(encoded);
        let key_type = reader
            .text()?
            .strip_suffix(CERTIFICATE_SUFFIX)
            .ok_or(Malformed)?;
        reader.string()?;
        let before_key = reader.rest();
        let key = VerifyingKey::read_fields(&mut reader, key_type)?;
        let key_bytes = before_key.len() - reader.rest().len();
        let mut key_blob = Vec::new();
        crate::ssh::wire::put_string(&mut key_blob, key_type.as_bytes());
        key_blob.extend_from_slice(before_key.get(..key_bytes).ok_or(Malformed)?);
        // The serial number.
        reader.uint64()?;
        let kind = reader.uint32()?;
        // The id.
        reader.string()?;
        let principals = read_principals(reader.string()?)?;
        let valid_after_s = reader.uint64()?;
        let valid_before_s = reader.uint64()?;
        let has_critical_options = !reader.string()?.is_empty();
        // Extensions, none of which is defined for hosts; reserved.
        reader.string()?;
        reader.string()?;
        let authority = reader.string()?;
        let signed_bytes = encoded.len() - reader.rest().len();
        let signature = reader.string()?;
        if !reader.is_empty() {
            return Err(Malformed);
        }
        Ok(Self {
            key,
            key_blob,
            authority,
            signature,
            signed: encoded.get(..signed_bytes).ok_or(Malformed)?,
            kind,
            principals,
            valid_after_s,
            valid_before_s,
            has_critical_options,
        })
    }

    fn judge(&self, config: &SessionConfig) -> Result<(), SessionError> {
        let authority = VerifyingKey::parse(self.authority)?;
        let signature_algorithm = authority
            .verify(self.signed, self.signature)
            .map_err(|_| SessionError::violation("the signature of its certificate is wrong"))?;
        let presented = PresentedKey::Certificate(HostCertificate {
            key: &self.key_blob,
            authority: self.authority,
            signature_algorithm,
            is_for_host: self.kind == CERTIFICATE_OF_HOST,
            principals: &self.principals,
            valid_after_s: self.valid_after_s,
            valid_before_s: self.valid_before_s,
            has_critical_options: self.has_critical_options,
        });
        judge(config, &presented)
    }
}

fn read_principals(encoded: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut reader = Reader::new(encoded);
    let mut principals = Vec::new();
    while !reader.is_empty() {
        if principals.len() == MAX_PRINCIPALS {
            return Err(Malformed);
        }
        principals.push(reader.text()?.to_owned());
    }
    Ok(principals)
}

#[cfg(test)]
mod tests;
