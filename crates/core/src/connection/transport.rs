//! Options that only one kind of transport has.
//!
//! An option that is not given is the transport's to decide, so that only its range is known here.

use std::ops::RangeInclusive;

use crate::{
    limit::Limit,
    options::{OptionError, Options, Read},
};

/// The largest number of bytes that JavaScript can count.
const ANY_BYTES: u64 = (1 << 53) - 1;
/// More in one event, or one message, is a mistake in the option.
const EVENT_BYTES: u64 = 1 << 30;
const MESSAGE_BYTES: u64 = (1 << 31) - 1;

/// The types of connections that read their own options.
const TRANSPORTS: [&str; 3] = ["http", "sse", "websocket"];

enum Accepts {
    /// A number of bytes, or `Infinity`.
    Limit(RangeInclusive<u64>),
    Number(RangeInclusive<u64>),
    /// Milliseconds, or `Infinity`.
    Time,
}

/// Each option, the type of connection that has it, and what it accepts.
const OPTIONS: [(&str, &str, Accepts); 7] = [
    ("headersTimeoutMs", "http", Accepts::Time),
    ("bodyTimeoutMs", "http", Accepts::Time),
    ("maxRedirects", "http", Accepts::Number(0..=20)),
    ("maxResponseBytes", "http", Accepts::Limit(0..=ANY_BYTES)),
    (
        "maxDecompressedBytes",
        "http",
        Accepts::Limit(0..=ANY_BYTES),
    ),
    ("maxEventBytes", "sse", Accepts::Number(1..=EVENT_BYTES)),
    (
        "maxMessageBytes",
        "websocket",
        Accepts::Number(1..=MESSAGE_BYTES),
    ),
];

/// Refuses what such a transport would not take, and what another kind of connection has.
pub(super) fn check_transport(options: &Options<'_>, kind: Option<&str>) -> Read<()> {
    for (key, owner, accepts) in OPTIONS {
        if options.value(key).is_none() {
            continue;
        }
        match accepts {
            Accepts::Limit(range) => options.integer_limit(key, Limit::Off, range).map(drop),
            Accepts::Number(range) => options.integer(key, 0, range).map(drop),
            Accepts::Time => options.ms_limit(key, Limit::Off, 1.0).map(drop),
        }?;
        let others = kind.filter(|kind| TRANSPORTS.contains(kind));
        if others.is_some_and(|kind| kind != owner) {
            let reason = format!("belongs to connections of type '{owner}'");
            return Err(OptionError::bad_value(&options.path_of(key), reason));
        }
    }
    Ok(())
}

/// The keys read from `customOptions`: the type of connection that reads it, the key, and its path.
const CUSTOM: [(&str, &str, &str); 4] = [
    ("protocols", "websocket", "customOptions.protocols"),
    ("parse", "websocket", "customOptions.parse"),
    ("cursor", "sse", "customOptions.cursor"),
    ("lastEventId", "sse", "customOptions.lastEventId"),
];

/// Whether a connection of this kind, or of any, may have what the transport `owner` reads.
fn may_have(kind: Option<&str>, owner: &str) -> bool {
    kind.is_none_or(|kind| kind == owner || !TRANSPORTS.contains(&kind))
}

/// The paths of what such a connection reads from `customOptions`.
pub(super) fn custom_paths(kind: Option<&str>) -> impl Iterator<Item = &'static str> {
    let custom = CUSTOM.iter();
    custom
        .filter(move |(_, owner, _)| may_have(kind, owner))
        .map(|(.., path)| *path)
}

/// Refuses at the top what another kind of connection has in its `customOptions`.
pub(super) fn check_misplaced(options: &Options<'_>, kind: Option<&str>) -> Read<()> {
    for (key, owner, _) in CUSTOM {
        if !may_have(kind, owner) && options.given(key).is_some() {
            return Err(of_another_kind(&options.path_of(key), owner));
        }
    }
    Ok(())
}

/// Refuses keys of the `customOptions` of a transport that it does not read; `outer` are those beside `customOptions`.
pub fn check_custom(keys: &[String], kind: &str, outer: &[String]) -> Read<()> {
    let own = CUSTOM.iter().filter(|(_, owner, _)| *owner == kind);
    let own: Vec<&str> = own.map(|(key, ..)| *key).collect();
    let Some(key) = keys.iter().find(|key| !own.contains(&key.as_str())) else {
        return Ok(());
    };
    let path = format!("options.customOptions.{key}");
    if let Some((_, owner, _)) = CUSTOM.iter().find(|(other, ..)| other == key) {
        return Err(of_another_kind(&path, owner));
    }
    let outer: Vec<_> = outer.iter().map(|key| format!("options.{key}")).collect();
    let outer = outer.iter().map(String::as_str);
    let known: Vec<_> = own.into_iter().chain(outer).collect();
    Err(OptionError::unknown(&path, key, &known))
}

fn of_another_kind(path: &str, owner: &str) -> OptionError {
    let reason = format!("belongs into customOptions of connections of type '{owner}'");
    OptionError::bad_value(path, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{connection::config::ConnectionConfig, options::Plain};

    fn check(key: &str, value: f64, kind: Option<&str>) -> Result<(), String> {
        let given = Plain::Map(vec![(key.to_owned(), Plain::Number(value))]);
        let options = Options::new("options", &given).unwrap();
        check_transport(&options, kind)
            .and_then(|()| options.finish())
            .map_err(|error| error.message)
    }

    #[test]
    fn a_transports_option_is_taken_by_its_kind_of_connection_and_by_those_of_any_kind() {
        for (key, owner, _) in OPTIONS {
            for kind in [Some(owner), Some("database"), None] {
                assert_eq!(check(key, 7.0, kind), Ok(()), "{key} {kind:?}");
            }
            let other = if owner == "http" { "sse" } else { "http" };
            let expected = format!("options.{key} belongs to connections of type '{owner}'");
            assert_eq!(check(key, 7.0, Some(other)), Err(expected));
        }
    }

    #[test]
    fn an_option_in_the_wrong_place_is_refused_with_the_right_one() {
        let config = |key: &str, kind| {
            let given = Plain::Map(vec![(key.to_owned(), Plain::Text("x".to_owned()))]);
            ConnectionConfig::read(&given, &Plain::Undefined, kind).map_err(|error| error.message)
        };
        for (key, owner, path) in CUSTOM {
            let meant = format!("options.{key} is not a known option; did you mean '{path}'?");
            for kind in [Some(owner), Some("database"), None] {
                assert_eq!(config(key, kind), Err(meant.clone()), "{kind:?}");
            }
            let elsewhere = format!("belongs into customOptions of connections of type '{owner}'");
            assert_eq!(
                config(key, Some("http")),
                Err(format!("options.{key} {elsewhere}"))
            );
            let outer = ["timeout".to_owned(), "compression".to_owned()];
            let custom = |key: &str, kind| {
                check_custom(&[key.to_owned()], kind, &outer).map_err(|error| error.message)
            };
            let refused =
                |key: &str, reason: &str| Err(format!("options.customOptions.{key} {reason}"));
            assert_eq!(custom(key, owner), Ok(()));
            assert_eq!(custom(key, "http"), refused(key, &elsewhere));
            for (key, meant) in [
                ("timeout", "timeout"),
                ("timeOut", "timeout"),
                ("perMessageDeflate", "compression"),
            ] {
                let hint = format!("is not a known option; did you mean 'options.{meant}'?");
                assert_eq!(custom(key, owner), refused(key, &hint));
            }
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let expected = "options.maxEventBytes must be between 1 and 1073741824, got 0";
        assert_eq!(
            check("maxEventBytes", 0.0, Some("sse")),
            Err(expected.to_owned())
        );
        assert_eq!(check("maxResponseBytes", f64::INFINITY, None), Ok(()));
        assert!(check("maxRedirects", 21.0, None).is_err());
    }
}
