//! TLS by options, parameters and defaults.

use moorline_core::options::PlainValue;
use moorline_net::dial::{NameCheck, PemSource};

use super::{Entries, map, message, of, read, text, tunnel};
use crate::postgres::config::SslMode;

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
}

#[test]
fn an_ssl_that_means_nothing_or_two_things_is_refused() {
    let flag = PlainValue::Bool;
    let object = |entries: Entries<'_>| map(entries);
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
