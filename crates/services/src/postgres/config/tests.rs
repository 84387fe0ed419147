use std::time::Duration;

use moorline_core::{
    limit::Limit,
    options::{NativeObject, OptionError, PlainValue, Read},
    secret::Secret,
};
use moorline_net::dial::{NameCheck, PemSource, Shared, Target, Tunnel, TunnelFuture};

use super::{ChannelBinding, Config, PasswordOrigin, SessionTarget, SslMode};

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

struct AnyTunnel;

impl Tunnel for AnyTunnel {
    fn open<'a>(&'a self, _: &'a Target) -> TunnelFuture<'a> {
        Box::pin(std::future::pending())
    }
}

fn tunnel() -> PlainValue {
    let shared: Shared<dyn Tunnel> = Shared(std::sync::Arc::new(AnyTunnel));
    PlainValue::Native(NativeObject::new(shared))
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
fn an_option_comes_before_the_string_that_before_a_variable() {
    // The option, the parameter, the variable, and how the value is read again.
    type Shown = fn(&Config) -> String;
    let host: Shown = |config| config.servers[0].host();
    let table: [(&str, &str, &str, [&str; 3], Shown); 12] = [
        ("host", "host", "PGHOST", ["a", "b", "c"], host),
        ("port", "port", "PGPORT", ["1", "2", "3"], |c| {
            c.servers[0].port().to_string()
        }),
        (
            "hostaddr",
            "hostaddr",
            "PGHOSTADDR",
            ["127.0.0.1", "127.0.0.2", "::1"],
            |c| c.servers[0].numeric.clone().unwrap_or_default(),
        ),
        ("user", "user", "PGUSER", ["a", "b", "c"], |c| {
            c.user.clone()
        }),
        ("database", "dbname", "PGDATABASE", ["a", "b", "c"], |c| {
            c.database.clone()
        }),
        (
            "password",
            "password",
            "PGPASSWORD",
            ["a", "b", "c"],
            |c| match &c.password {
                PasswordOrigin::Given(secret) => {
                    secret.expose_text().unwrap_or_default().to_owned()
                }
                other => format!("{other:?}"),
            },
        ),
        (
            "passfile",
            "passfile",
            "PGPASSFILE",
            ["a", "b", "c"],
            |c| match &c.password {
                PasswordOrigin::File(path) => path.display().to_string(),
                other => format!("{other:?}"),
            },
        ),
        (
            "applicationName",
            "application_name",
            "PGAPPNAME",
            ["a", "b", "c"],
            |c| c.application_name.clone(),
        ),
        (
            "options",
            "options",
            "PGOPTIONS",
            ["-ca=1", "-cb=2", "-cc=3"],
            |c| c.options.clone().unwrap_or_default(),
        ),
        (
            "sslmode",
            "sslmode",
            "PGSSLMODE",
            ["disable", "require", "verify-ca"],
            |c| c.encryption.mode.as_str().to_owned(),
        ),
        (
            "targetSessionAttrs",
            "target_session_attrs",
            "PGTARGETSESSIONATTRS",
            ["read-write", "standby", "primary"],
            |c| {
                let names = SessionTarget::NAMES.iter();
                let mut names = names.filter(|(_, target)| *target == c.session_target);
                names
                    .next()
                    .map(|(name, _)| (*name).to_owned())
                    .unwrap_or_default()
            },
        ),
        (
            "channelBinding",
            "channel_binding",
            "PGCHANNELBINDING",
            ["disable", "require", "prefer"],
            |c| format!("{:?}", c.encryption.channel_binding).to_lowercase(),
        ),
    ];
    for (option, parameter, variable, [first, second, third], shown) in table {
        let given = |entries: Entries<'_>, variables: &[(&str, &str)]| {
            shown(&read(entries, &[variables, &[("USER", "os")]].concat()).unwrap())
        };
        let string = ("connectionString", text(&format!("{parameter}='{second}'")));
        let own = (option, text(first));
        assert_eq!(
            given(&[own, string.clone()], &[(variable, third)]),
            first,
            "{option}"
        );
        assert_eq!(
            given(&[string], &[(variable, third)]),
            second,
            "{parameter}"
        );
        assert_eq!(given(&[], &[(variable, third)]), third, "{variable}");
        // A variable that is empty is none; a parameter that is empty is the default.
        let by_default = given(&[], &[]);
        assert_eq!(given(&[], &[(variable, "")]), by_default);
        if option != "hostaddr" {
            let empty = ("connectionString", text(&format!("{parameter}=''")));
            if !matches!(option, "user" | "password" | "passfile") {
                assert_eq!(
                    given(&[empty], &[(variable, third)]),
                    by_default,
                    "{parameter}"
                );
            }
        }
    }
}

#[test]
fn the_user_is_the_systems_where_nothing_names_another() {
    let user = |variables: &[(&str, &str)]| read(&[], variables).map(|config| config.user);
    assert_eq!(user(&[("USER", "a"), ("USERNAME", "b")]).unwrap(), "a");
    assert_eq!(user(&[("USERNAME", "b")]).unwrap(), "b");
    assert_eq!(user(&[("USER", "a"), ("PGUSER", "c")]).unwrap(), "c");
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

#[test]
fn certificates_are_checked_wherever_somebody_could_be_between() {
    let mode = |entries: Entries<'_>| {
        let all = [entries, &[("user", text("me"))]].concat();
        read(&all, &[]).unwrap().encryption.mode
    };
    for (host, expected) in [
        ("localhost", SslMode::Prefer),
        ("LOCALHOST.", SslMode::Prefer),
        ("a.localhost", SslMode::Prefer),
        ("127.0.0.9", SslMode::Prefer),
        ("::1", SslMode::Prefer),
        ("::ffff:127.0.0.1", SslMode::Prefer),
        ("/tmp", SslMode::Prefer),
        ("/tmp,localhost", SslMode::Prefer),
        ("db.test", SslMode::VerifyFull),
        ("10.0.0.1", SslMode::VerifyFull),
        ("localhost,db.test", SslMode::VerifyFull),
        ("notlocalhost", SslMode::VerifyFull),
    ] {
        assert_eq!(mode(&[("host", text(host))]), expected, "{host}");
    }
    let named = ("host", text("localhost"));
    assert_eq!(
        mode(&[named, ("hostaddr", text("10.0.0.1"))]),
        SslMode::VerifyFull
    );
    let remote = ("host", text("db.test"));
    assert_eq!(mode(&[remote, ("tunnel", tunnel())]), SslMode::Prefer);
    let socket = [
        ("host", text("/tmp")),
        ("tunnel", tunnel()),
        ("user", text("me")),
    ];
    assert!(message(read(&socket, &[])).starts_with("options.host cannot be a socket's"));
}

#[test]
fn ssl_is_read_as_pg_has_it() {
    let flag = PlainValue::Bool;
    let object = |entries: Entries<'_>| map(entries);
    let table = [
        (flag(true), SslMode::VerifyFull),
        (flag(false), SslMode::Disable),
        (text("require"), SslMode::Require),
        (text("verify-ca"), SslMode::VerifyCa),
        (object(&[]), SslMode::VerifyFull),
        (
            object(&[("rejectUnauthorized", flag(false))]),
            SslMode::Require,
        ),
        (object(&[("ca", text("ca.pem"))]), SslMode::VerifyFull),
        (
            object(&[("ca", text("ca.pem")), ("rejectUnauthorized", flag(false))]),
            SslMode::Require,
        ),
        (
            object(&[("servername", text("db.test"))]),
            SslMode::VerifyFull,
        ),
    ];
    for (ssl, expected) in table {
        let config = read(
            &[("user", text("me")), ("ssl", ssl.clone())],
            &[("PGSSLMODE", "prefer")],
        );
        let config = config.unwrap();
        assert_eq!(config.encryption.mode, expected, "{ssl:?}");
        assert_eq!(
            config.dial.tls.reject_unauthorized,
            expected >= SslMode::VerifyCa
        );
        let is_named = config.dial.tls.name_check != NameCheck::Off;
        assert_eq!(is_named, expected == SslMode::VerifyFull);
    }
    let with = |ssl: PlainValue, sslmode: &str| {
        read(
            &[
                ("user", text("me")),
                ("ssl", ssl),
                ("sslmode", text(sslmode)),
            ],
            &[],
        )
    };
    let pinned = with(object(&[("ca", text("ca.pem"))]), "verify-ca").unwrap();
    assert_eq!(pinned.encryption.mode, SslMode::VerifyCa);
    let contradiction = with(
        object(&[("rejectUnauthorized", flag(false))]),
        "verify-full",
    );
    assert!(message(contradiction).starts_with("options.ssl.rejectUnauthorized cannot"));
    for (ssl, reason) in [
        (
            text("hunter2"),
            "options.ssl must be a boolean, an object or 'disable'",
        ),
        (PlainValue::Number(1.0), "options.ssl must be a boolean"),
        (
            object(&[("cert", text("c.pem"))]),
            "options.ssl.key is required",
        ),
        (
            object(&[("checkServerIdentity", flag(true))]),
            "options.ssl.checkServerIdentity is not",
        ),
    ] {
        let wrong = message(read(&[("user", text("me")), ("ssl", ssl)], &[]));
        assert!(wrong.starts_with(reason), "{wrong}");
    }
}

#[test]
fn modes_mean_what_libpq_means_by_them() {
    let table = [
        ("sslmode=disable", SslMode::Disable),
        ("sslmode=prefer", SslMode::Prefer),
        ("sslmode=require", SslMode::Require),
        // Who gives an authority wants it to be asked.
        ("sslmode=require sslrootcert=ca.pem", SslMode::VerifyCa),
        ("sslmode=prefer sslrootcert=ca.pem", SslMode::Prefer),
        ("sslmode=verify-ca", SslMode::VerifyCa),
        ("sslmode=verify-full", SslMode::VerifyFull),
        ("host=localhost sslrootcert=system", SslMode::VerifyFull),
        ("host=localhost sslnegotiation=direct", SslMode::Require),
        ("postgres://h?ssl=true", SslMode::Require),
    ];
    for (string, expected) in table {
        assert_eq!(of(string).unwrap().encryption.mode, expected, "{string}");
    }
    let tls =
        of("host=h sslmode=verify-full sslrootcert=ca.pem sslcert=c.pem sslkey=k.pem").unwrap();
    let file = |path: &str| PemSource::File(path.into());
    for (string, is_checked) in [
        ("host=localhost", false),
        ("host=localhost sslrootcert=ca.pem", true),
        ("sslmode=require", false),
    ] {
        assert_eq!(
            of(string).unwrap().dial.tls.reject_unauthorized,
            is_checked,
            "{string}"
        );
    }
    assert_eq!(tls.dial.tls.ca, [file("ca.pem")]);
    assert_eq!(tls.dial.tls.identity, Some((file("c.pem"), file("k.pem"))));
    for (string, reason) in [
        (
            "sslmode=allow",
            "options.connectionString.sslmode must be 'disable' or 'prefer'",
        ),
        (
            "sslmode=prefer sslnegotiation=direct",
            "options.connectionString.sslnegotiation cannot",
        ),
        (
            "sslmode=require sslrootcert=system",
            "options.connectionString.sslrootcert cannot",
        ),
        ("sslcert=c.pem", "options.sslkey is required"),
        ("sslkey=k.pem", "options.sslcert is required"),
    ] {
        let wrong = message(of(string));
        assert!(wrong.starts_with(reason), "{string}: {wrong}");
    }
}

#[test]
fn a_parameter_that_means_nothing_here_is_refused_by_name() {
    for (string, reason) in [
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
    ] {
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
