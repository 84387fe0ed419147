//! The public key of a certificate of any version, and its subject's name.
//!
//! rustls reads none of version 1, which old tools still make; where no certificate is checked, only its key is needed.

use rustls::{
    DigitallySignedStruct, Error, PeerMisbehaved,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, verify_tls13_signature_with_raw_key},
    pki_types::SubjectPublicKeyInfoDer,
};

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
/// The version, which those of version 1 do not have.
const VERSION: u8 = 0xa0;

/// 2.5.4.3, of a common name.
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];

/// An element of DER: its tag, its content, and all of it.
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    whole: &'a [u8],
}

/// The first element, and what comes behind it.
pub(super) fn element(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, after_tag) = der.split_first()?;
    let (&first, after_first) = after_tag.split_first()?;
    let (length, body) = if first < 0x80 {
        (usize::from(first), after_first)
    } else {
        // More than four bytes of length is no certificate.
        let (digits, body) = after_first.split_at_checked(usize::from(first & 0x7f))?;
        let add = |length: usize, digit: &u8| length << 8 | usize::from(*digit);
        (digits.len() <= 4)
            .then(|| digits.iter().fold(0, add))
            .map(|length| (length, body))?
    };
    let (content, rest) = body.split_at_checked(length)?;
    let whole = &der[..der.len() - rest.len()];
    Some((
        Element {
            tag,
            content,
            whole,
        },
        rest,
    ))
}

/// The content of the first element, where it is a sequence.
pub(super) fn sequence(der: &[u8]) -> Option<&[u8]> {
    let (found, _) = element(der)?;
    (found.tag == SEQUENCE).then_some(found.content)
}

/// The fields of a certificate from its serial number on.
fn fields(certificate: &[u8]) -> Option<&[u8]> {
    let fields = sequence(sequence(certificate)?)?;
    if fields.first() == Some(&VERSION) {
        return element(fields).map(|(_, rest)| rest);
    }
    Some(fields)
}

/// What comes behind so many elements.
fn skip(der: &[u8], count: usize) -> Option<&[u8]> {
    (0..count).try_fold(der, |rest, _| element(rest).map(|(_, rest)| rest))
}

/// The `SubjectPublicKeyInfo` of a certificate; `None` when it is none.
pub(super) fn of_certificate(certificate: &[u8]) -> Option<&[u8]> {
    // Serial number, algorithm, issuer, validity, subject.
    let (key, _) = element(skip(fields(certificate)?, 5)?)?;
    (key.tag == SEQUENCE).then_some(key.whole)
}

/// The first common name of a certificate's subject.
pub(super) fn common_name_of(certificate: &[u8]) -> Option<&[u8]> {
    // Serial number, algorithm, issuer, validity.
    let mut names = sequence(skip(fields(certificate)?, 4)?)?;
    while let Some((set, rest)) = element(names) {
        let attribute = sequence(set.content)?;
        let (kind, value) = element(attribute)?;
        if kind.whole == COMMON_NAME {
            return element(value).map(|(value, _)| value.content);
        }
        names = rest;
    }
    None
}

/// The algorithm of a key and its bits.
fn parts(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (algorithm, rest) = element(sequence(key)?)?;
    let (bits, _) = element(rest)?;
    // The first byte counts unused bits, of which a key has none.
    let key = bits.content.strip_prefix(&[0])?;
    (algorithm.tag == SEQUENCE && bits.tag == BIT_STRING).then_some((algorithm.content, key))
}

/// Whether a TLS 1.2 handshake was signed with the key of this certificate.
pub(super) fn verify_tls12(
    provider: &CryptoProvider,
    message: &[u8],
    certificate: &[u8],
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let key = of_certificate(certificate).and_then(parts);
    let (algorithm, key) = key.ok_or(BAD_ENCODING)?;
    let schemes = provider.signature_verification_algorithms.mapping;
    let verifies = schemes
        .iter()
        .filter(|(scheme, _)| *scheme == signed.scheme)
        .flat_map(|(_, verifiers)| *verifiers)
        .filter(|verifier| verifier.public_key_alg_id().as_ref() == algorithm)
        .any(|verifier| {
            verifier
                .verify_signature(key, message, signed.signature())
                .is_ok()
        });
    if verifies {
        return Ok(HandshakeSignatureValid::assertion());
    }
    Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
}

/// The same of TLS 1.3.
pub(super) fn verify_tls13(
    provider: &CryptoProvider,
    message: &[u8],
    certificate: &[u8],
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let key = SubjectPublicKeyInfoDer::from(of_certificate(certificate).ok_or(BAD_ENCODING)?);
    let schemes = &provider.signature_verification_algorithms;
    verify_tls13_signature_with_raw_key(message, &key, signed, schemes)
}

const BAD_ENCODING: Error = Error::InvalidCertificate(rustls::CertificateError::BadEncoding);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_has_no_key() {
        let junk: [&[u8]; 7] = [
            b"",
            b"\x30",
            b"\x30\x80",
            b"\x30\x05\x30",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x89\x01\x01\x01\x01\x01\x01\x01\x01\x01\x00",
            b"\x30\x02\x30\x00",
        ];
        for der in junk {
            assert!(of_certificate(der).is_none(), "{der:?}");
            assert!(common_name_of(der).is_none(), "{der:?}");
        }
    }

    #[test]
    fn the_first_common_name_is_found() {
        let wrap = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
        let attribute = |kind: &[u8], text: &[u8]| {
            wrap(
                0x31,
                &wrap(SEQUENCE, &[kind, &wrap(0x0c, text)[..]].concat()),
            )
        };
        let country = attribute(b"\x06\x03\x55\x04\x06", b"XX");
        let certificate = |names: &[Vec<u8>]| {
            let before = b"\x02\x01\x01\x30\x00\x30\x00\x30\x00";
            let fields = [&before[..], &wrap(SEQUENCE, &names.concat())].concat();
            wrap(SEQUENCE, &wrap(SEQUENCE, &fields))
        };
        let [first, second] = [b"db.test", b"no.test"].map(|name| attribute(COMMON_NAME, name));
        let found = certificate(&[country.clone(), first, second]);
        assert_eq!(common_name_of(&found), Some(&b"db.test"[..]));
        assert_eq!(common_name_of(&certificate(&[country])), None);
        assert_eq!(common_name_of(&certificate(&[])), None);
    }

    #[test]
    fn a_key_is_found_with_a_version_and_without() {
        let key = b"\x30\x07\x30\x01\x05\x03\x02\x00\x09";
        for version in [&b""[..], b"\xa0\x03\x02\x01\x02"] {
            let fields = [
                version,
                b"\x02\x01\x01\x30\x00\x30\x00\x30\x00\x30\x00",
                key,
            ]
            .concat();
            let wrap = |content: &[u8]| [&[0x30, 0x81, content.len() as u8], content].concat();
            let certificate = wrap(&wrap(&fields));
            assert_eq!(of_certificate(&certificate), Some(&key[..]));
        }
        assert_eq!(parts(key), Some((&b"\x05"[..], &b"\x09"[..])));
    }
}
