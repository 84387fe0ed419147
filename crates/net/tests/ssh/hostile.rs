//! Servers that are none, or end, fall silent or send garbage at any point: each a clear error, and none hangs.

use std::time::Duration;

use moorline_core::error::{Delivery, Failure, Kind};
use moorline_net::ssh::Session;
use tokio::{io::DuplexStream, time::Instant};

use crate::{
    raw::{Fault, faulty, inserting, saying},
    server::{Rules, failure, host_key, password, server_config, start, trusting},
};

async fn refused(stream: DuplexStream) -> Failure {
    let deadline = Instant::now() + Duration::from_secs(5);
    let config = trusting(&host_key());
    let failed = failure(Session::connect(stream, config, &[password()], deadline).await);
    assert_eq!(failed.delivery, Delivery::None);
    assert_eq!(failed.detail["host"], "server.test");
    failed
}

#[tokio::test(start_paused = true)]
async fn what_is_no_ssh_server_is_named() {
    let binary: Vec<u8> = (0..=255).cycle().take(4000).collect();
    let table: [(Vec<u8>, Kind, &str, &str); 9] = [
        (
            vec![b'x'; 1 << 20],
            Kind::Protocol,
            "ERR_SSH_VERSION",
            "too long",
        ),
        (
            b"hello\n".repeat(200_000),
            Kind::Protocol,
            "ERR_SSH_VERSION",
            "too much text",
        ),
        (binary, Kind::Protocol, "ERR_SSH_VERSION", "binary"),
        (
            b"\x15\x03\x01\x00\x02\x02\x46".to_vec(),
            Kind::Protocol,
            "ERR_SSH_VERSION",
            "binary",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            Kind::Protocol,
            "ERR_SSH_VERSION",
            "HTTP",
        ),
        (
            b"SSH-1.5-old\r\n".to_vec(),
            Kind::Protocol,
            "ERR_SSH_VERSION",
            "not 2.0",
        ),
        (
            b"SSH-2.0-\0x\r\n".to_vec(),
            Kind::Protocol,
            "ERR_SSH_VERSION",
            "cannot be read",
        ),
        (Vec::new(), Kind::Connect, "ETIMEDOUT", "phase 'version'"),
        (
            b"a line\r\nSSH-2.0-silent\r\n".to_vec(),
            Kind::Connect,
            "ETIMEDOUT",
            "phase 'key-exchange'",
        ),
    ];
    for (bytes, kind, code, part) in table {
        let failed = refused(saying(bytes, false)).await;
        assert_eq!(
            (failed.kind, failed.code.as_ref()),
            (kind, code),
            "{failed:?}"
        );
        assert!(failed.message.contains(part), "{failed:?}");
    }
}

#[tokio::test]
async fn a_server_that_closes_at_once_says_why_if_it_does() {
    let failed = refused(saying(Vec::new(), true)).await;
    assert_eq!(
        (failed.kind, failed.code.as_ref()),
        (Kind::Connect, "ECONNRESET")
    );
    let failed = refused(saying(b"Exceeded MaxStartups\r\n".to_vec(), true)).await;
    assert_eq!(
        (failed.kind, failed.code.as_ref()),
        (Kind::Connect, "ECONNRESET")
    );
    assert!(
        failed.message.contains("Exceeded MaxStartups"),
        "{failed:?}"
    );
}

/// The bytes of a whole handshake.
async fn handshake_bytes() -> usize {
    let server = start(server_config(), Rules::default());
    let (stream, counted) = faulty(server, usize::MAX, Fault::Close);
    let deadline = Instant::now() + Duration::from_secs(30);
    let session = Session::connect(stream, trusting(&host_key()), &[password()], deadline).await;
    session.unwrap().disconnect().await;
    counted.await.unwrap()
}

/// The points to break a handshake at: all of the first, and then every few.
fn points(total: usize) -> impl Iterator<Item = usize> {
    (0..24).chain((24..total - 80).step_by(61))
}

#[tokio::test]
async fn a_server_that_ends_anywhere_in_the_handshake_is_an_error() {
    for after in points(handshake_bytes().await) {
        let server = start(server_config(), Rules::default());
        let failed = refused(faulty(server, after, Fault::Close).0).await;
        assert_eq!(
            (failed.kind, failed.code.as_ref()),
            (Kind::Connect, "ECONNRESET"),
            "{after}: {failed:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_anywhere_in_the_handshake_is_an_error_at_the_deadline() {
    for after in points(handshake_bytes().await) {
        let server = start(server_config(), Rules::default());
        let started = Instant::now();
        let failed = refused(faulty(server, after, Fault::Silence).0).await;
        assert_eq!(
            (failed.kind, failed.code.as_ref()),
            (Kind::Connect, "ETIMEDOUT"),
            "{after}: {failed:?}"
        );
        assert!(started.elapsed() < Duration::from_millis(5100));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_sends_garbage_anywhere_in_the_handshake_is_an_error() {
    fastrand::seed(11);
    for after in points(handshake_bytes().await) {
        let server = start(server_config(), Rules::default());
        let failed = refused(faulty(server, after, Fault::Garbage).0).await;
        assert!(
            matches!(failed.kind, Kind::Protocol | Kind::Connect | Kind::Auth),
            "{after}: {failed:?}"
        );
    }
}

/// Truncation by packets that are put in before the keys (CVE-2023-48795): they would shift the numbers of those after.
#[tokio::test]
async fn a_packet_that_is_put_in_before_the_keys_is_refused_with_strict_key_exchange() {
    // IGNORE, and DEBUG, without encryption.
    let ignore = [0, 0, 0, 12, 6, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let debug = [
        0, 0, 0, 20, 9, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    for packet in [ignore.as_slice(), &debug] {
        let server = start(server_config(), Rules::default());
        let failed = refused(inserting(server, packet.to_vec())).await;
        assert_eq!(failed.kind, Kind::Protocol, "{failed:?}");
        assert!(failed.message.contains("strict key exchange"), "{failed:?}");
    }
}
