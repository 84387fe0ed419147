//! Options that only one kind of transport has. What is not given is the transport's to decide, so nothing but their range is
//! known here.

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

enum Accepts {
    /// So many, or `Infinity`.
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
        let others = kind.filter(|kind| ["http", "sse", "websocket"].contains(kind));
        if others.is_some_and(|kind| kind != owner) {
            let reason = format!("belongs to connections of type '{owner}'");
            return Err(OptionError::bad_value(&options.path_of(key), reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Plain;

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
