//! Keys and certificates that are right, wrong in each of their parts, and random.

use moorline_core::{
    error::{Failure, Kind},
    ssh::{Fingerprint, HostKeyPolicy, HostName, KnownHosts},
};
use proptest::prelude::*;
use russh::keys::{
    PrivateKey,
    signature::Signer,
    ssh_key::{Signature, certificate, private::Ed25519Keypair},
};

use super::*;
use crate::ssh::wire::put_string;

const HASH: &[u8] = b"an exchange hash";

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn blob(key: &PrivateKey) -> Vec<u8> {
    key.public_key().to_bytes().unwrap()
}

fn sign(key: &PrivateKey, message: &[u8]) -> Vec<u8> {
    let signature: Signature = key.try_sign(message).unwrap();
    let mut out = Vec::new();
    put_string(&mut out, b"ssh-ed25519");
    put_string(&mut out, signature.as_bytes());
    out
}

fn config(host_keys: HostKeyPolicy) -> SessionConfig {
    SessionConfig::new(HostName::new("db.test", 22), host_keys, "me")
}

fn trusting(key: &PrivateKey) -> SessionConfig {
    config(HostKeyPolicy::Fingerprints(vec![Fingerprint::of(&blob(
        key,
    ))]))
}

fn trusting_authority(key: &PrivateKey) -> SessionConfig {
    let line = format!(
        "@cert-authority db.test {}",
        key.public_key().to_openssh().unwrap()
    );
    config(HostKeyPolicy::KnownHosts(KnownHosts::parse(&[(
        "known",
        line.as_bytes(),
    )])))
}

/// A certificate of a host's key by an authority.
fn certificate(host: &PrivateKey, authority: &PrivateKey, principal: &str) -> Vec<u8> {
    let mut builder =
        certificate::Builder::new(vec![5; 16], host.public_key(), 0, u64::MAX >> 1).unwrap();
    builder.cert_type(certificate::CertType::Host).unwrap();
    builder.valid_principal(principal).unwrap();
    builder.sign(authority).unwrap().to_bytes().unwrap()
}

fn refused(result: Result<(), SessionError>) -> Failure {
    result
        .unwrap_err()
        .while_connecting(crate::ssh::error::SessionPhase::KeyExchange)
}

#[test]
fn a_key_is_trusted_only_with_a_signature_of_this_exchange_by_it() {
    let (host, other) = (key(1), key(2));
    let config = trusting(&host);
    let check = |algorithm: &str, key: &[u8], signature: &[u8]| {
        verify(&config, algorithm, key, signature, HASH)
    };
    let (encoded, signature) = (blob(&host), sign(&host, HASH));
    check("ssh-ed25519", &encoded, &signature).unwrap();
    let table: [(&str, Vec<u8>, Vec<u8>); 6] = [
        ("ssh-ed25519", encoded.clone(), sign(&other, HASH)),
        (
            "ssh-ed25519",
            encoded.clone(),
            sign(&host, b"another exchange hash"),
        ),
        ("rsa-sha2-512", encoded.clone(), signature.clone()),
        (
            "ssh-ed25519-cert-v01@openssh.com",
            encoded.clone(),
            signature.clone(),
        ),
        ("ssh-ed25519", encoded.clone(), signature[..40].to_vec()),
        (
            "ssh-ed25519",
            [encoded.as_slice(), b"x"].concat(),
            signature.clone(),
        ),
    ];
    for (algorithm, key, signature) in table {
        let failure = refused(check(algorithm, &key, &signature));
        assert_eq!(failure.kind, Kind::Protocol, "{algorithm}: {failure:?}");
    }
    let failure = refused(check("ssh-ed25519", &blob(&other), &sign(&other, HASH)));
    assert_eq!(failure.code, "ERR_SSH_HOST_KEY_MISMATCH");
}

#[test]
fn a_certificate_is_trusted_by_its_authority_and_its_key_without_it_is_not() {
    const ALGORITHM: &str = "ssh-ed25519-cert-v01@openssh.com";
    let (host, authority, other) = (key(1), key(2), key(3));
    let config = trusting_authority(&authority);
    let signature = sign(&host, HASH);
    let check = |encoded: &[u8]| verify(&config, ALGORITHM, encoded, &signature, HASH);
    let right = certificate(&host, &authority, "db.test");
    check(&right).unwrap();
    verify(&trusting(&host), ALGORITHM, &right, &signature, HASH).unwrap();
    for wrong in [
        certificate(&host, &other, "db.test"),
        certificate(&host, &authority, "web.test"),
    ] {
        let failure = refused(check(&wrong));
        assert_eq!(failure.code, "ERR_SSH_HOST_KEY_UNKNOWN", "{failure:?}");
    }
    // Every byte is covered by the signature, or is the signature.
    for index in 0..right.len() {
        let mut changed = right.clone();
        changed[index] ^= 1;
        assert!(check(&changed).is_err(), "byte {index}");
    }
    let stolen = certificate(&other, &authority, "db.test");
    assert_eq!(refused(check(&stolen)).kind, Kind::Protocol);
}

#[test]
fn every_algorithm_has_its_type_and_its_signature() {
    for algorithm in HOST_KEY_ALGORITHMS {
        let (plain, is_certificate) = key_type(algorithm);
        assert_eq!(is_certificate, algorithm.contains("-cert-"));
        assert!(!plain.contains("rsa-sha2"));
        assert!(!algorithm_of_signature(algorithm).unwrap().contains('@'));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, rest: Vec<u8>) {
        let _ = Certificate::parse(&bytes);
        let mut encoded = Vec::new();
        put_string(&mut encoded, b"ssh-ed25519-cert-v01@openssh.com");
        encoded.extend(rest);
        let _ = Certificate::parse(&encoded);
        let _ = read_principals(&bytes);
        let config = config(HostKeyPolicy::Insecure);
        prop_assert!(verify(&config, "ssh-ed25519", &bytes, &bytes, HASH).is_err());
        prop_assert!(verify(&config, "ssh-ed25519", &blob(&key(1)), &bytes, HASH).is_err());
    }
}
