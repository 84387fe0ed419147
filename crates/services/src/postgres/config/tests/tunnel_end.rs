//! What stands for the end of a tunnel.

use moorline_core::options::PlainValue;
use moorline_net::dial::{TunnelAddress, TunnelEnd};

use super::{read, text, tunnel_to};
use crate::postgres::config::SslMode;

const LOCAL_PORT: u16 = 7000;

/// A connection string, and where it leads through a tunnel to a host, to a socket, and to nothing by itself.
const TABLE: [(&str, [&str; 3]); 13] = [
    ("", ["db:6000", "/run/pg.sock", "localhost:5432"]),
    (
        "host='' port=''",
        ["db:6000", "/run/pg.sock", "localhost:5432"],
    ),
    (
        "host=localhost port=7000",
        ["db:6000", "/run/pg.sock", "localhost:7000"],
    ),
    (
        "host=127.0.0.1 port=7000",
        ["db:6000", "/run/pg.sock", "127.0.0.1:7000"],
    ),
    (
        "host=::1 port=7000",
        ["db:6000", "/run/pg.sock", "[::1]:7000"],
    ),
    ("port=7000", ["db:6000", "/run/pg.sock", "localhost:7000"]),
    ("host=db port=6000", ["db:6000"; 3]),
    ("host=other", ["other:6000", "other:5432", "other:5432"]),
    ("port=6001", ["db:6001", "localhost:6001", "localhost:6001"]),
    ("host=localhost port=6000", ["localhost:6000"; 3]),
    ("host=other port=7000", ["other:7000"; 3]),
    ("host=/tmp port=7000", ["/tmp:7000"; 3]),
    (
        "host=a,localhost port=1,7000",
        ["a:1,db:6000", "a:1,/run/pg.sock", "a:1,localhost:7000"],
    ),
];

fn ends() -> [Option<TunnelEnd>; 3] {
    let host = TunnelAddress::Host("db".to_owned(), 6000);
    let socket = TunnelAddress::Socket("/run/pg.sock".into());
    let to = |address| TunnelEnd {
        address,
        local_port: Some(LOCAL_PORT),
    };
    [Some(to(host)), Some(to(socket)), None]
}

#[test]
fn through_a_tunnel_its_end_stands_for_what_is_left_out_and_for_its_local_port() {
    for (string, expected) in TABLE {
        for (end, expected) in ends().into_iter().zip(expected) {
            let string = format!("dbname=d {string}");
            let entries = [
                ("connectionString", text(&string)),
                ("tunnel", tunnel_to(end)),
            ];
            let config = read(&entries, &[("USER", "os")]).unwrap();
            assert_eq!(config.name(), format!("{expected}/d"), "{string}");
            assert_eq!(config.encryption.mode, SslMode::Prefer);
        }
    }
}

#[test]
fn no_tunnel_is_said_by_false() {
    let direct = [("tunnel", PlainValue::Bool(false)), ("user", text("me"))];
    assert_eq!(read(&direct, &[]).unwrap().dial.tunnel, None);
}
