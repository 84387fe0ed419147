//! Keys: the secrets in every form that a scheme needs, expanded once.

use std::sync::OnceLock;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};

use super::{
    encoding::{decode_base64_secret, decode_hex_secret},
    mac::{self, Mac, Tag},
    scheme::{Algorithm, KeyForm, Scheme},
};
use crate::secret::Secret;

/// A secret in the form of one scheme.
pub enum Key {
    /// A shared secret under a keyed function.
    Mac(Box<dyn Mac>),
    /// An Ed25519 public key, with the secret key where it was given.
    Ed25519(Box<Ed25519Key>),
}

/// See [`Key::Ed25519`].
pub struct Ed25519Key {
    public: ParsedPublicKey,
    secret: Option<Ed25519KeyPair>,
}

impl Ed25519Key {
    /// Whether `signature` is one of this key over `message`.
    pub fn verifies(&self, message: &[u8], signature: &Tag) -> bool {
        self.public
            .verify_sig(message, signature.as_bytes())
            .is_ok()
    }

    /// The signature of `message`; `None` when only the public key is known.
    pub fn sign(&self, message: &[u8]) -> Option<Tag> {
        Tag::new(self.secret.as_ref()?.sign(message).as_ref())
    }
}

/// A key and which secret it was made from.
pub struct IndexedKey {
    /// The position in the list of secrets.
    pub index: usize,
    /// The key.
    pub key: Key,
}

/// All secrets of a verifier, newest first, and their keys as far as they were needed.
pub struct Keyring {
    secrets: Vec<Secret>,
    slots: [OnceLock<Vec<IndexedKey>>; SLOTS],
}

const SLOTS: usize = 10;

impl Keyring {
    /// Takes the secrets over.
    pub fn new(secrets: Vec<Secret>) -> Self {
        Self {
            secrets,
            slots: Default::default(),
        }
    }

    /// The number of secrets.
    pub fn len(&self) -> usize {
        self.secrets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// The text of the secret at `index`.
    pub fn secret(&self, index: usize) -> Option<&Secret> {
        self.secrets.get(index)
    }

    /// The keys for `scheme`, in the order of the secrets; those whose form does not fit are left out.
    pub fn keys(&self, scheme: &Scheme) -> &[IndexedKey] {
        self.slots[slot(scheme)].get_or_init(|| {
            self.secrets
                .iter()
                .enumerate()
                .filter_map(|(index, secret)| Some((index, expand(scheme, secret)?)))
                .map(|(index, key)| IndexedKey { index, key })
                .collect()
        })
    }
}

/// One slot for each pair of form and function that a scheme can have.
pub(super) fn slot(scheme: &Scheme) -> usize {
    let function = match scheme.algorithm {
        Algorithm::Keyed(mac::Function::HmacSha256) => 0,
        Algorithm::Keyed(mac::Function::HmacSha1) => 1,
        Algorithm::Keyed(mac::Function::Sha256) => 2,
        Algorithm::Ed25519 => return SLOTS - 1,
    };
    match scheme.key {
        KeyForm::Text | KeyForm::Ed25519 => function,
        KeyForm::Base64 => 3 + function,
        KeyForm::Hex => 6 + function,
    }
}

fn expand(scheme: &Scheme, secret: &Secret) -> Option<Key> {
    let Algorithm::Keyed(function) = scheme.algorithm else {
        return ed25519(secret.expose_text()?).map(|key| Key::Ed25519(Box::new(key)));
    };
    let decoded;
    let bytes = match scheme.key {
        KeyForm::Text | KeyForm::Ed25519 => secret.expose(),
        KeyForm::Base64 => {
            let text = secret.expose_text()?;
            let text = text.strip_prefix("whsec_").unwrap_or(text);
            decoded = Secret::new(decode_base64_secret(text)?);
            decoded.expose()
        }
        KeyForm::Hex => {
            decoded = Secret::new(decode_hex_secret(secret.expose_text()?)?);
            decoded.expose()
        }
    };
    (!bytes.is_empty()).then(|| mac::fastest(function, bytes).map(Key::Mac))?
}

/// A public key has 32 bytes; a secret one 32 (the seed) after `whsk_`, else 64 (seed and public key).
fn ed25519(text: &str) -> Option<Ed25519Key> {
    let (bytes, is_seed) = if let Some(secret) = text.strip_prefix("whsk_") {
        (decode_base64_secret(secret)?, true)
    } else if let Some(public) = text.strip_prefix("whpk_") {
        (decode_base64_secret(public)?, false)
    } else {
        (decode_hex_secret(text)?, false)
    };
    let bytes = Secret::new(bytes);
    let secret = match (bytes.expose().len(), is_seed) {
        (32, true) => Some(Ed25519KeyPair::from_seed_unchecked(bytes.expose()).ok()?),
        (64, _) => {
            let (seed, public) = bytes.expose().split_at(32);
            Some(Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?)
        }
        (32, false) => None,
        _ => return None,
    };
    let public = match &secret {
        Some(pair) => ParsedPublicKey::new(&ED25519, pair.public_key().as_ref()),
        None => ParsedPublicKey::new(&ED25519, bytes.expose()),
    };
    Some(Ed25519Key {
        public: public.ok()?,
        secret,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::table, *};

    fn keys(secret: &str, scheme: &str) -> usize {
        let ring = Keyring::new(vec![Secret::new(secret)]);
        let scheme = table::schemes().iter().find(|known| known.name == scheme);
        ring.keys(scheme.unwrap()).len()
    }

    #[test]
    fn a_secret_serves_the_schemes_whose_form_it_has() {
        assert_eq!(keys("s3cret!", "github"), 1);
        assert_eq!(keys("s3cret!", "standard"), 0);
        assert_eq!(
            keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "standard"),
            1
        );
        assert_eq!(keys("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "standard"), 1);
        assert_eq!(keys("whsec_", "standard"), 0);
        assert_eq!(keys(&"0".repeat(63), "discord"), 0);
        assert_eq!(keys("whpk_AAAA", "standard-ed25519"), 0);
    }

    #[test]
    fn every_pair_of_form_and_function_has_a_slot_of_its_own() {
        let mut seen = std::collections::HashMap::new();
        for scheme in table::schemes() {
            let pair = seen
                .entry(slot(scheme))
                .or_insert((scheme.key, scheme.algorithm));
            assert_eq!(*pair, (scheme.key, scheme.algorithm), "{}", scheme.name);
            assert!(slot(scheme) < SLOTS);
        }
    }
}
