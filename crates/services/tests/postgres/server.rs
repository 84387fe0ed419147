//! A server that says what a test tells it to say.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use moorline_core::{
    error::{Failure, Outcome},
    limit::Limit,
    options::PlainValue,
    pool::Lease,
};
use moorline_net::pool::{Event, PoolListener};
use moorline_services::postgres::{
    config::Config,
    password::PasswordSource,
    result::{ResultText, ValueTypes},
    service::{CallLimits, OwnedStatement, PostgresPool},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Longer than anything takes, so that a test ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Serves every connection, the first by 0, until the runtime ends.
pub(crate) async fn serve<F, Fut>(script: F) -> SocketAddr
where
    F: Fn(usize, TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(script(number, stream));
        }
    });
    address
}

/// A message of the protocol.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap() + 4;
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// A message about the login.
pub(crate) fn authentication(kind: i32, data: &[u8]) -> Vec<u8> {
    message(b'R', &[&kind.to_be_bytes()[..], data].concat())
}

pub(crate) fn parameter(name: &str, value: &str) -> Vec<u8> {
    message(b'S', format!("{name}\0{value}\0").as_bytes())
}

pub(crate) fn error(severity: &str, code: &str, text: &str) -> Vec<u8> {
    message(
        b'E',
        format!("S{severity}\0V{severity}\0C{code}\0M{text}\0\0").as_bytes(),
    )
}

pub(crate) const READY: &[u8] = b"Z\0\0\0\x05I";

/// What begins a session without a password.
pub(crate) fn greeting(parameters: &[(&str, &str)]) -> Vec<u8> {
    let told = parameters
        .iter()
        .map(|(name, value)| parameter(name, value));
    let key = message(b'K', &[0, 0, 0, 7, 0, 0, 0, 9]);
    let told: Vec<_> = told.collect();
    [authentication(0, b""), told.concat(), key, READY.to_vec()].concat()
}

/// The answer to a statement of one text column with one row.
pub(crate) fn one_row(value: &str) -> Vec<Vec<u8>> {
    let column = [
        &b"\0\x01c\0"[..],
        &[0; 6],
        &[0, 0, 0, 25, 0xff, 0xff],
        &[0xff; 4],
        &[0; 2],
    ]
    .concat();
    let length = u32::try_from(value.len()).unwrap();
    let row = [&b"\0\x01"[..], &length.to_be_bytes(), value.as_bytes()].concat();
    vec![
        message(b'T', &column),
        message(b'D', &row),
        message(b'C', b"SELECT 1\0"),
        READY.to_vec(),
    ]
}

/// What a client sends first: its length is before it, and no type.
pub(crate) async fn read_start(stream: &mut TcpStream) -> Vec<u8> {
    let length = stream.read_u32().await.unwrap();
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).await.unwrap();
    body
}

/// The next message of a client; `None` when it has gone.
pub(crate) async fn read_message(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let tag = stream.read_u8().await.ok()?;
    let length = stream.read_u32().await.ok()?;
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).await.ok()?;
    Some((tag, body))
}

pub(crate) async fn send(stream: &mut TcpStream, bytes: &[u8]) {
    // The client may have gone already.
    let _ = stream.write_all(bytes).await;
}

/// Begins a session, and waits for the first statement.
pub(crate) async fn begin(stream: &mut TcpStream, parameters: &[(&str, &str)]) {
    read_start(stream).await;
    send(stream, &greeting(parameters)).await;
}

/// Answers each statement by its own text.
pub(crate) async fn echo(stream: &mut TcpStream) {
    while let Some((b'Q', body)) = read_message(stream).await {
        let text = String::from_utf8_lossy(&body);
        let answer = one_row(text.trim_end_matches('\0')).concat();
        send(stream, &answer).await;
    }
}

struct Quiet;

impl PoolListener for Quiet {
    fn on_event(&self, _: Event) {}
}

pub(crate) fn text(text: &str) -> PlainValue {
    PlainValue::Text(text.to_owned())
}

/// A pool by this connection string and these options.
pub(crate) fn pool_with(
    string: &str,
    options: &[(&str, PlainValue)],
    passwords: Option<&Arc<dyn PasswordSource>>,
) -> PostgresPool {
    let string = ("connectionString", text(string));
    let entries = [&[string][..], options].concat();
    let entries = entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    let config = Config::read(&PlainValue::Map(entries.collect()), &PlainValue::Undefined).unwrap();
    PostgresPool::open(&config, Handle::current(), Arc::new(Quiet), passwords)
}

/// A pool over connections without TLS.
pub(crate) fn plain_pool(address: SocketAddr) -> PostgresPool {
    pool_with(&format!("{} sslmode=disable", of(address)), &[], None)
}

/// The parameters of a server.
pub(crate) fn of(address: SocketAddr) -> String {
    format!(
        "host={} port={} user=me password=hunter2 dbname=app",
        address.ip(),
        address.port()
    )
}

pub(crate) fn limits() -> CallLimits {
    CallLimits {
        timeout: Some(Limit::At(PATIENCE)),
        cancel: CancellationToken::new(),
    }
}

/// Runs a statement, on a lease or on any connection.
pub(crate) async fn query(
    pool: &PostgresPool,
    lease: Option<Lease>,
    text: &str,
) -> Outcome<Vec<ResultText>> {
    let statement = OwnedStatement {
        text: text.to_owned(),
        ..OwnedStatement::default()
    };
    let run = pool.run(lease, statement, ValueTypes::Known, limits());
    timeout(PATIENCE, run).await.unwrap()
}

/// The only value of the only result.
pub(crate) async fn value(pool: &PostgresPool, text: &str) -> String {
    let results = query(pool, None, text).await.unwrap();
    let json = &results[0].json;
    let (_, values) = json.split_once("\"values\":[\"").unwrap();
    values.split('"').next().unwrap().to_owned()
}

pub(crate) async fn failure(pool: &PostgresPool) -> Failure {
    query(pool, None, "SELECT 1").await.unwrap_err()
}
