//! Pools of a server: the connections below them, and how far a failed call got.

use std::{
    future::pending,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    options::PlainValue,
    resolve::{Resolve, ResolveFuture},
};
use moorline_net::{
    dial::{ByteStream, Shared, Target as DialTarget, Tunnel, TunnelFuture},
    pool::{Event, PoolListener},
};
use moorline_services::libsql::{
    config::{Config, OptionStyle},
    operation::{Operation, Results},
    service::{CallLimits, LibsqlPool},
    statement::{Args, Statement},
    target::Target,
};
use tokio::{net::TcpStream, runtime::Handle, sync::Barrier};
use tokio_util::sync::CancellationToken;

use crate::server::{Server, last, one_row, response};

struct NoListener;

impl PoolListener for NoListener {
    fn on_event(&self, _: Event) {}
}

fn config(url: &str, pool_size: f64) -> Config {
    let entries = vec![
        ("url".to_owned(), PlainValue::Text(url.to_owned())),
        ("poolSize".to_owned(), PlainValue::Number(pool_size)),
    ];
    Config::read(&PlainValue::Map(entries), OptionStyle::Pool, true).unwrap()
}

fn open(config: Config) -> Arc<LibsqlPool> {
    let listener = Arc::new(NoListener);
    let closed = CancellationToken::new();
    Arc::new(LibsqlPool::open(config, Handle::current(), listener, closed).unwrap())
}

async fn select(pool: &Arc<LibsqlPool>, cancel: CancellationToken) -> Outcome<Results> {
    let statement = Statement {
        sql: "SELECT 1 AS one".to_owned(),
        args: Args::Positional(Vec::new()),
    };
    let limits = CallLimits {
        timeout: None,
        cancel,
    };
    pool.run(None, Operation::Execute(statement), limits).await
}

async fn select_one(pool: &Arc<LibsqlPool>) -> Outcome<Results> {
    select(pool, CancellationToken::new()).await
}

#[track_caller]
fn assert_failure(outcome: Outcome<Results>, expected: (Kind, &str, Delivery, &str)) -> Failure {
    let failure = outcome.unwrap_err();
    let phase = failure.detail.get("phase").and_then(|phase| phase.as_str());
    let seen = (
        failure.kind,
        &*failure.code,
        failure.delivery,
        phase.unwrap_or_default(),
    );
    assert_eq!(seen, expected, "{failure:?} {:?}", failure.cause);
    failure
}

/// A tunnel to one address, and the targets that it was asked for.
struct LoopbackTunnel {
    address: SocketAddr,
    targets: Mutex<Vec<DialTarget>>,
}

impl Tunnel for LoopbackTunnel {
    fn open<'a>(&'a self, target: &'a DialTarget) -> TunnelFuture<'a> {
        self.targets.lock().unwrap().push(target.clone());
        Box::pin(async {
            let stream = TcpStream::connect(self.address).await.unwrap();
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

/// A resolver that resolves nothing.
#[derive(Debug)]
struct NoNames;

impl Resolve for NoNames {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> ResolveFuture<'a> {
        Box::pin(async { Err(Failure::new(Kind::Internal, "a name is resolved here")) })
    }
}

#[tokio::test]
async fn statements_go_through_a_tunnel_which_resolves_the_name_of_the_server() {
    let server = Server::start(async |_| one_row()).await;
    let tunnel = Arc::new(LoopbackTunnel {
        address: server.address,
        targets: Mutex::default(),
    });
    let mut config = config("http://db.internal:8080", 2.0);
    let Target::Remote(target) = &mut config.target else {
        unreachable!("a URL of a server");
    };
    let shown: Arc<LoopbackTunnel> = Arc::clone(&tunnel);
    target.dial.tunnel = Some(Shared(shown));
    target.dial.resolver = Shared(Arc::new(NoNames));
    let pool = open(config);
    for _ in 0..3 {
        let results = select_one(&pool).await.unwrap();
        assert!(results[0].json.contains("[1]"), "{}", results[0].json);
    }
    let expected = DialTarget::new("db.internal", 8080, false);
    assert_eq!(*tunnel.targets.lock().unwrap(), [expected]);
    assert_eq!(*server.requests.borrow(), 3);
    pool.drain(None).await;
    server.wait_for_open(0).await;
}

#[tokio::test]
async fn pools_share_connections_which_close_with_the_last_pool() {
    let server = Server::start(async |_| one_row()).await;
    let pools = [0; 3].map(|_| open(config(&server.url(), 2.0)));
    for pool in &pools {
        select_one(pool).await.unwrap();
        assert_eq!(*server.open.borrow(), 1);
    }
    pools[0].drain(None).await;
    select_one(&pools[1]).await.unwrap();
    let [_drained, dropped, last] = pools;
    drop(dropped);
    select_one(&last).await.unwrap();
    assert_eq!(*server.open.borrow(), 1);
    last.drain(None).await;
    // Sooner than the 50 s for which an unused connection is kept.
    server.wait_for_open(0).await;
}

#[tokio::test]
async fn of_many_connections_64_are_kept() {
    let arrived = Arc::new(Barrier::new(80));
    let server = Server::start(move |_| {
        let arrived = Arc::clone(&arrived);
        async move {
            arrived.wait().await;
            one_row()
        }
    })
    .await;
    let pool = open(config(&server.url(), 80.0));
    let calls = (0..80).map(|_| {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move { select_one(&pool).await.map(drop) })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    server.wait_for_open(64).await;
}

#[tokio::test]
async fn a_statement_that_was_written_is_not_sent_again() {
    // The second is read, and the connection closed.
    let server = Server::start(async |number| if number == 2 { last("") } else { one_row() }).await;
    let pool = open(config(&server.url(), 1.0));
    select_one(&pool).await.unwrap();
    let expected = (
        Kind::Disconnected,
        "ECONNRESET",
        Delivery::Unknown,
        "headers",
    );
    let failure = assert_failure(select_one(&pool).await, expected);
    assert_eq!(failure.detail["reusedSocket"], true);
    assert!(!failure.retryable);
    assert_eq!(
        (failure.service, &*failure.operation),
        ("libsql", "execute")
    );
    assert_eq!(*server.requests.borrow(), 2);
    select_one(&pool).await.unwrap();
}

#[tokio::test]
async fn a_redirect_is_a_refusal() {
    let server = Server::start(async |_| {
        last("HTTP/1.1 307 Moved\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n")
    })
    .await;
    let pool = open(config(&server.url(), 1.0));
    let expected = (Kind::Rejected, "SERVER_ERROR", Delivery::Answered, "");
    let failure = assert_failure(select_one(&pool).await, expected);
    assert_eq!(failure.detail["status"], 307);
    assert_eq!(*server.requests.borrow(), 1);
}

#[tokio::test]
async fn a_failure_tells_how_far_the_call_got() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{";
    let no_http = "SSH-2.0-OpenSSH_9.2\r\n\r\n";
    for (said, expected) in [
        (
            cut,
            (Kind::Disconnected, "ECONNRESET", Delivery::Answered, "body"),
        ),
        (
            no_http,
            (
                Kind::Protocol,
                "ERR_MOORLINE_PROTOCOL",
                Delivery::Answered,
                "headers",
            ),
        ),
    ] {
        let server = Server::start(async move |_| last(said)).await;
        let pool = open(config(&server.url(), 1.0));
        assert_failure(select_one(&pool).await, expected);
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_closes_its_connection() {
    let server = Server::start(async |_| pending().await).await;
    let pool = open(config(&server.url(), 1.0));
    let cancel = CancellationToken::new();
    let mut requests = server.requests.subscribe();
    let (failed, ()) = tokio::join!(select(&pool, cancel.clone()), async {
        requests.changed().await.unwrap();
        cancel.cancel();
    });
    assert_eq!(failed.unwrap_err().code, "CLIENT_CLOSED");
    server.wait_for_open(0).await;
}

#[tokio::test]
async fn the_body_of_a_refusal_is_read_up_to_64_kb() {
    let page = "x".repeat(4 << 20);
    let server = Server::start(move |_| {
        let page = page.clone();
        async move { response("404 Not Found", &page) }
    })
    .await;
    let pool = open(config(&server.url(), 1.0));
    let expected = (Kind::Rejected, "SERVER_ERROR", Delivery::Answered, "");
    let failure = assert_failure(select_one(&pool).await, expected);
    assert!(
        failure.message.ends_with("404 Not Found"),
        "{}",
        failure.message
    );
    server.wait_for_open(0).await;
}

#[tokio::test(start_paused = true)]
async fn connecting_ends_after_its_timeout() {
    struct Silent;
    impl Tunnel for Silent {
        fn open<'a>(&'a self, _: &'a DialTarget) -> TunnelFuture<'a> {
            Box::pin(pending())
        }
    }
    let mut config = config("https://db.internal", 1.0);
    let Target::Remote(target) = &mut config.target else {
        unreachable!("a URL of a server");
    };
    assert_eq!(target.dial.connect_timeout, Duration::from_secs(10));
    target.dial.tunnel = Some(Shared(Arc::new(Silent)));
    let failed = select_one(&open(config)).await;
    let expected = (Kind::Connect, "ETIMEDOUT", Delivery::None, "tunnel");
    let failure = assert_failure(failed, expected);
    assert_eq!(failure.detail["limit"], "connectTimeoutMs");
    assert!(failure.retryable);
}
