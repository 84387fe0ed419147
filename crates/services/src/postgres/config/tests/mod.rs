//! What options, strings and variables give.

mod encryption;
mod precedence;
mod tunnel_end;

use std::time::Duration;

use moorline_core::{
    limit::Limit,
    options::{NativeObject, OptionError, PlainValue, Read},
    secret::Secret,
};
use moorline_net::dial::{Shared, Target, Tunnel, TunnelEnd, TunnelFuture};

use super::{ChannelBinding, Config, PasswordOrigin, SessionTarget};

type Entries<'a> = &'a [(&'a str, PlainValue)];

fn text(text: &str) -> PlainValue {
    PlainValue::Text(text.to_owned())
}

fn map(entries: Entries<'_>) -> PlainValue {
    let entries = entries.iter();
    PlainValue::Map(
        entries
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

fn read(entries: Entries<'_>, variables: &[(&str, &str)]) -> Read<Config> {
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, text(value)))
        .collect();
    Config::read(&map(entries), &map(&variables))
}

/// What a connection string alone gives.
fn of(string: &str) -> Read<Config> {
    read(&[("connectionString", text(string))], &[("USER", "os")])
}

fn message<T>(read: Read<T>) -> String {
    read.err()
        .map(|OptionError { message, .. }| message)
        .unwrap_or_default()
}

struct AnyTunnel(Option<TunnelEnd>);

impl Tunnel for AnyTunnel {
    fn open<'a>(&'a self, _: &'a Target) -> TunnelFuture<'a> {
        Box::pin(std::future::pending())
    }
    fn end(&self) -> Option<TunnelEnd> {
        self.0.clone()
    }
}

fn tunnel_to(end: Option<TunnelEnd>) -> PlainValue {
    let shared: Shared<dyn Tunnel> = Shared(std::sync::Arc::new(AnyTunnel(end)));
    PlainValue::Native(NativeObject::new(shared))
}

fn tunnel() -> PlainValue {
    tunnel_to(None)
}

#[test]
fn nothing_but_a_user_is_the_defaults() {
    let config = read(&[("user", text("me"))], &[]).unwrap();
    assert_eq!(config.name(), "localhost:5432/me");
    assert_eq!(config.application_name, "moorline");
    assert_eq!(config.password, PasswordOrigin::None);
    assert_eq!(config.session_target, SessionTarget::Any);
    assert_eq!(config.encryption.channel_binding, ChannelBinding::Prefer);
    assert_eq!(config.query_timeout, Limit::At(Duration::from_secs(30)));
    assert_eq!(config.pool.connect_timeout, Duration::from_secs(2));
    assert!(!config.is_shuffled && !config.allows_plain_password && !config.encryption.is_direct);
    assert!(message(read(&[], &[])).starts_with("options.user must be a string"));
}

#[test]
fn several_servers_stand_side_by_side() {
    let table = [
        ("postgres://h1,h2:6,[::1]:7/d", "h1:5432,h2:6,[::1]:7/d"),
        ("host=h1,h2 port=7 dbname=d", "h1:7,h2:7/d"),
        (
            "host=h1,,/tmp dbname=d",
            "h1:5432,localhost:5432,/tmp:5432/d",
        ),
        (
            "host=/var/run/postgresql port=5433",
            "/var/run/postgresql:5433/os",
        ),
        ("postgres://%2Ftmp:7/d", "/tmp:7/d"),
        ("postgres:///d?host=/tmp", "/tmp:5432/d"),
        (
            "hostaddr=127.0.0.1,::1 dbname=d",
            "127.0.0.1:5432,[::1]:5432/d",
        ),
        ("host=a hostaddr=127.0.0.1 dbname=d", "a:5432/d"),
    ];
    for (string, name) in table {
        assert_eq!(of(string).unwrap().name(), name, "{string}");
    }
    for (string, path) in [
        (
            "host=a,b port=1,2,3",
            "options.connectionString.port must be one",
        ),
        (
            "host=a,b hostaddr=127.0.0.1",
            "options.connectionString.hostaddr must be as many",
        ),
        (
            "hostaddr=a",
            "options.connectionString.hostaddr must be IP addresses",
        ),
        ("port=0", "options.connectionString.port must be a port"),
        ("port=65536", "options.connectionString.port must be a port"),
        (
            "host='a@b'",
            "options.connectionString.host must be host names",
        ),
    ] {
        assert!(
            message(of(string)).starts_with(path),
            "{string}: {}",
            message(of(string))
        );
    }
    let many = vec!["h"; 101].join(",");
    assert!(of(&format!("host={many}")).is_err());
    let shuffled = of("host=a,b load_balance_hosts=random").unwrap();
    assert!(shuffled.is_shuffled);
}

/// Parameters, and the beginnings of the reasons.
const REFUSED: [(&str, &str); 11] = [
    (
        "service=prod",
        "options.connectionString.service is not supported: there are no services",
    ),
    (
        "sslcrl=x",
        "options.connectionString.sslcrl is not supported",
    ),
    (
        "sslpassword=hunter2",
        "options.connectionString.sslpassword is not supported",
    ),
    (
        "gssencmode=require",
        "options.connectionString.gssencmode is not supported but as disable",
    ),
    (
        "client_encoding=LATIN1",
        "options.connectionString.client_encoding is not supported but",
    ),
    (
        "requirepeer=me",
        "options.connectionString.requirepeer is not supported",
    ),
    (
        "replication=true",
        "options.connectionString.replication is not supported",
    ),
    (
        "postgres://h?schema=public",
        "options.connectionString.schema is not a known option",
    ),
    (
        "postgres://h?sslmod=x",
        "options.connectionString.sslmod is not a known option; did you mean 'sslmode'",
    ),
    (
        "keepalives=yes",
        "options.connectionString.keepalives must be a whole number",
    ),
    (
        "connect_timeout=soon",
        "options.connectionString.connect_timeout must be a whole number",
    ),
];

#[test]
fn a_parameter_that_means_nothing_here_is_refused_by_name() {
    for (string, reason) in REFUSED {
        let wrong = message(of(string));
        assert!(wrong.starts_with(reason), "{string}: {wrong}");
        assert!(!wrong.contains("hunter2"));
    }
    let wrong = message(read(&[("user", text("me"))], &[("PGSERVICE", "prod")]));
    assert!(wrong.starts_with("PGSERVICE is not supported"), "{wrong}");
    let wrong = message(read(&[("user", text("me"))], &[("PGSSLMODE", "hunter2")]));
    assert!(wrong.starts_with("PGSSLMODE must be 'disable'"), "{wrong}");
    for fine in [
        "keepalives=1 keepalives_idle=10 keepalives_interval=2 keepalives_count=3 tcp_user_timeout=0",
        "client_encoding=utf8 gssencmode=prefer sslsni=1 sslcompression=0",
        "client_encoding=auto",
    ] {
        of(fine).unwrap();
    }
}

#[test]
fn a_time_limit_in_seconds_is_that_of_the_wait() {
    let limit = |string: &str| of(string).unwrap().pool.connect_timeout;
    assert_eq!(limit("connect_timeout=7"), Duration::from_secs(7));
    for none in ["connect_timeout=0", "connect_timeout=-1"] {
        assert_eq!(of(none).unwrap().pool.ledger.acquire_timeout, Limit::Off);
        // Connecting itself always ends.
        assert_eq!(limit(none), Duration::from_secs(10));
    }
    assert_eq!(limit("connect_timeout=''"), Duration::from_secs(2));
    let both = [
        ("connectionString", text("user=me connect_timeout=7")),
        ("connectionTimeoutMillis", PlainValue::Number(500.0)),
    ];
    assert_eq!(
        read(&both, &[]).unwrap().pool.connect_timeout,
        Duration::from_millis(500)
    );
    assert_eq!(
        of("fallback_application_name=a").unwrap().application_name,
        "a"
    );
    let named = read(
        &[(
            "connectionString",
            text("user=me fallback_application_name=a"),
        )],
        &[("PGAPPNAME", "b")],
    );
    assert_eq!(named.unwrap().application_name, "b");
}

#[test]
fn a_password_is_given_asked_for_or_in_a_file() {
    let home = if cfg!(windows) { "APPDATA" } else { "HOME" };
    let origin = |entries: Entries<'_>, string: &str| {
        let all = [entries, &[("connectionString", text(string))]].concat();
        read(&all, &[("USER", "os"), (home, "/home/os")])
            .unwrap()
            .password
    };
    let given = |bytes: &[u8]| PasswordOrigin::Given(Secret::new(bytes));
    assert_eq!(origin(&[("password", text("pw"))], ""), given(b"pw"));
    assert_eq!(
        origin(&[("password", PlainValue::Bytes(vec![0xff]))], ""),
        given(b"\xff")
    );
    assert_eq!(origin(&[], "postgres://u:%ff@h"), given(b"\xff"));
    assert_eq!(
        origin(
            &[("password", PlainValue::Other("a function"))],
            "password=pw"
        ),
        PasswordOrigin::Function
    );
    assert_eq!(
        origin(&[], "passfile=/x"),
        PasswordOrigin::File("/x".into())
    );
    let PasswordOrigin::File(default) = origin(&[], "") else {
        panic!("a file");
    };
    assert!(default.starts_with("/home/os"));
    let wrong = [("user", text("me")), ("password", PlainValue::Number(1.0))];
    assert!(message(read(&wrong, &[])).starts_with("options.password must be a string, bytes or"));
}

#[test]
fn an_option_that_is_not_known_is_refused() {
    let wrong = message(read(&[("user", text("me")), ("hots", text("h"))], &[]));
    assert_eq!(
        wrong,
        "options.hots is not a known option; did you mean 'host'?"
    );
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "hunter2";

    proptest! {
        #[test]
        fn no_error_shows_a_password(
            before in "[a-z:@/?&=%' ]{0,6}", after in "[a-z:@/?&=%' ]{0,6}", tail in "[a-z:@/?&=,0-9\\[]{0,20}",
        ) {
            let string = format!("postgres://me:{before}{SECRET}{after}@{tail}");
            prop_assert!(!message(of(&string)).contains(SECRET), "{}", string);
            let string = format!("host=a password={before}{SECRET}{after} {tail}");
            prop_assert!(!message(of(&string)).contains(SECRET), "{}", string);
        }

        #[test]
        fn any_string_is_read_or_refused(string in any::<String>()) {
            let _ = of(&string);
        }
    }
}
