//! The binding of a login to the TLS session below it: `tls-server-end-point` of RFC 5929.

use aws_lc_rs::digest::{self, Algorithm};

use super::public_key::{element, sequence};

/// 1.2.840.113549.1.1, of RSA.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// 1.2.840.10045.4, of ECDSA.
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
/// 2.16.840.1.101.3.4.2, of SHA-2.
const SHA2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
const OBJECT_IDENTIFIER: u8 = 0x06;
/// The hash among the parameters of RSASSA-PSS.
const PSS_HASH: u8 = 0xa0;

/// The hash of the server's certificate, by the hash of its signature. `None` where it is signed without one, such as by
/// Ed25519, for which the RFC defines none.
pub(super) fn of_certificate(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, after_content) = element(sequence(certificate)?)?;
    let algorithm = hash_of(sequence(after_content)?)?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// The hash of a signature by this algorithm. The old ones are replaced by SHA-256, as the RFC says.
fn hash_of(algorithm: &[u8]) -> Option<&'static Algorithm> {
    let (identifier, parameters) = element(algorithm)?;
    if identifier.tag != OBJECT_IDENTIFIER {
        return None;
    }
    if let Some(arc) = identifier.content.strip_prefix(RSA) {
        return match arc {
            [4 | 5 | 11] => Some(&digest::SHA256),
            [12] => Some(&digest::SHA384),
            [13] => Some(&digest::SHA512),
            [14] => Some(&digest::SHA224),
            [10] => hash_of_pss(sequence(parameters)?),
            _ => None,
        };
    }
    match identifier.content.strip_prefix(ECDSA)? {
        [1] => Some(&digest::SHA256),
        [3, number] => match number {
            1 => Some(&digest::SHA224),
            2 => Some(&digest::SHA256),
            3 => Some(&digest::SHA384),
            4 => Some(&digest::SHA512),
            _ => None,
        },
        _ => None,
    }
}

fn hash_of_pss(parameters: &[u8]) -> Option<&'static Algorithm> {
    let hash = match element(parameters) {
        Some((first, _)) if first.tag == PSS_HASH => first.content,
        // Left out, it is SHA-1.
        _ => return Some(&digest::SHA256),
    };
    let (identifier, _) = element(sequence(hash)?)?;
    match identifier.content.strip_prefix(SHA2) {
        Some([2]) => Some(&digest::SHA384),
        Some([3]) => Some(&digest::SHA512),
        Some([4]) => Some(&digest::SHA224),
        _ => Some(&digest::SHA256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    /// A certificate of nothing but its signature's algorithm.
    fn certificate(algorithm: &[u8]) -> Vec<u8> {
        wrap(
            0x30,
            &[wrap(0x30, b""), wrap(0x30, algorithm), wrap(3, b"\0")].concat(),
        )
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        let identifier = |arcs: &[&[u8]]| wrap(OBJECT_IDENTIFIER, &arcs.concat());
        let pss = |parameters: &[u8]| [identifier(&[RSA, &[10]]), wrap(0x30, parameters)].concat();
        let sha384 = wrap(PSS_HASH, &wrap(0x30, &identifier(&[SHA2, &[2]])));
        let table = [
            (identifier(&[RSA, &[4]]), Some(32)),
            (identifier(&[RSA, &[5]]), Some(32)),
            (identifier(&[RSA, &[11]]), Some(32)),
            (identifier(&[RSA, &[12]]), Some(48)),
            (identifier(&[RSA, &[13]]), Some(64)),
            (identifier(&[RSA, &[14]]), Some(28)),
            (identifier(&[ECDSA, &[1]]), Some(32)),
            (identifier(&[ECDSA, &[3, 2]]), Some(32)),
            (identifier(&[ECDSA, &[3, 3]]), Some(48)),
            (identifier(&[ECDSA, &[3, 4]]), Some(64)),
            (pss(b""), Some(32)),
            (pss(&sha384), Some(48)),
            // Ed25519.
            (identifier(&[&[0x2b, 0x65, 0x70]]), None),
            (identifier(&[RSA, &[99]]), None),
            (Vec::new(), None),
        ];
        for (algorithm, bytes) in table {
            let hash = of_certificate(&certificate(&algorithm));
            assert_eq!(hash.map(|hash| hash.len()), bytes, "{algorithm:?}");
        }
        for junk in [&b""[..], b"\x30", b"\x30\x00", b"HTTP/1.1"] {
            assert_eq!(of_certificate(junk), None);
        }
    }
}
