//! Key exchange: every algorithm, again under load, and the host that is judged before anything of the user's is sent.

use std::time::Duration;

use moorline_core::{
    error::Kind,
    ssh::{HostKeyPolicy, KnownHosts},
};
use moorline_net::ssh::{Cipher, KeyExchangeMethod, Mac, Session, SessionConfig};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey, key::safe_rng};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};

use crate::server::{
    Rules, connected, deadline, failure, host_key, opened, password, preferring, round_trip,
    server_config, start, trusting,
};

const KEX: [(KeyExchangeMethod, russh::kex::Name); 6] = [
    (
        KeyExchangeMethod::MlKem768X25519,
        russh::kex::MLKEM768X25519_SHA256,
    ),
    (KeyExchangeMethod::Curve25519, russh::kex::CURVE25519),
    (
        KeyExchangeMethod::Curve25519Libssh,
        russh::kex::CURVE25519_PRE_RFC_8731,
    ),
    (KeyExchangeMethod::NistP256, russh::kex::ECDH_SHA2_NISTP256),
    (KeyExchangeMethod::NistP384, russh::kex::ECDH_SHA2_NISTP384),
    (KeyExchangeMethod::NistP521, russh::kex::ECDH_SHA2_NISTP521),
];

const CIPHERS: [(Cipher, russh::cipher::Name); 5] = [
    (Cipher::Aes256Gcm, russh::cipher::AES_256_GCM),
    (Cipher::Aes128Gcm, russh::cipher::AES_128_GCM),
    (Cipher::ChaCha20Poly1305, russh::cipher::CHACHA20_POLY1305),
    (Cipher::Aes256Ctr, russh::cipher::AES_256_CTR),
    (Cipher::Aes128Ctr, russh::cipher::AES_128_CTR),
];

const MACS: [(Mac, russh::mac::Name); 4] = [
    (Mac::HmacSha256Etm, russh::mac::HMAC_SHA256_ETM),
    (Mac::HmacSha512Etm, russh::mac::HMAC_SHA512_ETM),
    (Mac::HmacSha256, russh::mac::HMAC_SHA256),
    (Mac::HmacSha512, russh::mac::HMAC_SHA512),
];

/// A session with a server that has nothing but this, and data over it.
async fn exchange(kex: usize, cipher: usize, mac: usize, key: &PrivateKey, algorithm: Algorithm) {
    let mut server = server_config();
    server.preferred = preferring(KEX[kex].1, CIPHERS[cipher].1, MACS[mac].1, algorithm);
    server.keys = vec![key.clone()];
    let stream = start(server, Rules::default());
    let config = trusting(key);
    let session = Session::connect(stream, config, &[password()], deadline()).await;
    let session = session.unwrap_or_else(|failure| {
        panic!(
            "{:?} {:?} {:?}: {failure:?}",
            KEX[kex].0, CIPHERS[cipher].0, MACS[mac].0
        )
    });
    let mut channel = opened(&session, "echo").await;
    for length in [1, 15, 16, 17, 40_000] {
        round_trip(&mut channel, &vec![length as u8; length]).await;
    }
    session.disconnect().await;
}

#[tokio::test]
async fn every_method_cipher_and_mac_carries_data() {
    let key = host_key();
    for kex in 0..KEX.len() {
        exchange(kex, 0, 0, &key, Algorithm::Ed25519).await;
    }
    for (cipher, (name, _)) in CIPHERS.iter().enumerate() {
        let macs = if name.name().ends_with("ctr") { 4 } else { 1 };
        for mac in 0..macs {
            exchange(1, cipher, mac, &key, Algorithm::Ed25519).await;
        }
    }
}

#[tokio::test]
async fn host_keys_of_every_type_are_verified() {
    let mut rng = safe_rng();
    for curve in [
        EcdsaCurve::NistP256,
        EcdsaCurve::NistP384,
        EcdsaCurve::NistP521,
    ] {
        let algorithm = Algorithm::Ecdsa { curve };
        let key = PrivateKey::random(&mut rng, algorithm.clone()).unwrap();
        exchange(1, 0, 0, &key, algorithm).await;
    }
    let rsa = russh::keys::ssh_key::private::RsaKeypair::random(&mut rng, 2048).unwrap();
    let rsa = PrivateKey::from(rsa);
    for hash in [HashAlg::Sha256, HashAlg::Sha512] {
        let algorithm = Algorithm::Rsa { hash: Some(hash) };
        exchange(1, 0, 0, &rsa, algorithm).await;
    }
}

#[tokio::test]
async fn a_host_that_is_not_trusted_gets_no_credential() {
    let lines = format!(
        "server.test {}",
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519)
            .unwrap()
            .public_key()
            .to_openssh()
            .unwrap()
    );
    let table = [
        (
            HostKeyPolicy::KnownHosts(KnownHosts::default()),
            "ERR_SSH_HOST_KEY_UNKNOWN",
        ),
        (
            HostKeyPolicy::KnownHosts(KnownHosts::parse(&[("known", lines.as_bytes())])),
            "ERR_SSH_HOST_KEY_CHANGED",
        ),
        (
            HostKeyPolicy::Fingerprints(Vec::new()),
            "ERR_SSH_HOST_KEY_MISMATCH",
        ),
    ];
    for (policy, code) in table {
        let mut config = trusting(&host_key());
        config.host_keys = policy;
        let stream = start(server_config(), Rules::default());
        let failed = failure(Session::connect(stream, config, &[password()], deadline()).await);
        assert_eq!((failed.kind, failed.code.as_ref()), (Kind::Auth, code));
        assert!(!failed.retryable);
        assert_eq!(failed.detail["phase"], "key-exchange");
        assert!(failed.message.contains("SHA256:"), "{failed}");
    }
}

type Change = fn(&mut SessionConfig);

#[tokio::test]
async fn what_both_do_not_have_is_named() {
    let table: [(&str, Change); 3] = [
        ("key exchange method", |config| {
            config.key_exchange_methods = vec![KeyExchangeMethod::NistP521];
        }),
        ("cipher", |config| {
            config.ciphers = vec![Cipher::ChaCha20Poly1305];
        }),
        ("MAC", |config| {
            config.ciphers = vec![Cipher::Aes128Ctr];
            config.macs = vec![Mac::HmacSha512];
        }),
    ];
    for (what, change) in table {
        let mut server = server_config();
        server.preferred = preferring(KEX[1].1, CIPHERS[4].1, MACS[0].1, Algorithm::Ed25519);
        let stream = start(server, Rules::default());
        let mut config = trusting(&host_key());
        change(&mut config);
        let failed = failure(Session::connect(stream, config, &[password()], deadline()).await);
        assert_eq!(failed.code, "ERR_SSH_NO_COMMON_ALGORITHM");
        assert_eq!(failed.detail["algorithm"], what);
        assert_eq!(failed.kind, Kind::Protocol);
    }
}

/// Channels that carry data both ways while keys are exchanged again and again.
async fn carry_while_rekeying(session: &Session) {
    let work = (0..10_u8).map(|seed| async move {
        let data: Vec<u8> = (0..400_000_usize)
            .map(|index| (index % 251) as u8 ^ seed)
            .collect();
        let (mut reader, mut writer) = split(opened(session, "echo").await);
        let write = async {
            writer.write_all(&data).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let ((), read) = tokio::join!(write, reader.read_to_end(&mut got));
        read.unwrap();
        assert!(got == data);
    });
    futures_util::future::join_all(work).await;
}

#[tokio::test]
async fn keys_are_exchanged_anew_by_us_while_channels_carry_data() {
    let mut config = trusting(&host_key());
    config.rekey_bytes = 64 * 1024;
    let session = connected(config).await;
    carry_while_rekeying(&session).await;
    let exchanges = session.stats().key_exchanges;
    assert!(exchanges > 5, "{exchanges}");
}

#[tokio::test]
async fn keys_are_exchanged_anew_by_the_server_while_channels_carry_data() {
    let mut server = server_config();
    server.limits.rekey_write_limit = 128 * 1024;
    server.limits.rekey_read_limit = 128 * 1024;
    let stream = start(server, Rules::default());
    let session = Session::connect(stream, trusting(&host_key()), &[password()], deadline()).await;
    let session = session.unwrap();
    carry_while_rekeying(&session).await;
    let exchanges = session.stats().key_exchanges;
    assert!(exchanges > 5, "{exchanges}");
}

#[tokio::test]
async fn keys_are_exchanged_anew_after_a_time() {
    let mut config = trusting(&host_key());
    config.rekey_interval = Duration::from_millis(20);
    config.keep_alive_interval = Duration::from_millis(10);
    let session = connected(config).await;
    let mut channel = opened(&session, "echo").await;
    let limit = deadline();
    while session.stats().key_exchanges < 3 {
        assert!(tokio::time::Instant::now() < limit);
        round_trip(&mut channel, b"still there").await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
