//! Files and keys of any bytes: read without a panic, and never trusted for what they do not say.

use moorline_core::ssh::{Fingerprint, HostKeyPolicy, HostName, KnownHosts, PresentedKey};
use proptest::prelude::*;

use crate::support::{key, key_text, now_s, verify};

/// Pieces of lines, and bytes.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"db".to_vec()),
        Just(b"*".to_vec()),
        Just(b"!".to_vec()),
        Just(b",".to_vec()),
        Just(b"|1|".to_vec()),
        Just(b"@revoked".to_vec()),
        Just(b"@cert-authority".to_vec()),
        Just(key_text("ed1").into()),
        Just(key_text("c-ok").into()),
        Just(b" ".to_vec()),
        Just(b"\t".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_key_that_is_in_no_file_is_never_trusted(file in file(), host in ".{0,12}", port: u16) {
        let policy = HostKeyPolicy::KnownHosts(KnownHosts::parse(&[("f", &file)]));
        prop_assert!(!verify(&policy, &host, port, "ed2").is_trusted());
        prop_assert_eq!(policy.order_algorithms(&HostName::new(&host, port), &["ssh-ed25519"]), ["ssh-ed25519"]);
    }

    #[test]
    fn a_presented_key_may_be_any_bytes(blob in prop::collection::vec(any::<u8>(), 0..80), at in 0usize..400, byte: u8) {
        let policy = HostKeyPolicy::KnownHosts(KnownHosts::parse(&[("f", format!("* {}", key_text("ed1")).as_bytes())]));
        let host = HostName::new("db", 22);
        prop_assert!(!policy.verify(&host, &PresentedKey::Plain(&blob), now_s()).is_trusted());
        for name in ["ed1", "rsa1", "ec256", "c-ok"] {
            let mut altered = key(name);
            if let Some(place) = altered.get_mut(at) {
                *place = byte;
            }
            let verdict = policy.verify(&host, &PresentedKey::Plain(&altered), now_s());
            prop_assert_eq!(verdict.is_trusted(), altered == key("ed1"));
        }
    }

    #[test]
    fn a_fingerprint_may_be_any_text(text in ".{0,60}") {
        if let Some(fingerprint) = Fingerprint::parse(&text) {
            prop_assert_eq!(fingerprint.to_string(), text);
        }
    }
}
