//! Private keys: read from the formats that `ssh-keygen`, OpenSSL and PuTTY write, and signed with.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    secret::Secret,
};
use russh::keys::{
    Certificate, HashAlg, decode_secret_key,
    signature::Signer,
    ssh_key::{self, Cipher, Signature, private::KeypairData},
};

use super::{identity::PublicIdentity, pem, short_number};
use crate::{blocking::run_blocking, ssh::wire::put_string};

/// Why a private key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateKeyError {
    /// The text is no private key of a format that is known.
    NotAKey,
    /// It is encrypted, and no passphrase was given.
    PassphraseMissing,
    /// It is encrypted with another passphrase.
    PassphraseWrong,
    /// It is encrypted with a cipher that is not known, as DES is not.
    UnsupportedCipher,
    /// Its type cannot sign here: DSA, or a key that is on a security key.
    UnsupportedType,
    /// The certificate cannot be read.
    NotACertificate,
    /// The certificate is that of another key.
    OtherCertificate,
}

impl PrivateKeyError {
    const fn code(self) -> &'static str {
        match self {
            Self::NotAKey => "ERR_SSH_KEY_INVALID",
            Self::PassphraseMissing => "ERR_SSH_KEY_PASSPHRASE_MISSING",
            Self::PassphraseWrong => "ERR_SSH_KEY_PASSPHRASE_WRONG",
            Self::UnsupportedCipher => "ERR_SSH_KEY_CIPHER",
            Self::UnsupportedType => "ERR_SSH_KEY_TYPE",
            Self::NotACertificate => "ERR_SSH_CERTIFICATE_INVALID",
            Self::OtherCertificate => "ERR_SSH_CERTIFICATE_MISMATCH",
        }
    }
}

impl fmt::Display for PrivateKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAKey => "the SSH key is no private key of a known format",
            Self::PassphraseMissing => "the SSH key is encrypted, and there is no passphrase",
            Self::PassphraseWrong => "the passphrase of the SSH key is wrong",
            Self::UnsupportedCipher => "the SSH key is encrypted with a cipher that cannot be used",
            Self::UnsupportedType => "the SSH key is of a type that cannot be used",
            Self::NotACertificate => "the SSH certificate cannot be read",
            Self::OtherCertificate => "the SSH certificate is not that of the key",
        })
    }
}

impl From<PrivateKeyError> for Failure {
    fn from(error: PrivateKeyError) -> Self {
        auth_failure(error.code(), error.to_string())
    }
}

pub(super) fn auth_failure(code: &'static str, message: String) -> Failure {
    Failure::new(Kind::Auth, message)
        .with_code(code)
        .with_delivery(Delivery::None)
}

/// A private key, decrypted, and its certificate if it has one.
pub struct PrivateKey {
    key: ssh_key::PrivateKey,
    /// The certificate first.
    identities: Vec<PublicIdentity>,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.key.algorithm())
    }
}

impl PrivateKey {
    /// Reads a key on a blocking thread, since an encrypted one takes long. `certificate` is the text of a `-cert.pub`.
    pub async fn decode(
        text: Secret,
        passphrase: Option<Secret>,
        certificate: Option<String>,
    ) -> Outcome<Result<Self, PrivateKeyError>> {
        run_blocking(move || Self::decode_now(&text, passphrase.as_ref(), certificate.as_deref()))
            .await
    }

    fn decode_now(
        text: &Secret,
        passphrase: Option<&Secret>,
        certificate: Option<&str>,
    ) -> Result<Self, PrivateKeyError> {
        let text = text.expose_text().ok_or(PrivateKeyError::NotAKey)?;
        // Some formats take an empty passphrase for a wrong one, others for none.
        let passphrase = passphrase.filter(|passphrase| !passphrase.is_empty());
        let phrase = match passphrase {
            Some(passphrase) => {
                let text = passphrase.expose_text();
                Some(text.ok_or(PrivateKeyError::PassphraseWrong)?)
            }
            None => None,
        };
        let key = read_key(text, phrase)?;
        let can_sign = matches!(
            key.key_data(),
            KeypairData::Ed25519(_) | KeypairData::Ecdsa(_) | KeypairData::Rsa(_)
        );
        if !can_sign {
            return Err(PrivateKeyError::UnsupportedType);
        }
        let mut identities = Vec::new();
        if let Some(certificate) = certificate {
            identities.push(read_certificate(certificate, &key)?);
        }
        let blob = key
            .public_key()
            .to_bytes()
            .map_err(|_| PrivateKeyError::NotAKey)?;
        identities.push(PublicIdentity::new(blob).map_err(|_| PrivateKeyError::NotAKey)?);
        Ok(Self { key, identities })
    }

    /// What is offered to the server, in this order.
    pub(super) fn identities(&self) -> &[PublicIdentity] {
        &self.identities
    }

    /// An encoded signature. `algorithm` is that of the key or of its certificate.
    pub(super) fn sign(&self, algorithm: &str, message: &[u8]) -> Outcome<Vec<u8>> {
        let signature: Result<Signature, _> = match self.key.key_data() {
            KeypairData::Rsa(key) => {
                let hash = if algorithm.starts_with("rsa-sha2-256") {
                    HashAlg::Sha256
                } else {
                    HashAlg::Sha512
                };
                (key, Some(hash)).try_sign(message)
            }
            _ => self.key.try_sign(message),
        };
        let signature = signature.map_err(|error| {
            auth_failure("ERR_SSH_KEY_INVALID", "the SSH key cannot sign".to_owned())
                .with_cause(error.to_string(), None)
        })?;
        let mut out = Vec::new();
        put_string(&mut out, signature.algorithm().as_str().as_bytes());
        put_string(&mut out, signature.as_bytes());
        Ok(out)
    }
}

/// Reads the text of a key. One that is not encrypted needs no passphrase, and is not spoiled by one.
fn read_key(text: &str, passphrase: Option<&str>) -> Result<ssh_key::PrivateKey, PrivateKeyError> {
    if !is_encrypted(text) {
        match decode_secret_key(text, None) {
            Ok(key) => return Ok(key),
            // OpenSSH's format says so inside.
            Err(russh::keys::Error::KeyIsEncrypted) => {}
            Err(error) => {
                return read_short_number(&error, text, None).ok_or(PrivateKeyError::NotAKey);
            }
        }
    }
    let passphrase = passphrase.ok_or(PrivateKeyError::PassphraseMissing)?;
    if pem::is_encrypted(text) {
        let plain = pem::decrypt(text, passphrase)?;
        let key = decode_secret_key(plain.expose_text().unwrap_or_default(), None);
        return key.map_err(|_| PrivateKeyError::PassphraseWrong);
    }
    decode_secret_key(text, Some(passphrase)).or_else(|error| {
        if is_about_cipher(&error, text) {
            return Err(PrivateKeyError::UnsupportedCipher);
        }
        let key = read_short_number(&error, text, Some(passphrase));
        key.ok_or(PrivateKeyError::PassphraseWrong)
    })
}

fn read_short_number(
    error: &russh::keys::Error,
    text: &str,
    passphrase: Option<&str>,
) -> Option<ssh_key::PrivateKey> {
    if short_number::is_suspected(error) {
        short_number::read(text, passphrase)
    } else {
        None
    }
}

/// Whether a key was not decrypted for another reason than its passphrase.
fn is_about_cipher(error: &russh::keys::Error, text: &str) -> bool {
    use pkcs8::{Error::EncryptedPrivateKey, pkcs5::Error::DecryptFailed};
    let is_by_des = |key: ssh_key::PrivateKey| key.cipher() == Cipher::TdesCbc;
    match error {
        russh::keys::Error::Pkcs8(EncryptedPrivateKey(error)) => *error != DecryptFailed,
        // The name of an algorithm is not known.
        russh::keys::Error::Der(_) => true,
        _ => ssh_key::PrivateKey::from_openssh(text.trim()).is_ok_and(is_by_des),
    }
}

/// Whether the lines of a key's text say that it is encrypted.
fn is_encrypted(text: &str) -> bool {
    let is_putty = text.trim_start().starts_with("PuTTY-User-Key-File-");
    pem::is_encrypted(text)
        || text.contains("BEGIN ENCRYPTED PRIVATE KEY")
        || (is_putty && !text.contains("Encryption: none"))
}

fn read_certificate(
    text: &str,
    key: &ssh_key::PrivateKey,
) -> Result<PublicIdentity, PrivateKeyError> {
    const INVALID: PrivateKeyError = PrivateKeyError::NotACertificate;
    let certificate = Certificate::from_openssh(text.trim()).map_err(|_| INVALID)?;
    if certificate.public_key() != key.public_key().key_data() {
        return Err(PrivateKeyError::OtherCertificate);
    }
    // The bytes as they are: another encoding of the same would have another signature.
    let encoded = text.split_ascii_whitespace().nth(1).ok_or(INVALID)?;
    let blob = STANDARD.decode(encoded).map_err(|_| INVALID)?;
    PublicIdentity::new(blob).map_err(|_| INVALID)
}
