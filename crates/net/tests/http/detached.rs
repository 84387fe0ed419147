//! A body that is read without hyper: it is the same as with hyper, in what comes, how it ends, and how it fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use moorline_core::{
    error::{Delivery, Failure, Kind},
    limit::Limit,
    options::{Options, PlainValue},
};
use moorline_net::http::{
    CallConfig, Engine, HttpConfig, Request, RequestBody, ResponseBody, Streaming,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n";
/// "hello" by gzip.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05\x00\x00\x00";

fn engine() -> Engine {
    let none = PlainValue::Undefined;
    let config = HttpConfig::read(Options::new("options", &none).unwrap()).unwrap();
    Engine::new(config, Handle::current())
}

/// What a response came to: its status and the bytes of its body, and how it failed.
type Outcome = (
    Option<u16>,
    Vec<u8>,
    Option<(Kind, String, Delivery, String)>,
);

fn describe(failure: &Failure) -> (Kind, String, Delivery, String) {
    (
        failure.kind,
        failure.code.to_string(),
        failure.delivery,
        format!("{} {:?}", failure.message, failure.detail.get("phase")),
    )
}

fn streaming(body: ResponseBody) -> Streaming {
    let streaming = match body {
        ResponseBody::Streaming(streaming) => Some(streaming),
        ResponseBody::Full(_) => None,
    };
    streaming.unwrap()
}

async fn outcome(engine: &Engine, request: Request) -> Outcome {
    let response = match engine.request(request, &CancellationToken::new()).await {
        Ok(response) => response,
        Err(failure) => return (None, Vec::new(), Some(describe(&failure))),
    };
    let status = Some(response.status.as_u16());
    let mut body = streaming(response.body);
    let mut bytes = Vec::new();
    loop {
        match body.next().await {
            Ok(Some(chunk)) => bytes.extend(chunk),
            Ok(None) => return (status, bytes, None),
            Err(failure) => return (status, bytes, Some(describe(&failure))),
        }
    }
}

/// A server that answers each request with the parts, one after the other when the client has nothing left to read, and closes
/// the connection; returns its URL and the number of its connections.
async fn serve(parts: Vec<Vec<u8>>, close: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let connections = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(answer(socket, parts.clone(), close));
        }
    });
    (url, connections)
}

async fn answer(mut socket: TcpStream, parts: Vec<Vec<u8>>, close: bool) {
    socket.set_nodelay(true).unwrap();
    let mut head = [0; 4096];
    while matches!(socket.read(&mut head).await, Ok(1..)) {
        for part in &parts {
            if socket.write_all(part).await.is_err() {
                return;
            }
            // The clock is stopped: it goes on when nobody has anything to do.
            sleep(Duration::from_millis(1)).await;
        }
        if close {
            return;
        }
    }
}

fn get(url: &str) -> Request {
    Request::new("GET", url, "", RequestBody::Empty).unwrap()
}

/// Asserts that the response is the same with hyper and without, and returns what it is.
async fn compare(parts: Vec<Vec<u8>>, make: impl Fn(&str) -> Request) -> Outcome {
    let (url, _) = serve(parts.clone(), true).await;
    let with = outcome(&engine(), make(&url).streamed()).await;
    let without = outcome(&engine(), make(&url).detached()).await;
    let sent = String::from_utf8_lossy(&parts.concat()).into_owned();
    assert_eq!(without, with, "{sent:?}");
    without
}

#[tokio::test(start_paused = true)]
async fn responses_are_the_same_with_hyper_and_without() {
    let long = "x".repeat(20_000);
    let table = [
        format!("{HEAD}content-length: 5\r\n\r\nhello"),
        format!("{HEAD}content-length: 5\r\n\r\nhello, and more"),
        format!("{HEAD}content-length: 0\r\n\r\nmore"),
        format!("{HEAD}content-length: 6\r\n\r\nhello"),
        format!("{HEAD}content-length: 5\r\ncontent-length: 5\r\n\r\nhello"),
        format!("{HEAD}content-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
        format!("{HEAD}content-length: x\r\n\r\nhello"),
        format!("{HEAD}\r\nhello"),
        format!("{HEAD}\r\n"),
        format!("{HEAD}connection: close\r\n\r\n{long}"),
        format!("{HEAD}transfer-encoding: gzip\r\n\r\nhello"),
        format!("{HEAD}transfer-encoding: gzip, Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
        format!("{HEAD}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
        HEAD.replace("1.1", "1.0") + "\r\nhello",
        HEAD.replace("1.1", "1.0") + "transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD.replace("\r\n", "\n") + "\nhello",
        format!("\r\n{HEAD}\r\nhello"),
        format!("{HEAD}a:\r\n b\r\n \r\n\r\nhello"),
        format!("{CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\n"),
        format!("{CHUNKED}\r\n4e20\r\n{long}\r\n0\r\n\r\n"),
        format!("{CHUNKED}\r\n5;a=b\r\nhello\r\n0;c\r\nx: y\r\n\r\n"),
        format!("{CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        format!("{CHUNKED}\r\n0\r\n\r\n"),
        format!("{CHUNKED}\r\n"),
        format!("{CHUNKED}\r\n5\r\nhello\r\n"),
        format!("{CHUNKED}\r\n5\r\nhel"),
        format!("{CHUNKED}\r\n5\r\nhello\r\n0\r\n"),
        format!("{CHUNKED}\r\n5\r\nhelloX"),
        format!("{CHUNKED}\r\n5\r\nhello\r\nX"),
        format!("{CHUNKED}\r\n5\nhello\r\n"),
        format!("{CHUNKED}\r\n5;{long}\r\nhello\r\n0\r\n\r\n"),
        format!("{CHUNKED}\r\n10000000000000005\r\nhello\r\n0\r\n\r\n"),
        format!("{CHUNKED}\r\n5\r\nhello\r\n0\r\nx:{long}\r\n\r\n"),
        format!("{CHUNKED}\r\n5\r\nhello\r\n0\r\nno colon\r\n\r\n"),
        format!(
            "HTTP/1.1 103 Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n{HEAD}\r\nhello"
        ),
        "HTTP/1.1 103 Hints\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhello"
            .to_owned(),
        "HTTP/1.1 204 No Content\r\n\r\nhello".to_owned(),
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n".to_owned(),
        "HTTP/1.1 500 Broken\r\ncontent-length: 5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 500 Broken\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nbroken\r\n\r\nhello".to_owned(),
        "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(),
        "HTTP/1.1 200".to_owned(),
        String::new(),
    ];
    for sent in table {
        compare(vec![sent.into_bytes()], get).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_is_the_same_wherever_it_is_cut() {
    let hints = "HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n";
    for (end, body) in [
        ("content-length: 5\r\n\r\n", "hello"),
        ("\r\n", "hello"),
        (
            "transfer-encoding: chunked\r\n\r\n",
            "2\r\nhe\r\n3;x\r\nllo\r\n0\r\na: b\r\n\r\n",
        ),
    ] {
        let sent = [hints, HEAD, end, body].concat().into_bytes();
        for cut in 1..sent.len() {
            let (first, second) = sent.split_at(cut);
            let (url, _) = serve(vec![first.to_vec(), second.to_vec()], true).await;
            let outcome = outcome(&engine(), get(&url).detached()).await;
            assert_eq!(
                outcome,
                (Some(200), b"hello".to_vec(), None),
                "cut at {cut}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_decoded_and_limited_as_with_hyper() {
    let head = format!("{HEAD}content-encoding: gzip\r\n");
    let chunks = [
        &b"a\r\n"[..],
        &GZIP[..10],
        b"\r\nf\r\n",
        &GZIP[10..],
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    for (end, body) in [
        ("", GZIP.to_vec()),
        ("transfer-encoding: chunked\r\n", chunks),
    ] {
        let head = format!("{head}{end}\r\n").into_bytes();
        let seen = compare(
            vec![head.clone(), body[..9].to_vec(), body[9..].to_vec()],
            get,
        )
        .await;
        assert_eq!(seen, (Some(200), b"hello".to_vec(), None));
        compare(vec![head, body[..body.len() - 9].to_vec()], get).await;
    }
    let limited = |url: &str| {
        get(url).with_config(CallConfig {
            max_response_bytes: Some(Limit::At(4)),
            ..CallConfig::default()
        })
    };
    for body in [
        "content-length: 5\r\n\r\nhello",
        "\r\nhello",
        "content-length: 4\r\n\r\nhell",
    ] {
        compare(vec![format!("{HEAD}{body}").into_bytes()], limited).await;
    }
    let head_only = |url: &str| Request::new("HEAD", url, "", RequestBody::Empty).unwrap();
    compare(
        vec![format!("{HEAD}content-length: 5\r\n\r\n").into_bytes()],
        head_only,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_body_reaches_its_timeout() {
    let (url, _) = serve(vec![format!("{HEAD}\r\nhello").into_bytes()], false).await;
    let brief = CallConfig {
        body_timeout: Limit::At(Duration::from_millis(20)),
        ..CallConfig::default()
    };
    let (_, bytes, failure) = outcome(&engine(), get(&url).with_config(brief).detached()).await;
    let (kind, _, delivery, message) = failure.unwrap();
    assert_eq!(
        (bytes.as_slice(), kind, delivery),
        (&b"hello"[..], Kind::Timeout, Delivery::Answered)
    );
    assert!(message.contains("within 20 ms"), "{message}");
}

#[tokio::test]
async fn a_body_that_is_dropped_closes_its_connection_and_one_of_a_closed_engine_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (engine, cancel) = (engine(), CancellationToken::new());
    for closed in [false, true] {
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await.unwrap();
            socket
                .write_all(format!("{HEAD}\r\n").as_bytes())
                .await
                .unwrap();
            socket
        };
        let (response, mut socket) =
            tokio::join!(engine.request(get(&url).detached(), &cancel), server);
        let mut body = streaming(response.unwrap().body);
        assert!(body.next_ready().is_none(), "nothing has come");
        let stats = engine.stats();
        assert_eq!(
            (stats.total, stats.in_use),
            (1, 1),
            "it counts as a connection in use"
        );
        if closed {
            engine.close();
            assert_eq!(body.next().await.unwrap_err().kind, Kind::Closed);
        }
        drop(body);
        assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_and_a_response_without_a_body_leave_the_connection_usable() {
    for sent in [
        "HTTP/1.1 503 Busy\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let (url, connections) = serve(vec![sent.as_bytes().to_vec()], false).await;
        let engine = engine();
        for _ in 0..3 {
            assert_eq!(outcome(&engine, get(&url).detached()).await.2, None);
        }
        assert_eq!(connections.load(Ordering::Relaxed), 1, "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_body_was_read_without_hyper_carries_no_further_request() {
    let sent = format!("{CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\n").into_bytes();
    let (url, connections) = serve(vec![sent], false).await;
    let engine = engine();
    for expected in [1, 2] {
        assert_eq!(outcome(&engine, get(&url).detached()).await.1, b"hello");
        assert_eq!(connections.load(Ordering::Relaxed), expected);
    }
    assert_eq!(engine.stats().in_use, 0);
}

#[tokio::test(start_paused = true)]
async fn a_followed_redirect_leaves_the_connection_to_its_target() {
    let redirect = "HTTP/1.1 307 Moved\r\nlocation: /next\r\ncontent-length: 2\r\n\r\nno";
    let (url, connections) = serve(vec![redirect.as_bytes().to_vec()], false).await;
    let (_, _, failure) = outcome(&engine(), get(&url).detached()).await;
    assert_eq!(failure.unwrap().1, "ERR_TOO_MANY_REDIRECTS");
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_response_that_comes_before_the_request_was_written_does_not_end_the_writing() {
    const BYTES: usize = 16 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let full = || RequestBody::Full(vec![b'x'; BYTES].into());
    let (sender, streamed) = RequestBody::channel(Some(BYTES as u64));
    for (body, sender) in [(full(), None), (streamed, Some(sender))] {
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut first = vec![0; 100];
            socket.read_exact(&mut first).await.unwrap();
            socket
                .write_all(format!("{CHUNKED}\r\n").as_bytes())
                .await
                .unwrap();
            let (mut left, mut buffer) = (BYTES, vec![0; 1 << 16]);
            while left > 0 {
                let read = socket.read(&mut buffer).await.unwrap();
                assert!(read > 0, "{left} bytes are missing");
                left = left.saturating_sub(read);
            }
            socket.write_all(b"5\r\nhello\r\n0\r\n\r\n").await.unwrap();
        };
        let upload = async {
            if let Some(sender) = sender {
                for _ in 0..BYTES >> 16 {
                    assert!(sender.send(vec![b'x'; 1 << 16].into()).await);
                }
                sender.end();
            }
        };
        let request = Request::new("POST", &url, "", body).unwrap().detached();
        let engine = engine();
        let (outcome, ..) = tokio::join!(outcome(&engine, request), server, upload);
        assert_eq!(outcome, (Some(200), b"hello".to_vec(), None));
    }
}
