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

/// Checks the certificate as rustls does, with what its users want to be different.
#[derive(Debug)]
pub(super) struct Checked {
    /// The name that the certificate has to be for, in place of the one that was dialled.
    pub(super) name: Option<ServerName<'static>>,
    /// Whether it has to be for a name at all.
    pub(super) checks_name: bool,
    /// The authorities of the user's choice.
    pub(super) given: Vec<CertificateDer<'static>>,
    pub(super) checked: Arc<WebPkiServerVerifier>,
}

impl Checked {
    /// Whether the server's own certificate is among the authorities. A self-signed one that `openssl req -x509` makes is an
    /// authority's, which rustls takes from no server; OpenSSL takes one that is trusted by itself.
    fn trusts(&self, end_entity: &CertificateDer<'_>, error: &Error) -> bool {
        // What is wrong with its time, its name or its signature has an error of its own.
        let is_authority = matches!(error, Error::InvalidCertificate(CertificateError::Other(_)));
        is_authority && self.given.contains(end_entity)
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
            self.checked
                .verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        match checked {
            // The name is looked at last, when the chain was found to be good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            Err(error) if self.trusts(end_entity, &error) => {
                if self.checks_name {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.checked.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.checked.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.checked.supported_verify_schemes()
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
