//! Certificate verification where the usual one is not wanted.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use super::public_key;

/// How a certificate has to be for a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameCheck {
    /// Not at all.
    Off,
    /// By an alternative name, as the RFCs have it today.
    #[default]
    Strict,
    /// The same; one that has no alternative names by its common name, as OpenSSL and Node have it.
    CommonName,
}

/// Checks the certificate as rustls does, with what its users want to be different.
#[derive(Debug)]
pub(super) struct Checked {
    /// The name that the certificate has to be for, in place of the one that was dialled.
    pub(super) name: Option<ServerName<'static>>,
    pub(super) name_check: NameCheck,
    /// The authorities of the user's choice.
    pub(super) given: Vec<CertificateDer<'static>>,
    pub(super) verifier: Arc<WebPkiServerVerifier>,
}

impl Checked {
    /// Whether the server's own certificate is among the authorities. A self-signed one that `openssl req -x509` makes is an
    /// authority's, which rustls takes from no server; OpenSSL takes one that is trusted by itself.
    fn trusts(&self, end_entity: &CertificateDer<'_>, error: &Error) -> bool {
        // What is wrong with its time, its name or its signature has an error of its own.
        let is_authority = matches!(error, Error::InvalidCertificate(CertificateError::Other(_)));
        is_authority && self.given.contains(end_entity)
    }

    /// What was found about a name, less what is not wanted.
    fn verify_name(
        &self,
        end_entity: &CertificateDer<'_>,
        name: &ServerName<'_>,
        found: Result<(), Error>,
    ) -> Result<(), Error> {
        let Err(Error::InvalidCertificate(error)) = &found else {
            return found;
        };
        let (is_about_name, has_others) = match error {
            CertificateError::NotValidForName => (true, true),
            CertificateError::NotValidForNameContext { presented, .. } => {
                (true, !presented.is_empty())
            }
            _ => (false, true),
        };
        let is_common = || {
            let common = public_key::common_name_of(end_entity);
            !has_others && common.is_some_and(|common| is_name(common, &name.to_str()))
        };
        match self.name_check {
            NameCheck::Off if is_about_name => Ok(()),
            NameCheck::CommonName if is_about_name && is_common() => Ok(()),
            _ => found,
        }
    }
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let name = self.name.as_ref().unwrap_or(server_name);
        let checked =
            self.verifier
                .verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        match checked {
            Err(error) if self.trusts(end_entity, &error) => {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                self.verify_name(end_entity, name, verify_server_name(&parsed, name))?;
                Ok(ServerCertVerified::assertion())
            }
            // The name is looked at last, when the chain was found to be good.
            checked => self
                .verify_name(end_entity, name, checked.map(drop))
                .map(|()| ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Whether a common name stands for `name`; a `*` for its first label.
fn is_name(common: &[u8], name: &str) -> bool {
    let name = name.as_bytes();
    if common.eq_ignore_ascii_case(name) {
        return true;
    }
    let below = common
        .strip_prefix(b"*")
        .filter(|below| below.starts_with(b"."));
    let dot = name.iter().position(|byte| *byte == b'.');
    match (below, dot) {
        (Some(below), Some(dot)) => dot > 0 && below.eq_ignore_ascii_case(&name[dot..]),
        _ => false,
    }
}

/// `rejectUnauthorized: false`: any certificate will do, but the handshake must still be signed with its key.
#[derive(Debug)]
pub(super) struct Unchecked(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let schemes = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, schemes).or_else(|error| {
            if is_unreadable(&error) {
                return public_key::verify_tls12(&self.0, message, cert, dss);
            }
            Err(error)
        })
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let schemes = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, schemes).or_else(|error| {
            if is_unreadable(&error) {
                return public_key::verify_tls13(&self.0, message, cert, dss);
            }
            Err(error)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether it is the certificate that cannot be read, such as one of version 1, and not the signature that is wrong.
pub(super) fn is_unreadable(error: &Error) -> bool {
    let unreadable = |error: &CertificateError| {
        matches!(
            error,
            CertificateError::BadEncoding | CertificateError::Other(_)
        )
    };
    matches!(error, Error::InvalidCertificate(why) if unreadable(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_name_is_a_name_or_stands_for_those_of_one_label() {
        let table: [(&[u8], &str, bool); 9] = [
            (b"db.test", "db.test", true),
            (b"DB.test", "db.TEST", true),
            (b"*.test", "db.test", true),
            (b"*.test", "a.db.test", false),
            (b"*.test", ".test", false),
            (b"*.test", "test", false),
            (b"*", "db", false),
            (b"db.test\0.evil", "db.test", false),
            (b"", "db.test", false),
        ];
        for (common, name, expected) in table {
            assert_eq!(is_name(common, name), expected, "{name}");
        }
    }
}
