//! Options of the transport of a connection.
//!
//! Those that only one kind of transport has are checked for their range; what is not given is the transport's to decide.

use std::{fmt, ops::RangeInclusive, time::Duration};

use super::config::ConnectionConfig;
use crate::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
};

/// The largest number of bytes that JavaScript can count.
const ANY_BYTES: u64 = (1 << 53) - 1;
/// More in one event, or one message, is a mistake in the option.
const EVENT_BYTES: u64 = 1 << 30;
const MESSAGE_BYTES: u64 = (1 << 31) - 1;

/// The types of connections that read their own options.
const TRANSPORTS: [&str; 3] = ["http", "sse", "websocket"];

enum Accepts {
    /// A whole number, or `Infinity`.
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
            let reason = format!("applies only to connections of type '{owner}'");
            return Err(OptionError::bad_value(&options.path_of(key), reason));
        }
    }
    Ok(())
}

/// The options that every transport has, and that are read by it alone.
const PASSED_ON: [&str; 3] = ["proxy", "tls", "tunnel"];
const ALLOWED_HOSTS: &str = "allowedHosts";

/// The options that only a transport reads, as given: they may hold keys and passwords, which are not shown.
#[derive(Clone, Default, PartialEq)]
pub struct TransportOptions(Vec<(&'static str, PlainValue)>);

impl fmt::Debug for TransportOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(key, _)| key))
            .finish()
    }
}

impl TransportOptions {
    /// Those among `options`, which are checked elsewhere.
    pub(super) fn given(options: &Options<'_>) -> Self {
        let own = OPTIONS.iter().map(|(key, ..)| *key);
        let mut given = Vec::new();
        for key in own.chain(PASSED_ON) {
            given.extend(options.value(key).map(|value| (key, value.clone())));
        }
        if let Some(PlainValue::Map(security)) = options.given("customSecurityOptions") {
            let hosts = security.iter().find(|(key, _)| key == ALLOWED_HOSTS);
            given.extend(hosts.map(|(_, hosts)| (ALLOWED_HOSTS, hosts.clone())));
        }
        Self(given)
    }

    fn get(&self, keys: &[&str]) -> impl Iterator<Item = (&'static str, PlainValue)> {
        let given = self.0.iter().filter(|(key, _)| keys.contains(key));
        given.cloned()
    }
}

/// A transport of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Requests over HTTP.
    Http,
    /// A stream of server-sent events.
    EventStream,
    /// A WebSocket.
    WebSocket,
}

impl ConnectionConfig {
    /// The options by which a server is reached: those of TLS, the proxy, the tunnel and the security level.
    pub fn dial_options(&self) -> PlainValue {
        let given = self.transport.get(&PASSED_ON);
        map(given.chain([self.level()]))
    }

    /// The options of a `transport` of this connection; those in `more` are its own.
    pub fn transport_options(&self, transport: Transport, more: PlainValue) -> PlainValue {
        let mut entries = match more {
            PlainValue::Map(entries) => entries,
            PlainValue::Undefined => Vec::new(),
            // Its reader refuses it.
            other => return other,
        };
        let (timeout, keep_alive) = (ms(self.timeout), ms(self.keep_alive));
        let compression = PlainValue::Bool(self.compression);
        let connect = ("connectTimeoutMs", timeout.clone());
        let named = match transport {
            Transport::Http => vec![
                connect,
                ("timeout", timeout),
                ("timeoutMs", PlainValue::Number(f64::INFINITY)),
                ("keepAliveTimeoutMs", keep_alive),
                (
                    "maxConnections",
                    PlainValue::Number(self.max_connections.into()),
                ),
                ("decompress", compression),
            ],
            Transport::EventStream => vec![
                connect,
                ("timeoutMs", timeout),
                ("idleTimeoutMs", keep_alive),
            ],
            Transport::WebSocket => {
                let mut named = vec![
                    connect,
                    ("sendTimeoutMs", timeout),
                    ("pingIntervalMs", keep_alive),
                    ("compression", compression),
                ];
                // A ping must be answered at some time.
                if self.health_check_timeout != Limit::Off {
                    named.push(("pingTimeoutMs", ms(self.health_check_timeout)));
                }
                named
            }
        };
        let given = self.transport.0.iter().cloned();
        let encryption = self
            .encryption
            .map(|encrypted| ("encryption", PlainValue::Bool(encrypted)));
        let all = named.into_iter().chain(given).chain([self.level()]);
        entries.extend(
            all.chain(encryption)
                .map(|(key, value)| (key.to_owned(), value)),
        );
        PlainValue::Map(entries)
    }

    fn level(&self) -> (&'static str, PlainValue) {
        let level = self.security_level.as_str();
        ("securityLevel", PlainValue::Text(level.to_owned()))
    }
}

fn map(entries: impl Iterator<Item = (&'static str, PlainValue)>) -> PlainValue {
    PlainValue::Map(
        entries
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

fn ms(limit: Limit<Duration>) -> PlainValue {
    let ms = limit.get().map(|time| time.as_secs_f64() * 1000.0);
    PlainValue::Number(ms.unwrap_or(f64::INFINITY))
}

/// The options that are read from `customOptions`, the type of connection that does, and their paths.
const CUSTOM: [(&str, &str, &str); 5] = [
    ("protocols", "websocket", "customOptions.protocols"),
    ("parse", "websocket", "customOptions.parse"),
    ("text", "websocket", "customOptions.text"),
    ("cursor", "sse", "customOptions.cursor"),
    ("lastEventId", "sse", "customOptions.lastEventId"),
];

/// Whether a connection of this kind, or of any, may have what the transport `owner` reads.
fn may_have(kind: Option<&str>, owner: &str) -> bool {
    kind.is_none_or(|kind| kind == owner || !TRANSPORTS.contains(&kind))
}

/// The paths of the options of such a connection that are read elsewhere.
pub(super) fn paths_elsewhere(kind: Option<&str>) -> Vec<&'static str> {
    let custom = CUSTOM.iter();
    custom
        .filter(move |(_, owner, _)| may_have(kind, owner))
        .map(|(.., path)| *path)
        .chain(["customOptions"])
        .collect()
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
    let reason = format!("applies only to customOptions of connections of type '{owner}'");
    OptionError::bad_value(path, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, value: f64, kind: Option<&str>) -> Result<(), String> {
        let given = PlainValue::Map(vec![(key.to_owned(), PlainValue::Number(value))]);
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
            let expected = format!("options.{key} applies only to connections of type '{owner}'");
            assert_eq!(check(key, 7.0, Some(other)), Err(expected));
        }
    }

    #[test]
    fn an_option_in_the_wrong_place_is_refused_with_the_right_one() {
        let config = |key: &str, kind| {
            let given = PlainValue::Map(vec![(key.to_owned(), PlainValue::Text("x".to_owned()))]);
            ConnectionConfig::read(&given, &PlainValue::Undefined, kind)
                .map_err(|error| error.message)
        };
        for (key, owner, path) in CUSTOM {
            let meant = format!("options.{key} is not a known option; did you mean '{path}'?");
            for kind in [Some(owner), Some("database"), None] {
                assert_eq!(config(key, kind), Err(meant.clone()), "{kind:?}");
            }
            let elsewhere =
                format!("applies only to customOptions of connections of type '{owner}'");
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

    #[test]
    fn a_transport_is_given_what_the_connection_says_of_it() {
        let security = PlainValue::Map(vec![(
            "allowedHosts".to_owned(),
            PlainValue::List(vec![PlainValue::Text("db".to_owned())]),
        )]);
        let given = [
            ("timeout", PlainValue::Number(f64::INFINITY)),
            ("keepAlive", PlainValue::Number(500.0)),
            ("maxMessageBytes", PlainValue::Number(7.0)),
            ("securityLevel", PlainValue::Text("enhanced".to_owned())),
            ("customSecurityOptions", security),
            (
                "proxy",
                PlainValue::Text("http://me:hunter2@proxy".to_owned()),
            ),
        ];
        let given = map(given.into_iter());
        let config =
            ConnectionConfig::read(&given, &PlainValue::Undefined, Some("websocket")).unwrap();
        assert!(!format!("{:?}", config.transport).contains("hunter2"));

        let url = ("url".to_owned(), PlainValue::Text("ws://a".to_owned()));
        let options = config.transport_options(Transport::WebSocket, PlainValue::Map(vec![url]));
        let options = Options::new("options", &options).unwrap();
        assert_eq!(options.text("url").unwrap(), Some("ws://a"));
        assert_eq!(options.text("securityLevel").unwrap(), Some("enhanced"));
        for (key, ms) in [
            ("connectTimeoutMs", f64::INFINITY),
            ("sendTimeoutMs", f64::INFINITY),
            ("pingIntervalMs", 500.0),
            ("pingTimeoutMs", 5000.0),
            ("maxMessageBytes", 7.0),
        ] {
            assert_eq!(options.value(key), Some(&PlainValue::Number(ms)), "{key}");
        }
        assert!(options.given("allowedHosts").is_some() && options.given("proxy").is_some());
        assert!(options.given("encryption").is_none() && options.given("tls").is_none());

        let dial = config.dial_options();
        let dial = Options::new("options", &dial).unwrap();
        assert!(dial.given("allowedHosts").is_none() && dial.given("proxy").is_some());
    }
}
