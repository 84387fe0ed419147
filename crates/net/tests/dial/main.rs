//! Dialling, against test servers on loopback.

#![allow(clippy::unwrap_used)] // clippy spares the tests themselves, not what they call

mod ways;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    options::{Options, PlainValue},
};
use moorline_net::dial::{Alpn, DialConfig, Dialer, Peer, Proxy, Stream, Target};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

/// A server for one connection; its panic fails the test that joins it.
async fn serve_once<F, Fut>(serve: F) -> (SocketAddr, JoinHandle<()>)
where
    F: FnOnce(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    (address, task)
}

async fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(
        got.escape_ascii().to_string(),
        bytes.escape_ascii().to_string()
    );
}

fn target(host: &str, port: u16, secure: bool) -> Target {
    Target {
        host: host.to_owned(),
        port,
        secure,
    }
}

fn dialer(proxy: &str) -> Arc<Dialer> {
    Dialer::new(DialConfig {
        proxy: Proxy::Url(Url::parse(proxy).unwrap()),
        ..DialConfig::default()
    })
}

/// `Send`, since services dial in tasks of the runtime.
fn dial<'a>(
    dialer: &'a Dialer,
    target: &'a Target,
) -> impl Future<Output = Outcome<Stream>> + Send + 'a {
    dialer.dial(target, Alpn::HTTP)
}

fn kind_code_phase(failure: &Failure) -> (Kind, &str, &str) {
    assert_eq!(failure.delivery, Delivery::None, "nothing was sent");
    let phase = failure.detail["phase"].as_str().unwrap();
    (failure.kind, failure.code.as_ref(), phase)
}

/// A name with two addresses, of which the second answers where it can.
#[tokio::test]
async fn a_name_is_dialled_at_the_address_that_answers() {
    let (address, server) =
        serve_once(async |mut stream: TcpStream| expect(&mut stream, b"hi").await).await;
    let dialer = Dialer::new(DialConfig::default());
    let mut stream = dial(&dialer, &target("localhost", address.port(), false))
        .await
        .unwrap();
    let expected = Peer::Address(address);
    assert_eq!((stream.peer(), stream.alpn()), (&expected, None));
    stream.write_all(b"hi").await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn each_phase_fails_with_its_name_and_the_code_of_node() {
    let dialer = Dialer::new(DialConfig::default());
    let unknown = dial(&dialer, &target("no-such-host.invalid", 80, false)).await;
    assert_eq!(
        kind_code_phase(&unknown.unwrap_err()),
        (Kind::Connect, "ENOTFOUND", "dns")
    );

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = dial(&dialer, &target("127.0.0.1", closed, false)).await;
    assert_eq!(
        kind_code_phase(&refused.unwrap_err()),
        (Kind::Connect, "ECONNREFUSED", "connect")
    );

    let (address, server) = serve_once(async |stream: TcpStream| drop(stream)).await;
    let cut = dial(&dialer, &target("127.0.0.1", address.port(), true)).await;
    assert_eq!(
        kind_code_phase(&cut.unwrap_err()),
        (Kind::Connect, "ECONNRESET", "tls")
    );
    server.await.unwrap();

    let (address, server) = serve_once(async |mut stream: TcpStream| {
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        // Until the client has gone: a reset would come before what was written.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let no_tls = dial(&dialer, &target("127.0.0.1", address.port(), true)).await;
    assert_eq!(
        kind_code_phase(&no_tls.unwrap_err()),
        (Kind::Tls, "ERR_MOORLINE_TLS", "tls")
    );
    server.await.unwrap();
}

#[tokio::test]
async fn a_silent_server_fails_after_the_connect_timeout() {
    let (address, server) = serve_once(async |mut stream: TcpStream| {
        let mut hello = Vec::new();
        stream.read_to_end(&mut hello).await.unwrap();
        assert!(!hello.is_empty());
    })
    .await;
    // Long enough to connect on a machine that is busy, and far below the default.
    let connect_timeout = Duration::from_secs(2);
    let dialer = Dialer::new(DialConfig {
        connect_timeout,
        ..DialConfig::default()
    });
    let began = Instant::now();
    let silent = dial(&dialer, &target("127.0.0.1", address.port(), true)).await;
    assert_eq!(
        kind_code_phase(&silent.unwrap_err()),
        (Kind::Connect, "ETIMEDOUT", "tls")
    );
    let took = began.elapsed();
    assert!(
        took >= connect_timeout && took < connect_timeout * 4,
        "{took:?}"
    );
    // It ends only when our side of the connection is closed.
    server.await.unwrap();
}

#[tokio::test]
async fn an_http_proxy_gets_the_host_name_and_the_credentials() {
    let (address, server) = serve_once(async |mut stream: TcpStream| {
        let request: &[u8] = b"CONNECT db.invalid:81 HTTP/1.1\r\nHost: db.invalid:81\r\n\
            Proxy-Authorization: Basic bWU6cHc=\r\n\r\n";
        expect(&mut stream, request).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n")
            .await
            .unwrap();
        expect(&mut stream, b"through").await;
    })
    .await;
    let dialer = dialer(&format!("http://me:pw@{address}"));
    let mut stream = dial(&dialer, &target("db.invalid", 81, false))
        .await
        .unwrap();
    stream.write_all(b"through").await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_proxys_refusal_is_reported_with_its_status() {
    for (status, kind, code) in [
        (407, Kind::Auth, "ERR_MOORLINE_AUTH"),
        (502, Kind::Connect, "ERR_MOORLINE_PROXY_REFUSED"),
    ] {
        let (address, server) = serve_once(async move |mut stream: TcpStream| {
            let mut request = vec![0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 4\r\n\r\nsorr");
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let dialer = dialer(&format!("http://{address}"));
        let failure = dial(&dialer, &target("db.invalid", 81, true))
            .await
            .unwrap_err();
        assert_eq!(kind_code_phase(&failure), (kind, code, "proxy"));
        assert_eq!(failure.detail["status"], status);
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_proxy_that_answers_something_else_is_an_error() {
    let flood = vec![b'x'; 20 << 10];
    let answers: [Vec<u8>; 4] = [
        b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\n\r\nearly".to_vec(),
        flood,
        Vec::new(),
    ];
    for answer in answers {
        let (address, server) = serve_once(async move |mut stream: TcpStream| {
            let mut request = vec![0; 1024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            // The client may have turned away in the middle of it.
            let _ = stream.write_all(&answer).await;
        })
        .await;
        let dialer = dialer(&format!("http://{address}"));
        let failure = dial(&dialer, &target("db.invalid", 81, false))
            .await
            .unwrap_err();
        assert_eq!(
            (failure.kind, kind_code_phase(&failure).2),
            (Kind::Connect, "proxy")
        );
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_socks_proxy_gets_login_and_name() {
    let (address, server) = serve_once(async |mut stream: TcpStream| {
        expect(&mut stream, &[5, 2, 0, 2]).await;
        stream.write_all(&[5, 2]).await.unwrap();
        expect(&mut stream, b"\x01\x02me\x02pw").await;
        stream.write_all(&[1, 0]).await.unwrap();
        expect(&mut stream, b"\x05\x01\x00\x03\x0adb.invalid\x00\x51").await;
        stream
            .write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80])
            .await
            .unwrap();
        expect(&mut stream, b"through").await;
    })
    .await;
    let dialer = dialer(&format!("socks5h://me:pw@{address}"));
    let mut stream = dial(&dialer, &target("db.invalid", 81, false))
        .await
        .unwrap();
    stream.write_all(b"through").await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_socks_proxy_without_names_gets_the_address_and_its_refusal_keeps_its_reason() {
    let (address, server) = serve_once(async |mut stream: TcpStream| {
        expect(&mut stream, &[5, 1, 0]).await;
        stream.write_all(&[5, 0]).await.unwrap();
        expect(&mut stream, &[5, 1, 0, 1, 127, 0, 0, 1, 0, 81]).await;
        stream
            .write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0])
            .await
            .unwrap();
    })
    .await;
    let dialer = dialer(&format!("socks5://{address}"));
    let failure = dial(&dialer, &target("127.0.0.1", 81, false))
        .await
        .unwrap_err();
    assert_eq!(
        kind_code_phase(&failure),
        (Kind::Connect, "ECONNREFUSED", "proxy")
    );
    server.await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_connected_to() {
    let public_only = |hosts: &[&str]| {
        let list = hosts
            .iter()
            .map(|host| PlainValue::Text((*host).to_owned()));
        let list = PlainValue::List(list.collect());
        let map = PlainValue::Map(vec![
            ("publicAddressesOnly".to_owned(), PlainValue::Bool(true)),
            ("allowedHosts".to_owned(), list),
        ]);
        Dialer::new(DialConfig::read(&Options::new("options", &map).unwrap()).unwrap())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let refused = dial(&public_only(&[]), &target("localhost", port, false))
        .await
        .unwrap_err();
    assert_eq!(refused.code, "ERR_MOORLINE_ADDRESS_REFUSED");
    dial(
        &public_only(&["localhost"]),
        &target("localhost", port, false),
    )
    .await
    .unwrap();
    let (_, first) = listener.accept().await.unwrap();
    assert!(first.ip().is_loopback());
}
