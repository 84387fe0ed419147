//! The driver against a server that is written here, message by message and without encryption.

use futures_util::FutureExt;
use moorline_core::{
    error::Kind,
    ssh::{HostKeyPolicy, HostName},
};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::{Duration, timeout},
};

use super::*;
use crate::ssh::{
    channel::{Channel, ChannelTarget, MAX_DATA_BYTES},
    config::SessionConfig,
    key_exchange::Versions,
    message::{DISCONNECT, KEX_ECDH_REPLY, KEXINIT, NEWKEYS},
    transport::{PacketReader, PacketWriter, Transport},
};

/// The other end of a session's stream.
struct Server {
    stream: DuplexStream,
    reader: PacketReader,
    writer: PacketWriter,
}

impl Server {
    async fn send(&mut self, payload: &[u8]) {
        self.writer.put(|out| out.extend(payload)).unwrap();
        let bytes = self.writer.unsent().to_vec();
        self.writer.advance(bytes.len());
        // The client may have left.
        let _ = self.stream.write_all(&bytes).await;
    }

    async fn receive(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(packet) = self.reader.next_packet().unwrap() {
                return Some(packet.payload);
            }
            let spare = self.reader.spare();
            let read = timeout(Duration::from_secs(10), self.stream.read(spare)).await;
            match read.unwrap().unwrap() {
                0 => return None,
                count => self.reader.filled(count),
            }
        }
    }

    async fn expect(&mut self, number: u8) -> Vec<u8> {
        let payload = self.receive().await.unwrap();
        assert_eq!(payload[0], number, "{payload:?}");
        payload
    }

    /// Answers the next CHANNEL_OPEN with a window.
    async fn confirm(&mut self, remote_id: u32, window: u32, max_packet: u32) -> u32 {
        let open = self.expect(CHANNEL_OPEN).await;
        let mut reader = Reader::new(&open[1..]);
        reader.string().unwrap();
        let id = reader.uint32().unwrap();
        let numbers = [id, remote_id, window, max_packet];
        self.send(&message(CHANNEL_OPEN_CONFIRMATION, &numbers, &[]))
            .await;
        id
    }

    /// The data that come until there are no more for a while.
    async fn data(&mut self) -> Vec<u8> {
        let mut data = Vec::new();
        while let Ok(payload) = timeout(Duration::from_millis(50), self.receive()).await {
            let payload = payload.unwrap();
            assert_eq!(payload[0], CHANNEL_DATA);
            let piece = Reader::new(&payload[5..]).string().unwrap();
            assert!(piece.len() <= MAX_DATA_BYTES as usize);
            data.extend_from_slice(piece);
        }
        data
    }
}

fn message(number: u8, numbers: &[u32], strings: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![number];
    for number in numbers {
        out.extend(number.to_be_bytes());
    }
    for string in strings {
        put_string(&mut out, string);
    }
    out
}

fn start() -> (Arc<SessionShared>, Server) {
    let (ours, theirs) = duplex(1 << 20);
    let mut config = SessionConfig::new(HostName::new("db", 22), HostKeyPolicy::Insecure, "me");
    config.keep_alive_interval = Duration::from_hours(1);
    let versions = Versions {
        client: Vec::new(),
        server: Vec::new(),
    };
    let connection = Connection::new(Transport::new(ours), Arc::new(config), versions);
    let shared = SessionShared::new();
    tokio::spawn(Driver::new(connection, Arc::clone(&shared)));
    let server = Server {
        stream: theirs,
        reader: PacketReader::new(),
        writer: PacketWriter::new(),
    };
    (shared, server)
}

fn request(shared: &SessionShared) -> oneshot::Receiver<moorline_core::error::Outcome<Channel>> {
    let (sender, receiver) = oneshot::channel();
    let target = ChannelTarget::UnixSocket("/run/db".to_owned());
    assert!(shared.command(|commands| commands.opens.push(OpenRequest { target, sender })));
    receiver
}

async fn open(shared: &SessionShared, server: &mut Server, id: u32, window: u32) -> (Channel, u32) {
    let opening = request(shared);
    let ours = server.confirm(id, window, 1 << 20).await;
    (opening.await.unwrap().unwrap(), ours)
}

async fn end(shared: &SessionShared) -> Failure {
    let mut closed = shared.subscribe();
    let ended = timeout(Duration::from_secs(10), closed.wait_for(Option::is_some)).await;
    ended.unwrap().unwrap().clone().unwrap()
}

#[tokio::test]
async fn no_more_is_sent_than_the_window_allows_and_other_channels_go_on() {
    let (shared, mut server) = start();
    let (mut blocked, id) = open(&shared, &mut server, 70, 100_000).await;
    let (mut other, _) = open(&shared, &mut server, 71, 1 << 20).await;
    let block = vec![1; 50_000];
    let mut written = 0;
    while let Some(count) = blocked.write(&block).now_or_never() {
        written += count.unwrap();
        tokio::task::yield_now().await;
        assert!(written < 1 << 20, "it is never held back");
    }
    assert_eq!(server.data().await.len(), 100_000);
    assert!(written > 100_000 && written < 400_000, "{written}");
    other.write_all(b"other").await.unwrap();
    assert_eq!(server.data().await, b"other");
    server
        .send(&message(CHANNEL_WINDOW_ADJUST, &[id, 10], &[]))
        .await;
    assert_eq!(server.data().await.len(), 10);
    server
        .send(&message(CHANNEL_WINDOW_ADJUST, &[id, 1 << 20], &[]))
        .await;
    assert_eq!(server.data().await.len(), written - 100_010);
    blocked.write_all(b"again").await.unwrap();
    assert_eq!(server.data().await, b"again");
}

#[tokio::test]
async fn the_window_opens_by_what_is_read_and_by_nothing_else() {
    let (shared, mut server) = start();
    let (mut channel, id) = open(&shared, &mut server, 70, 1 << 20).await;
    let block = vec![5; 32_768];
    for _ in 0..64 {
        server.send(&message(CHANNEL_DATA, &[id], &[&block])).await;
    }
    assert_eq!(server.data().await, b"", "nothing was read");
    let mut buffer = vec![0; 98_304];
    channel.read_exact(&mut buffer[..98_303]).await.unwrap();
    assert_eq!(server.data().await, b"", "too little was read");
    channel.read_exact(&mut buffer[..1]).await.unwrap();
    let adjust = server.expect(CHANNEL_WINDOW_ADJUST).await;
    assert_eq!(adjust, message(CHANNEL_WINDOW_ADJUST, &[70, 98_304], &[]));
    for _ in 0..3 {
        server.send(&message(CHANNEL_DATA, &[id], &[&block])).await;
    }
    server.send(&message(CHANNEL_DATA, &[id], &[b"x"])).await;
    let failure = end(&shared).await;
    assert_eq!(failure.kind, Kind::Protocol);
    assert!(failure.message.contains("window"), "{failure}");
}

#[tokio::test]
async fn a_channel_that_the_server_closes_is_closed_by_us() {
    let (shared, mut server) = start();
    let (mut channel, id) = open(&shared, &mut server, 70, 1 << 20).await;
    server.send(&message(CHANNEL_DATA, &[id], &[b"last"])).await;
    server.send(&message(CHANNEL_EOF, &[id], &[])).await;
    server.send(&message(CHANNEL_CLOSE, &[id], &[])).await;
    assert_eq!(
        server.expect(CHANNEL_CLOSE).await,
        message(CHANNEL_CLOSE, &[70], &[])
    );
    let mut read = String::new();
    channel.read_to_string(&mut read).await.unwrap();
    assert_eq!(read, "last");
    assert!(channel.write(b"x").await.is_err());
    server.send(&message(CHANNEL_CLOSE, &[id], &[])).await;
    assert_eq!(end(&shared).await.kind, Kind::Protocol, "it is gone");
}

#[tokio::test]
async fn a_late_confirmation_is_closed() {
    let (shared, mut server) = start();
    drop(request(&shared));
    let opening = request(&shared);
    let id = server.confirm(70, 1, 1).await;
    drop(opening.await);
    server.expect(CHANNEL_EOF).await;
    assert_eq!(
        server.expect(CHANNEL_CLOSE).await,
        message(CHANNEL_CLOSE, &[70], &[])
    );
    let opening = request(&shared);
    let open = server.expect(CHANNEL_OPEN).await;
    drop(opening);
    let mut reader = Reader::new(&open[1..]);
    reader.string().unwrap();
    let late = reader.uint32().unwrap();
    assert_ne!(late, id);
    server
        .send(&message(CHANNEL_OPEN_CONFIRMATION, &[late, 71, 1, 1], &[]))
        .await;
    server.expect(CHANNEL_EOF).await;
    assert_eq!(
        server.expect(CHANNEL_CLOSE).await,
        message(CHANNEL_CLOSE, &[71], &[])
    );
    assert_eq!(shared.counters.opening_channels.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_is_asked_is_refused_and_what_is_unknown_is_said_to_be() {
    let (_shared, mut server) = start();
    let mut asking = message(GLOBAL_REQUEST, &[], &[b"hostkeys-prove-00@openssh.com"]);
    asking.push(1);
    server.send(&asking).await;
    server.expect(REQUEST_FAILURE).await;
    let mut opening = message(CHANNEL_OPEN, &[], &[b"session"]);
    opening.extend([0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9]);
    server.send(&opening).await;
    let refusal = server.expect(CHANNEL_OPEN_FAILURE).await;
    assert_eq!(refusal[1..9], [0, 0, 0, 9, 0, 0, 0, 1]);
    server.send(&[2, 0, 0, 0, 0]).await;
    server.send(&[4, 1, 0, 0, 0, 0, 0, 0, 0, 0]).await;
    server.send(&[200]).await;
    assert_eq!(
        server.expect(UNIMPLEMENTED).await,
        [UNIMPLEMENTED, 0, 0, 0, 4]
    );
}

#[tokio::test]
async fn each_violation_ends_the_session_with_a_reason() {
    let table: [(&str, Vec<u8>); 12] = [
        ("no such channel", message(CHANNEL_DATA, &[99], &[b"x"])),
        ("cut", vec![CHANNEL_DATA, 0, 0]),
        (
            "data longer than the packet",
            message(CHANNEL_DATA, &[0, 1000], &[]),
        ),
        (
            "window too far",
            message(CHANNEL_WINDOW_ADJUST, &[0, u32::MAX], &[]),
        ),
        (
            "opened twice",
            message(CHANNEL_OPEN_CONFIRMATION, &[0, 1, 1, 1], &[]),
        ),
        (
            "refused when open",
            message(CHANNEL_OPEN_FAILURE, &[0, 1], &[b"", b""]),
        ),
        (
            "opened without packets",
            message(CHANNEL_OPEN_CONFIRMATION, &[1, 1, 1, 0], &[]),
        ),
        (
            "data before it is open",
            message(CHANNEL_DATA, &[1], &[b"x"]),
        ),
        ("no key exchange", vec![NEWKEYS]),
        ("no key exchange", vec![KEX_ECDH_REPLY, 1, 2, 3]),
        ("cut", vec![KEXINIT, 1, 2]),
        ("cut", vec![CHANNEL_REQUEST, 0, 0, 0, 0]),
    ];
    for (what, bytes) in table {
        let (shared, mut server) = start();
        let (mut channel, _) = open(&shared, &mut server, 70, 1 << 20).await;
        let opening = request(&shared);
        server.expect(CHANNEL_OPEN).await;
        server.send(&bytes).await;
        let failure = end(&shared).await;
        assert_eq!(failure.kind, Kind::Protocol, "{what}: {failure:?}");
        let error = channel.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{what}");
        assert!(opening.await.unwrap().is_err(), "{what}");
        let mut last = None;
        while let Some(payload) = server.receive().await {
            last = Some(payload[0]);
        }
        assert_eq!(last, Some(DISCONNECT), "{what}");
    }
}

#[tokio::test]
async fn the_reason_of_a_server_that_disconnects_is_told() {
    let (shared, mut server) = start();
    server.send(&disconnect(11, "maintenance")).await;
    let failure = end(&shared).await;
    assert_eq!(
        (failure.kind, failure.code.as_ref()),
        (Kind::Disconnected, "ECONNRESET")
    );
    assert!(failure.message.contains("maintenance"), "{failure}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_messages_are_handled_or_end_the_session(
        messages in prop::collection::vec((80_u8..103, 0_u32..3, prop::collection::vec(any::<u8>(), 0..40)), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (shared, mut server) = start();
            let (channel, _) = open(&shared, &mut server, 70, 1000).await;
            let _opening = request(&shared);
            for (number, id, rest) in messages {
                let mut bytes = message(number, &[id], &[]);
                bytes.extend(rest);
                server.send(&bytes).await;
            }
            drop(channel);
            drop(server);
            let failure = end(&shared).await;
            assert!(matches!(failure.kind, Kind::Protocol | Kind::Disconnected), "{failure:?}");
        });
    }
}
