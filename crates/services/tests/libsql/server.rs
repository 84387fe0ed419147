//! A server of the Hrana protocol that answers as a test says.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

/// The answer to one statement, which has one row.
const ANSWER: &str = r#"{"baton":null,"base_url":null,"results":[
    {"type":"ok","response":{"type":"execute","result":{"cols":[{"name":"one"}],
    "rows":[[{"type":"integer","value":"1"}]],"affected_row_count":0,"last_insert_rowid":null}}},
    {"type":"ok","response":{"type":"get_autocommit","is_autocommit":true}}]}"#;

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Requests so far.
    pub(crate) requests: watch::Sender<u32>,
    /// Connections that are open.
    pub(crate) open: watch::Sender<u32>,
}

/// The bytes that are written for a request.
pub(crate) struct Reply {
    bytes: String,
    closes: bool,
}

/// These bytes, after which the connection is closed.
pub(crate) fn last(bytes: &str) -> Reply {
    Reply {
        bytes: bytes.to_owned(),
        closes: true,
    }
}

/// A response that says `status` and has that body.
pub(crate) fn response(status: &str, body: &str) -> Reply {
    let length = body.len();
    Reply {
        bytes: format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}"),
        closes: false,
    }
}

/// The response to one statement.
pub(crate) fn one_row() -> Reply {
    response("200 OK", ANSWER)
}

impl Server {
    /// Starts one. `respond` gets the number of each request, from 1 on.
    pub(crate) async fn start<F>(respond: impl Fn(u32) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, open) = (watch::Sender::new(0), watch::Sender::new(0));
        let (counted, opened) = (requests.clone(), open.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                opened.send_modify(|open| *open += 1);
                let (respond, counted) = (respond.clone(), counted.clone());
                let opened = opened.clone();
                tokio::spawn(async move {
                    serve(socket, respond, &counted).await;
                    opened.send_modify(|open| *open -= 1);
                });
            }
        });
        Self {
            address,
            requests,
            open,
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until so many connections are open.
    pub(crate) async fn wait_for_open(&self, number: u32) {
        let mut open = self.open.subscribe();
        let reached = timeout(
            Duration::from_secs(20),
            open.wait_for(|open| *open == number),
        );
        let reached = reached.await.map(|open| *open.unwrap());
        assert_eq!(reached, Ok(number), "{} are open", *self.open.borrow());
    }
}

async fn serve<F: Future<Output = Reply>>(
    socket: TcpStream,
    respond: impl Fn(u32) -> F,
    requests: &watch::Sender<u32>,
) {
    let mut socket = BufReader::new(socket);
    while read_request(&mut socket).await.is_some() {
        let mut number = 0;
        requests.send_modify(|requests| {
            *requests += 1;
            number = *requests;
        });
        let reply = tokio::select! {
            reply = respond(number) => reply,
            // The client has left.
            _ = socket.fill_buf() => return,
        };
        let written = socket.write_all(reply.bytes.as_bytes()).await;
        if written.is_err() || reply.closes {
            return;
        }
    }
}

async fn read_request(socket: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    Some(body)
}
