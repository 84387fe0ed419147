//! The ways to a target: endpoints of a resolver, a tunnel, a Unix socket, TLS on an open connection.

use std::{
    collections::VecDeque,
    future::pending,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use moorline_core::{
    error::Kind,
    options::{Options, PlainValue},
    resolve::{Endpoint, Resolve, ResolveFuture},
};
use moorline_net::dial::{
    Alpn, ByteStream, DialConfig, Dialer, KeepAlive, Peer, Shared, Target, Tunnel, TunnelFuture,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
};

use crate::{dial, expect, kind_code_phase, serve_once, target};

#[derive(Debug)]
struct FixedNames(Vec<Endpoint>);

impl Resolve for FixedNames {
    fn resolve<'a>(&'a self, name: &'a str, _: u16) -> ResolveFuture<'a> {
        assert_eq!(name, "db.internal");
        Box::pin(async { Ok(self.0.clone()) })
    }
}

async fn closed_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn resolving(endpoints: Vec<Endpoint>) -> Arc<Dialer> {
    Dialer::new(DialConfig {
        resolver: Shared(Arc::new(FixedNames(endpoints))),
        ..DialConfig::default()
    })
}

#[tokio::test]
async fn endpoints_are_tried_by_priority_at_their_own_ports() {
    let endpoint = |address: SocketAddr, priority| Endpoint {
        priority,
        ..Endpoint::from(address)
    };
    let (first, _first) = serve_once(async |stream: TcpStream| drop(stream)).await;
    let (second, _second) = serve_once(async |stream: TcpStream| drop(stream)).await;
    let closed = closed_address().await;
    for (endpoints, reached) in [
        (vec![endpoint(second, 20), endpoint(first, 10)], first),
        (vec![endpoint(closed, 10), endpoint(second, 20)], second),
    ] {
        let dialer = resolving(endpoints);
        let stream = dial(&dialer, &target("db.internal", 1, false))
            .await
            .unwrap();
        assert_eq!(stream.peer(), &Peer::Address(reached));
    }
    for (endpoints, code) in [
        (vec![], "EADDRNOTAVAIL"),
        (
            vec![endpoint(closed, 1), endpoint(closed, 2)],
            "ECONNREFUSED",
        ),
    ] {
        let dialer = resolving(endpoints);
        let failed = dial(&dialer, &target("db.internal", 1, false)).await;
        let failure = failed.unwrap_err();
        assert_eq!(kind_code_phase(&failure), (Kind::Connect, code, "connect"));
    }
}

/// A tunnel with one stream for each call, and the targets that it was asked for.
#[derive(Default)]
struct DuplexTunnel {
    streams: Mutex<VecDeque<DuplexStream>>,
    targets: Mutex<Vec<Target>>,
}

impl Tunnel for DuplexTunnel {
    fn open<'a>(&'a self, target: &'a Target) -> TunnelFuture<'a> {
        self.targets.lock().unwrap().push(target.clone());
        let stream = self.streams.lock().unwrap().pop_front();
        Box::pin(async {
            match stream {
                Some(stream) => Ok(Box::new(stream) as Box<dyn ByteStream>),
                None => pending().await,
            }
        })
    }
}

fn through(tunnel: &Arc<DuplexTunnel>, connect_timeout: Duration) -> Arc<Dialer> {
    let public_only = ("publicAddressesOnly".to_owned(), PlainValue::Bool(true));
    let options = PlainValue::Map(vec![public_only]);
    let tunnel: Arc<DuplexTunnel> = Arc::clone(tunnel);
    Dialer::new(DialConfig {
        connect_timeout,
        tunnel: Some(Shared(tunnel)),
        ..DialConfig::read(&Options::new("options", &options).unwrap()).unwrap()
    })
}

#[tokio::test]
async fn a_tunnel_gets_the_name_and_port_and_no_address_is_refused() {
    let tunnel = Arc::<DuplexTunnel>::default();
    let (near, mut far) = duplex(1024);
    tunnel.streams.lock().unwrap().push_back(near);
    let target = target("db.internal", 5432, false);
    let dialer = through(&tunnel, Duration::from_secs(20));
    let mut stream = dial(&dialer, &target).await.unwrap();
    assert_eq!(
        stream.peer(),
        &Peer::Tunnelled("db.internal:5432".to_owned())
    );
    stream.write_all(b"ping").await.unwrap();
    let mut got = [0; 4];
    far.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"ping");
    far.write_all(b"pong").await.unwrap();
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"pong");
    assert_eq!(*tunnel.targets.lock().unwrap(), [target]);
}

#[tokio::test]
async fn tls_runs_inside_the_tunnel_with_the_name_of_the_target() {
    let tunnel = Arc::<DuplexTunnel>::default();
    let (near, mut far) = duplex(4096);
    tunnel.streams.lock().unwrap().push_back(near);
    let target = target("db.internal", 443, true);
    let dialer = through(&tunnel, Duration::from_secs(20));
    let server = async {
        let mut hello = vec![0; 4096];
        let length = far.read(&mut hello).await.unwrap();
        assert_eq!(hello[..2], [22, 3], "a handshake record of TLS");
        let name = b"db.internal";
        assert!(hello[..length].windows(name.len()).any(|part| part == name));
        far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    };
    let (failed, ()) = tokio::join!(dial(&dialer, &target), server);
    let failure = failed.unwrap_err();
    assert_eq!(
        kind_code_phase(&failure),
        (Kind::Tls, "ERR_MOORLINE_TLS", "tls")
    );
    assert_eq!(failure.detail["address"], "db.internal:443");
}

#[tokio::test]
async fn a_tunnel_that_does_not_answer_fails_after_the_connect_timeout() {
    let tunnel = Arc::<DuplexTunnel>::default();
    let dialer = through(&tunnel, Duration::from_millis(50));
    let silent = dial(&dialer, &target("db.internal", 5432, false)).await;
    assert_eq!(
        kind_code_phase(&silent.unwrap_err()),
        (Kind::Connect, "ETIMEDOUT", "tunnel")
    );
}

#[tokio::test]
async fn a_protocol_may_ask_before_it_speaks_tls() {
    let (address, server) = serve_once(async |mut stream: TcpStream| {
        expect(&mut stream, b"tls?").await;
        stream.write_all(b"S").await.unwrap();
        let mut hello = vec![0; 4096];
        let length = stream.read(&mut hello).await.unwrap();
        assert_eq!(hello[..2], [22, 3], "a handshake record of TLS");
        let offer = b"\x0apostgresql";
        assert!(
            hello[..length]
                .windows(offer.len())
                .any(|part| part == offer)
        );
    })
    .await;
    let dialer = Dialer::new(DialConfig::default());
    let target = target("127.0.0.1", address.port(), false);
    let mut stream = dial(&dialer, &target).await.unwrap();
    stream.write_all(b"tls?").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'S');
    let offer = Alpn::of(&["postgresql"]);
    let failure = dialer.secure(stream, &target, offer).await.unwrap_err();
    assert_eq!(kind_code_phase(&failure).2, "tls");
    server.await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_dialled_by_its_path() {
    let name = format!("moorline-dial-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let dialer = Dialer::new(DialConfig::default());
    let missing = dialer.dial_path(&path).await.unwrap_err();
    assert_eq!(
        kind_code_phase(&missing),
        (Kind::Connect, "ENOENT", "connect")
    );
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (dialled, accepted) = tokio::join!(dialer.dial_path(&path), listener.accept());
    std::fs::remove_file(&path).unwrap();
    let (mut stream, mut server) = (dialled.unwrap(), accepted.unwrap().0);
    assert_eq!(stream.peer(), &Peer::Path(path));
    stream.write_all(b"hi").await.unwrap();
    let mut got = [0; 2];
    server.read_exact(&mut got).await.unwrap();
    assert_eq!((&got, stream.is_secure()), (b"hi", false));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_silent_peer_is_asked_as_the_options_say() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let given = KeepAlive {
        is_on: true,
        idle: seconds(30),
        interval: seconds(10),
        count: Some(3),
        user_timeout: seconds(60),
    };
    for keep_alive in [
        given,
        KeepAlive {
            is_on: false,
            ..given
        },
    ] {
        let dialer = Dialer::new(DialConfig {
            keep_alive,
            ..DialConfig::default()
        });
        let target = Target::new(address.ip().to_string(), address.port(), false);
        let stream = dialer.dial(&target, Alpn::NONE).await.unwrap();
        let socket = stream.into_socket().unwrap();
        let socket = SockRef::from(&socket);
        assert_eq!(socket.keepalive().unwrap(), keep_alive.is_on);
        assert_eq!(socket.tcp_user_timeout().unwrap(), given.user_timeout);
        if keep_alive.is_on {
            assert_eq!(socket.tcp_keepalive_time().ok(), given.idle);
            assert_eq!(socket.tcp_keepalive_interval().ok(), given.interval);
            assert_eq!(socket.tcp_keepalive_retries().ok(), given.count);
        }
    }
}
