//! The options of a libSQL pool: normalized or refused.

use std::time::Duration;

use moorline_core::{
    limit::Limit,
    options::{PlainValue, Read},
};
use moorline_services::libsql::{
    config::{Config, OptionStyle},
    result::IntMode,
    target::Target,
};

fn read(url: &str, more: &[(&str, PlainValue)]) -> Read<Config> {
    let mut entries = vec![("url".to_owned(), PlainValue::Text(url.to_owned()))];
    entries.extend(
        more.iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone())),
    );
    Config::read(&PlainValue::Map(entries), OptionStyle::Pool, false)
}

fn target_of(url: &str) -> String {
    match read(url, &[]).unwrap().target {
        Target::Remote(target) => target.base.to_string(),
        Target::Local(target) => target.path,
    }
}

#[test]
fn urls_name_files_and_servers() {
    assert_eq!(target_of("file:local.db"), "local.db");
    assert_eq!(target_of("file:///a/b%20c.db"), "/a/b c.db");
    assert_eq!(target_of("file://localhost/a.db"), "/a.db");
    assert_eq!(target_of("libsql://db.turso.io"), "https://db.turso.io/");
    assert_eq!(
        target_of("libsql://127.0.0.1:8080?tls=0"),
        "http://127.0.0.1:8080/"
    );
    assert_eq!(target_of("ws://127.0.0.1:8080"), "http://127.0.0.1:8080/");
    assert_ne!(
        target_of(":memory:"),
        target_of(":memory:"),
        "each pool has its own memory"
    );
}

#[test]
fn the_query_options_of_a_server_do_not_apply_to_a_file() {
    assert_eq!(target_of("file:a.db?tls=0&authToken=secret"), "a.db");
    for memory in [
        "file::memory:?cache=shared",
        ":memory:?cache=shared",
        ":memory:?tls=1",
        "FILE::memory:",
        "file::memory:?cache=private",
    ] {
        assert!(target_of(memory).ends_with("?vfs=memdb"), "{memory}");
    }
}

#[test]
fn a_path_is_not_read_as_a_uri_by_the_engine() {
    assert_eq!(
        target_of("file:file%3A/tmp/x.db%3Fmode%3Drwc"),
        "./file:/tmp/x.db?mode=rwc"
    );
    assert_eq!(target_of("file:%3Amemory%3A"), "./:memory:");
}

#[test]
fn the_name_of_a_database_in_memory_cannot_be_guessed() {
    let name = target_of(":memory:");
    let digits = name
        .trim_start_matches("file:/moorline-")
        .trim_end_matches("?vfs=memdb");
    assert_eq!(digits.len(), 32, "{name}");
    assert!(digits.chars().all(|digit| digit.is_ascii_hexdigit()));
}

#[test]
fn each_invalid_url_has_its_code_and_reason() {
    for (url, code, part) in [
        ("local.db", "URL_INVALID", "no scheme"),
        ("mysql://h/d", "URL_SCHEME_NOT_SUPPORTED", "\"mysql:\""),
        ("file:a.db?mode=ro", "URL_PARAM_NOT_SUPPORTED", "\"mode\""),
        ("file:a.db?tls=no", "URL_INVALID", "\"tls\""),
        ("file:a.db#b", "URL_INVALID", "fragment"),
        ("file:a%zz", "URL_INVALID", "%-escape"),
        (":memory:?cache=own", "URL_INVALID", "\"cache\""),
        ("file:a.db?hunter2", "URL_PARAM_NOT_SUPPORTED", "parameter"),
        ("file://other/a.db", "URL_INVALID", "a remote host"),
        ("file:", "URL_INVALID", "no file"),
        ("libsql://h?tls=0", "URL_INVALID", "needs a port"),
        ("http://h?x=1", "URL_PARAM_NOT_SUPPORTED", "\"x\""),
        ("http://h?hunter2", "URL_PARAM_NOT_SUPPORTED", "parameter"),
        ("http://me:hunter2@h", "URL_INVALID", "user name"),
        ("libsql://me@h", "URL_INVALID", "user name"),
        ("https:me:hunter2@h", "URL_INVALID", "no host"),
        ("https:\\\\me:hunter2@h", "URL_INVALID", "no host"),
        ("https:///hunter2", "URL_INVALID", "no host"),
        ("https://h\\\\hunter2", "URL_INVALID", "host"),
        ("https://h\nunter2", "URL_INVALID", "host"),
        ("http://me:hunter2/x@h", "URL_INVALID", "not a URL"),
        ("http://h#hunter2", "URL_INVALID", "fragment"),
    ] {
        let error = read(url, &[]).err().unwrap();
        assert_eq!(error.code(), code, "{url}");
        assert!(error.message.contains(part), "{url}: {}", error.message);
        assert!(!error.message.contains("hunter2"), "{}", error.message);
    }
}

#[test]
fn a_token_in_the_url_of_a_file_is_not_shown() {
    let config = read("file:a.db?authToken=hunter2", &[]).unwrap();
    assert_eq!(config.shown_url, "file:a.db");
}

#[test]
fn an_unsupported_option_is_refused_by_name() {
    for key in ["syncUrl", "encryptionKey", "fetch"] {
        let error = read("file:a.db", &[(key, PlainValue::Text("x".into()))])
            .err()
            .unwrap();
        assert!(
            error
                .message
                .starts_with(&format!("options.{key} is not supported"))
        );
    }
}

#[test]
fn the_specified_defaults_hold() {
    let config = read("file:a.db", &[]).unwrap();
    assert_eq!(config.pool.ledger.max, 5);
    assert_eq!(
        config.pool.ledger.acquire_timeout,
        Limit::At(Duration::from_secs(10))
    );
    assert_eq!(
        config.pool.ledger.idle_timeout,
        Limit::At(Duration::from_mins(5))
    );
    assert_eq!(config.query_timeout, Limit::At(Duration::from_secs(30)));
    assert_eq!(config.int_mode, IntMode::Number);
}

#[test]
fn a_token_from_a_file_loses_its_line_break_and_one_that_no_header_can_carry_is_refused() {
    let token = |url: &str, given: &str| {
        let given = [("authToken", PlainValue::Text(given.to_owned()))];
        read(url, &given).map(|config| match config.target {
            Target::Remote(target) => target.auth_token.map(|token| token.expose().to_owned()),
            Target::Local(_) => None,
        })
    };
    for given in ["abc", "abc\n", "\tabc \r\n"] {
        assert_eq!(token("http://h", given).unwrap(), Some(b"abc".to_vec()));
    }
    for given in ["", "\n", "  "] {
        assert_eq!(token("http://h", given).unwrap(), None);
    }
    let from_url = token("http://h?authToken=abc%0A", "").unwrap();
    assert_eq!(from_url, Some(b"abc".to_vec()));
    for (url, given, path) in [
        ("http://h", "hunter2\nx", "options.authToken must"),
        ("http://h", "hunter2é", "options.authToken must"),
        (
            "http://h?authToken=hunter2%00",
            "",
            "options.url has an \"authToken\"",
        ),
    ] {
        let error = token(url, given).unwrap_err();
        assert!(error.message.starts_with(path), "{}", error.message);
        assert!(!error.message.contains("hunter2"), "{}", error.message);
    }
}

#[test]
fn a_token_in_the_url_is_not_shown() {
    let config = read("https://db.example.com/?authToken=secret", &[]).unwrap();
    assert_eq!(config.shown_url, "https://db.example.com/");
    for url in [":memory:", "file:local.db"] {
        assert_eq!(read(url, &[]).unwrap().shown_url, url);
    }
}

#[test]
fn the_options_of_the_libsql_client_keep_their_names() {
    let client = |concurrency: f64| {
        let entries = vec![
            ("url".to_owned(), PlainValue::Text(":memory:".into())),
            ("concurrency".to_owned(), PlainValue::Number(concurrency)),
            ("timeout".to_owned(), PlainValue::Number(100.0)),
        ];
        Config::read(&PlainValue::Map(entries), OptionStyle::Client, true).unwrap()
    };
    assert_eq!(client(7.0).pool.ledger.max, 7);
    assert_eq!(client(0.0).pool.ledger.max, 10_000, "0 is no limit");
}
