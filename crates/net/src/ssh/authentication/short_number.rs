//! Keys on P-256 in OpenSSH's format (PROTOCOL.key) whose number is shorter than 32 bytes, as that of one key in 500 is:
//! `ssh_key` refuses them.

use base64::{Engine, engine::general_purpose::STANDARD};
use moorline_core::secret::Secret;
use russh::keys::{
    decode_secret_key,
    ssh_key::{self, Cipher, Kdf},
};

use crate::ssh::wire::{Malformed, Reader};

const MAGIC: &[u8] = b"openssh-key-v1\0";
const NUMBER_BYTES: usize = 32;
/// An `ECPrivateKey` (RFC 5915) of version 1, up to its number.
const DER_BEGIN: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
/// Its curve, P-256. The public key is not in it, since it follows from the number.
const DER_END: [u8; 12] = [
    0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
];

/// Whether a key may be one of them, by the error of reading it.
pub(super) const fn is_suspected(error: &russh::keys::Error) -> bool {
    matches!(
        error,
        russh::keys::Error::SshKey(ssh_key::Error::Encoding(_))
    )
}

/// Reads one; `None` when it is none, or the passphrase is wrong.
pub(super) fn read(text: &str, passphrase: Option<&str>) -> Option<ssh_key::PrivateKey> {
    let bytes = Secret::new(decode_body(text)?);
    let number = read_number(&bytes, passphrase).ok()??;
    let der = Secret::new([&DER_BEGIN, number.expose(), &DER_END].concat());
    let body = Secret::new(STANDARD.encode(der.expose()));
    let pem = Secret::new(format!(
        "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n",
        body.expose_text()?
    ));
    decode_secret_key(pem.expose_text()?, None).ok()
}

fn decode_body(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().map(str::trim);
    let body = lines
        .skip_while(|line| !line.starts_with("-----BEGIN "))
        .skip(1)
        .take_while(|line| !line.starts_with("-----END "));
    STANDARD.decode(body.collect::<String>()).ok()
}

/// The number, with the zeros that it lacks.
fn read_number(bytes: &Secret, passphrase: Option<&str>) -> Result<Option<Secret>, Malformed> {
    let bytes = bytes.expose().strip_prefix(MAGIC).ok_or(Malformed)?;
    let mut reader = Reader::new(bytes);
    let cipher = Cipher::new(reader.text()?).map_err(|_| Malformed)?;
    let kdf = read_kdf(&mut reader)?;
    let keys = reader.uint32()?;
    let _public = reader.string()?;
    let mut private = Secret::new(reader.string()?);
    if cipher.is_some() {
        let passphrase = passphrase.ok_or(Malformed)?;
        private = decrypt(cipher, &kdf, passphrase, &private, reader.rest())?;
    }
    let mut reader = Reader::new(private.expose());
    let is_decrypted = reader.uint32()? == reader.uint32()?;
    let is_on_p256 = reader.text()? == "ecdsa-sha2-nistp256" && reader.text()? == "nistp256";
    if keys != 1 || !is_decrypted || !is_on_p256 {
        return Ok(None);
    }
    let _point = reader.string()?;
    let number = reader.string()?;
    let missing = NUMBER_BYTES.checked_sub(number.len()).ok_or(Malformed)?;
    Ok(Some(Secret::new(
        [&[0; NUMBER_BYTES][..missing], number].concat(),
    )))
}

fn read_kdf(reader: &mut Reader) -> Result<Kdf, Malformed> {
    let name = reader.text()?;
    let mut options = Reader::new(reader.string()?);
    match name {
        "none" => Ok(Kdf::None),
        "bcrypt" => Ok(Kdf::Bcrypt {
            salt: options.string()?.to_vec(),
            rounds: options.uint32()?,
        }),
        _ => Err(Malformed),
    }
}

fn decrypt(
    cipher: Cipher,
    kdf: &Kdf,
    passphrase: &str,
    encrypted: &Secret,
    tag: &[u8],
) -> Result<Secret, Malformed> {
    let derived = kdf.derive_key_and_iv(cipher, passphrase);
    let (key, iv) = derived.map_err(|_| Malformed)?;
    let tag = if cipher.has_tag() {
        Some(tag.try_into().map_err(|_| Malformed)?)
    } else {
        None
    };
    let mut bytes = encrypted.expose().to_vec();
    let decrypted = cipher.decrypt(&key, &iv, &mut bytes, tag);
    let bytes = Secret::new(bytes);
    decrypted.map_err(|_| Malformed)?;
    Ok(bytes)
}
