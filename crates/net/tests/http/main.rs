//! The API client against sockets that misbehave: every failure has its kind, Node's code and the right delivery; and the
//! engine, whose bodies are the same with hyper and without it.

#![allow(clippy::unwrap_used)] // clippy spares the tests themselves, not what they call

mod detached;

use std::time::Duration;

use moorline_core::error::{Delivery, Failure, Kind};
use moorline_net::{dial::DialConfig, http::ApiClient};
use reqwest::{Method, Request};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Starts a server with this behaviour for each connection; returns its address.
async fn start_server<F>(behave: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(behave(socket));
        }
    });
    address.to_string()
}

async fn answer(mut socket: TcpStream, bytes: &'static [u8]) {
    let mut head = [0; 4096];
    let _ = socket.read(&mut head).await;
    socket.write_all(bytes).await.unwrap();
}

fn client() -> std::sync::Arc<ApiClient> {
    ApiClient::with(DialConfig {
        connect_timeout: Duration::from_millis(200),
        ..DialConfig::default()
    })
}

async fn call(url: &str) -> Result<Vec<u8>, Failure> {
    let request = Request::new(Method::GET, url.parse().unwrap());
    let response = client().send(request).await?;
    ApiClient::read_body(response, 1000)
        .await
        .map(|body| body.to_vec())
}

#[track_caller]
fn assert_failure(result: Result<Vec<u8>, Failure>, kind: Kind, code: &str, delivery: Delivery) {
    let failure = result.unwrap_err();
    let seen = (failure.kind, &*failure.code, failure.delivery);
    assert_eq!(
        seen,
        (kind, code, delivery),
        "{failure:?} {:?}",
        failure.cause
    );
}

#[tokio::test]
async fn a_response_is_read_with_any_status() {
    let ok = b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nhello";
    let address = start_server(move |socket| answer(socket, ok)).await;
    assert_eq!(call(&format!("http://{address}/")).await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let moved = b"HTTP/1.1 307 Moved\r\nlocation: /x\r\ncontent-length: 2\r\n\r\nno";
    let address = start_server(move |socket| answer(socket, moved)).await;
    assert_eq!(call(&format!("http://{address}/")).await.unwrap(), b"no");
}

#[tokio::test]
async fn a_closed_port_proves_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let result = call(&format!("http://{address}/")).await;
    let message = result.as_ref().unwrap_err().message.clone();
    assert_eq!(
        message,
        format!("could not connect to {address} (ECONNREFUSED)")
    );
    assert_failure(result, Kind::Connect, "ECONNREFUSED", Delivery::None);
}

#[tokio::test]
async fn a_host_without_an_address_is_enotfound() {
    let result = call("http://moorline.invalid/").await;
    assert_failure(result, Kind::Connect, "ENOTFOUND", Delivery::None);
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_with_the_connect_timeout() {
    let address = start_server(async |socket| {
        let _open = socket;
        std::future::pending::<()>().await;
    })
    .await;
    let result = call(&format!("https://{address}/")).await;
    assert_failure(result, Kind::Connect, "ETIMEDOUT", Delivery::None);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_failure() {
    let plain = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    let address = start_server(move |socket| answer(socket, plain)).await;
    let result = call(&format!("https://{address}/")).await;
    assert_failure(result, Kind::Tls, "ERR_MOORLINE_TLS", Delivery::None);
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_may_have_delivered() {
    let address = start_server(|socket| answer(socket, b"")).await;
    let result = call(&format!("http://{address}/")).await;
    assert_failure(result, Kind::Disconnected, "ECONNRESET", Delivery::Unknown);
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_protocol_failure() {
    let address = start_server(|socket| answer(socket, b"SSH-2.0-OpenSSH_9.2\r\n\r\n")).await;
    let result = call(&format!("http://{address}/")).await;
    assert_failure(
        result,
        Kind::Protocol,
        "ERR_MOORLINE_PROTOCOL",
        Delivery::Unknown,
    );
}

#[tokio::test]
async fn a_response_cut_off_in_its_body_counts_as_answered() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello";
    let address = start_server(move |socket| answer(socket, cut)).await;
    let result = call(&format!("http://{address}/")).await;
    assert_failure(result, Kind::Disconnected, "ECONNRESET", Delivery::Answered);
}

#[tokio::test]
async fn a_response_above_the_limit_is_refused() {
    let long = b"HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n";
    let address = start_server(async |mut socket: TcpStream| {
        let _ = socket.read(&mut [0; 4096]).await;
        socket.write_all(long).await.unwrap();
        socket.write_all(&[b'x'; 1001]).await.unwrap();
        // Open until the client closes it.
        let _ = socket.read(&mut [0; 1]).await;
    })
    .await;
    let result = call(&format!("http://{address}/")).await;
    assert_failure(
        result,
        Kind::Protocol,
        "ERR_MOORLINE_PROTOCOL",
        Delivery::Answered,
    );
}
