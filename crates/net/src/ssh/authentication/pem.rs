//! Private keys in PEM with the encryption of OpenSSL's first versions (RFC 1421), which `ssh-keygen -m PEM` writes.

use aws_lc_rs::{
    cipher::{
        AES_128, AES_192, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
    },
    iv::FixedLength,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use moorline_core::secret::Secret;

use super::private_key::PrivateKeyError;

const IV_BYTES: usize = 16;
/// The first bytes of the IV are the salt of the key.
const SALT_BYTES: usize = 8;

/// Whether a key's text says that it is encrypted so.
pub(super) fn is_encrypted(text: &str) -> bool {
    text.contains("Proc-Type: 4,ENCRYPTED")
}

/// The same key in PEM without encryption. What a wrong passphrase leads to may look like one.
pub(super) fn decrypt(text: &str, passphrase: &str) -> Result<Secret, PrivateKeyError> {
    let pem = Pem::parse(text).ok_or(PrivateKeyError::NotAKey)?;
    let (algorithm, key_bytes) = match pem.cipher {
        "AES-128-CBC" => (&AES_128, 16),
        "AES-192-CBC" => (&AES_192, 24),
        "AES-256-CBC" => (&AES_256, 32),
        _ => return Err(PrivateKeyError::UnsupportedCipher),
    };
    let iv = decode_iv(pem.iv).ok_or(PrivateKeyError::NotAKey)?;
    let mut bytes = STANDARD
        .decode(&pem.body)
        .map_err(|_| PrivateKeyError::NotAKey)?;
    let key = derive_key(passphrase.as_bytes(), &iv[..SALT_BYTES], key_bytes);
    let decrypted = UnboundCipherKey::new(algorithm, key.expose())
        .and_then(PaddedBlockDecryptingKey::cbc_pkcs7)
        .and_then(|key| {
            let context = DecryptionContext::Iv128(FixedLength::from(iv));
            let decrypted = key.decrypt(&mut bytes, context)?;
            Ok(Secret::new(STANDARD.encode(decrypted)))
        });
    bytes.fill(0);
    let body = decrypted.map_err(|_| PrivateKeyError::PassphraseWrong)?;
    let (begin, end) = (pem.begin.as_bytes(), pem.end.as_bytes());
    Ok(Secret::new(
        [begin, body.expose(), end, b""].join(b"\n".as_slice()),
    ))
}

/// The parts of such a key.
struct Pem<'t> {
    begin: &'t str,
    cipher: &'t str,
    iv: &'t str,
    body: String,
    end: &'t str,
}

impl<'t> Pem<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let begin = lines.find(|line| line.starts_with("-----BEGIN "))?;
        let mut algorithm = None;
        let mut body = String::new();
        let end = lines.find(|line| {
            match line.split_once(": ") {
                Some(("DEK-Info", value)) => algorithm = value.split_once(','),
                Some(_) => {}
                None if !line.starts_with("-----END ") => body.push_str(line),
                None => return true,
            }
            false
        })?;
        let (cipher, iv) = algorithm?;
        Some(Self {
            begin,
            cipher,
            iv,
            body,
            end,
        })
    }
}

fn decode_iv(text: &str) -> Option<[u8; IV_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * IV_BYTES {
        return None;
    }
    let mut iv = [0; IV_BYTES];
    for (byte, pair) in iv.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(iv)
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and one round.
fn derive_key(passphrase: &[u8], salt: &[u8], bytes: usize) -> Secret {
    let mut key = Vec::new();
    let mut last: Option<[u8; 16]> = None;
    while key.len() < bytes {
        let mut hash = md5::Context::new();
        hash.consume(last.as_ref().map_or(&[][..], |last| last));
        hash.consume(passphrase);
        hash.consume(salt);
        let digest = hash.finalize().0;
        key.extend(digest);
        last = Some(digest);
    }
    key.truncate(bytes);
    Secret::new(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_decrypted_or_refused(text: String, iv in "[0-9a-fé+]{30,33}", body in "[A-Za-z0-9+/=\r\n]{0,64}") {
            let _ = decrypt(&text, "open sesame");
            for cipher in ["AES-128-CBC", "AES-192-CBC", "AES-256-CBC", "DES-EDE3-CBC"] {
                let info = format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: {cipher},{iv}");
                let pem = format!("-----BEGIN EC PRIVATE KEY-----\n{info}\n\n{body}\n-----END EC PRIVATE KEY-----\n");
                let _ = decrypt(&pem, "open sesame");
            }
        }
    }

    #[test]
    fn a_key_of_several_digests_is_what_openssl_derives() {
        // openssl enc -aes-192-cbc -md md5 -k open-sesame -S 0001020304050607 -P
        let key = derive_key(b"open-sesame", &[0, 1, 2, 3, 4, 5, 6, 7], 24);
        let derived: [u64; 3] = [
            0x16fa_5203_8761_95cc,
            0x85c6_04f9_9f24_61d2,
            0xaffc_3024_6b04_b4a8,
        ];
        assert_eq!(key.expose(), derived.map(u64::to_be_bytes).concat());
    }
}
