//! An HTTP server for one test: it answers as the test says and records the requests.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use serde_json::Value as Json;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRequest {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl ReceivedRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The reaction to a request.
pub(crate) enum Reply {
    Answer(u16, Vec<(&'static str, String)>, String),
    /// The head and a part of the body, and then nothing more.
    CutOff,
    /// No answer for as long as the client waits.
    Silence,
}

impl Reply {
    pub(crate) fn json(json: &Json) -> Self {
        Self::Answer(200, Vec::new(), json.to_string())
    }

    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self::Answer(status, Vec::new(), body.to_owned())
    }
}

type Handler = dyn Fn(&ReceivedRequest, usize) -> Reply + Send + Sync;

/// The server. A panic in its handler fails the test.
pub(crate) struct TestServer {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
    panicked: Arc<AtomicBool>,
}

impl TestServer {
    /// Starts a server; `handler` gets each request and how many came before it.
    pub(crate) async fn start(
        handler: impl Fn(&ReceivedRequest, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
            panicked: Arc::default(),
        };
        let handler: Arc<Handler> = Arc::new(handler);
        let (requests, panicked) = (Arc::clone(&server.requests), Arc::clone(&server.panicked));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let serving = serve_connection(socket, Arc::clone(&handler), Arc::clone(&requests));
                let panicked = Arc::clone(&panicked);
                tokio::spawn(async move {
                    if tokio::spawn(serving)
                        .await
                        .is_err_and(|error| error.is_panic())
                    {
                        panicked.store(true, Ordering::SeqCst);
                    }
                });
            }
        });
        server
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// The number of requests for a path, with any query.
    pub(crate) fn count(&self, path: &str) -> usize {
        let at = |request: &&ReceivedRequest| request.path.split('?').next() == Some(path);
        self.requests().iter().filter(at).count()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        assert!(
            !self.panicked.load(Ordering::SeqCst) || std::thread::panicking(),
            "the handler of the test server panicked"
        );
    }
}

async fn serve_connection(
    socket: TcpStream,
    handler: Arc<Handler>,
    all: Arc<Mutex<Vec<ReceivedRequest>>>,
) {
    let mut socket = BufReader::new(socket);
    while let Some(request) = read(&mut socket).await {
        let before = {
            let mut all = all.lock().unwrap();
            all.push(request.clone());
            all.len() - 1
        };
        let sent = match handler(&request, before) {
            Reply::Answer(status, headers, body) => {
                let more: Vec<_> = headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}\r\n"))
                    .collect();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{}",
                    body.len(),
                    more.concat()
                );
                socket
                    .write_all(format!("{head}\r\n{body}").as_bytes())
                    .await
            }
            Reply::CutOff => {
                let cut = b"HTTP/1.1 200 X\r\ncontent-length: 99\r\n\r\n{\"mean\":[";
                let _ = socket.write_all(cut).await;
                return;
            }
            Reply::Silence => {
                // Until the client hangs up.
                let _ = socket.read(&mut [0; 1]).await;
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn read(socket: &mut BufReader<TcpStream>) -> Option<ReceivedRequest> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines.first()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
    socket.read_exact(&mut body).await.ok()?;
    Some(ReceivedRequest {
        method,
        path,
        headers,
        body,
    })
}
