//! What comes before what.

use moorline_core::options::PlainValue;
use moorline_net::dial::{PemSource, TlsVersion};

use super::{Entries, read, text};
use crate::postgres::config::{Config, PasswordOrigin, SessionTarget};

/// How a value is read again.
type Shown = fn(&Config) -> String;

/// An option, its parameter, its variable, and three values.
const TABLE: [(&str, &str, &str, [&str; 3], Shown); 16] = [
    ("host", "host", "PGHOST", ["a", "b", "c"], |config| {
        config.servers[0].host()
    }),
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
            PasswordOrigin::Given(secret) => secret.expose_text().unwrap_or_default().to_owned(),
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
    (
        "sslnegotiation",
        "sslnegotiation",
        "PGSSLNEGOTIATION",
        ["direct", "postgres", "direct"],
        |c| {
            if c.encryption.is_direct {
                "direct"
            } else {
                "postgres"
            }
            .to_owned()
        },
    ),
    (
        "sslMinProtocolVersion",
        "ssl_min_protocol_version",
        "PGSSLMINPROTOCOLVERSION",
        ["TLSv1.3", "TLSv1.2", "TLSv1.3"],
        |c| {
            match c.dial.tls.min_version {
                TlsVersion::V1_2 => "TLSv1.2",
                TlsVersion::V1_3 => "TLSv1.3",
            }
            .to_owned()
        },
    ),
    (
        "loadBalanceHosts",
        "load_balance_hosts",
        "PGLOADBALANCEHOSTS",
        ["random", "disable", "random"],
        |c| if c.is_shuffled { "random" } else { "disable" }.to_owned(),
    ),
    (
        "sslrootcert",
        "sslrootcert",
        "PGSSLROOTCERT",
        ["/a", "/b", "/c"],
        |c| match c.dial.tls.ca.as_slice() {
            [PemSource::File(path)] => path.display().to_string(),
            _ => String::new(),
        },
    ),
];

type Number = (
    &'static str,
    &'static str,
    [&'static str; 2],
    [f64; 2],
    Shown,
);

/// Those without a variable, as numbers: an option, its parameter, two values of it, and what they are as an option.
const NUMBERS: [Number; 5] = [
    (
        "connectionTimeoutMillis",
        "connect_timeout",
        ["1", "2"],
        [1_000.0, 2_000.0],
        |c| format!("{:?}", c.pool.connect_timeout),
    ),
    (
        "keepAliveInitialDelayMillis",
        "keepalives_idle",
        ["1", "2"],
        [1_000.0, 2_000.0],
        |c| format!("{:?}", c.dial.keep_alive.idle),
    ),
    (
        "keepAliveIntervalMs",
        "keepalives_interval",
        ["1", "2"],
        [1_000.0, 2_000.0],
        |c| format!("{:?}", c.dial.keep_alive.interval),
    ),
    (
        "keepAliveCount",
        "keepalives_count",
        ["1", "2"],
        [1.0, 2.0],
        |c| format!("{:?}", c.dial.keep_alive.count),
    ),
    (
        "tcpUserTimeoutMs",
        "tcp_user_timeout",
        ["1", "2"],
        [1.0, 2.0],
        |c| format!("{:?}", c.dial.keep_alive.user_timeout),
    ),
];

#[test]
fn a_number_comes_from_an_option_or_from_the_string() {
    for (option, parameter, texts, numbers, shown) in NUMBERS {
        let given = |entries: Entries<'_>| shown(&read(entries, &[("USER", "os")]).unwrap());
        let string = |text: &str| {
            (
                "connectionString",
                PlainValue::Text(format!("{parameter}={text}")),
            )
        };
        let own = |number| (option, PlainValue::Number(number));
        for (text, number) in texts.iter().zip(numbers) {
            assert_eq!(given(&[string(text)]), given(&[own(number)]), "{parameter}");
        }
        let both = given(&[own(numbers[0]), string(texts[1])]);
        assert_eq!(both, given(&[own(numbers[0])]), "{option}");
        assert_ne!(both, given(&[own(numbers[1])]), "{option}");
        assert_ne!(both, given(&[]), "{option}");
        assert_eq!(
            given(&[string("0")]),
            given(&[own(f64::INFINITY)]),
            "{parameter}"
        );
    }
    let is_on = |entries: Entries<'_>| {
        let config = read(entries, &[("USER", "os")]).unwrap();
        config.dial.keep_alive.is_on
    };
    let off = [("connectionString", text("keepalives=0"))];
    assert!(is_on(&[]) && !is_on(&off));
    assert!(is_on(&[
        off[0].clone(),
        ("keepAlive", PlainValue::Bool(true))
    ]));
}

#[test]
fn an_option_comes_before_the_string_that_before_a_variable() {
    for (option, parameter, variable, [first, second, third], shown) in TABLE {
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
