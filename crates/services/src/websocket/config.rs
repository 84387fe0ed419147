//! The configuration of a WebSocket, with every default.

use std::time::Duration;

use moorline_core::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
};
use tokio_tungstenite::tungstenite::http::{HeaderMap, header};
use url::Url;

use super::request::{read_headers, read_protocols, read_url};
use moorline_net::dial::DialConfig;

/// The largest message that is taken.
const MAX_MESSAGE_BYTES: u64 = 16 << 20;
/// Between two pings.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// The time after a ping within which anything at all must be received.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The time a ping of the user has, unless its call has its own.
const USER_PING_TIMEOUT: Duration = Duration::from_secs(5);
/// The reason in a close frame, at most (RFC 6455, 5.5 and 5.5.1).
const MAX_REASON_BYTES: usize = 123;
/// The time the peer has to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time a message has to be written.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Messages, and their bytes, that wait to be written.
const SEND_QUEUE_MESSAGES: u64 = 1000;
const SEND_QUEUE_BYTES: u64 = 1 << 20;
/// Bytes that wait to be taken; each message counts 64 bytes more than it has.
const RECEIVE_QUEUE_BYTES: u64 = 1 << 20;
/// Smaller messages are sent as they are.
const COMPRESSION_THRESHOLD_BYTES: u64 = 1024;

/// The configuration of one WebSocket.
#[derive(Clone, Debug)]
pub struct Config {
    /// `url`, with the scheme `ws` or `wss` and without user, password and fragment.
    pub url: Url,
    /// `headers`, and what else goes with the request.
    pub headers: HeaderMap,
    /// `protocols`: the sub-protocols, most wanted first.
    pub protocols: Vec<String>,
    /// `compression`: permessage-deflate, if it is to be offered.
    pub compression: Option<Compression>,
    /// `maxMessageBytes`.
    pub max_message: usize,
    /// `pingIntervalMs`; off with `Infinity`.
    pub ping_interval: Limit<Duration>,
    /// `pingTimeoutMs`.
    pub ping_timeout: Duration,
    /// `closeTimeoutMs`.
    pub close_timeout: Duration,
    /// `sendTimeoutMs`.
    pub send_timeout: Limit<Duration>,
    /// `sendQueueMessages` and `sendQueueBytes`.
    pub send_queue: SendQueueConfig,
    /// `receiveQueueBytes`.
    pub receive_queue: usize,
    /// The options of dialling; `connectTimeoutMs` has room for the handshake too.
    pub dial: DialConfig,
}

/// The bounds of the queue of messages to be written.
#[derive(Clone, Copy, Debug)]
pub struct SendQueueConfig {
    /// The number of messages.
    pub messages: usize,
    /// The number of bytes; one message may have more.
    pub bytes: usize,
}

/// The `compression` option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// `serverNoContextTakeover`: the server shall begin each message anew.
    pub server_no_context_takeover: bool,
    /// `clientNoContextTakeover`: we begin each message anew.
    pub client_no_context_takeover: bool,
    /// `serverMaxWindowBits`: the largest window of the server.
    pub server_max_window_bits: Option<u8>,
    /// `clientMaxWindowBits`: our largest window.
    pub client_max_window_bits: Option<u8>,
    /// `thresholdBytes`: smaller messages are sent as they are.
    pub threshold: usize,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: None,
            threshold: COMPRESSION_THRESHOLD_BYTES as usize,
        }
    }
}

impl Config {
    /// Reads a user's options.
    pub fn read(options: &PlainValue) -> Read<Self> {
        let options = Options::new("options", options)?;
        let (url, authorization) = read_url(&options)?;
        let mut headers = read_headers(&options)?;
        if let Some(authorization) = authorization {
            headers
                .entry(header::AUTHORIZATION)
                .or_insert(authorization);
        }
        let bytes = |key, default| options.integer(key, default, 1..=u64::from(u32::MAX) >> 1);
        let config = Self {
            url,
            headers,
            protocols: read_protocols(&options)?,
            compression: Compression::read(&options)?,
            max_message: bytes("maxMessageBytes", MAX_MESSAGE_BYTES)? as usize,
            ping_interval: options.ms_limit("pingIntervalMs", Limit::At(PING_INTERVAL), 1.0)?,
            ping_timeout: options.ms("pingTimeoutMs", PING_TIMEOUT, 1.0)?,
            close_timeout: options.ms("closeTimeoutMs", CLOSE_TIMEOUT, 1.0)?,
            send_timeout: options.ms_limit("sendTimeoutMs", Limit::At(SEND_TIMEOUT), 1.0)?,
            send_queue: SendQueueConfig {
                messages: bytes("sendQueueMessages", SEND_QUEUE_MESSAGES)? as usize,
                bytes: bytes("sendQueueBytes", SEND_QUEUE_BYTES)? as usize,
            },
            receive_queue: bytes("receiveQueueBytes", RECEIVE_QUEUE_BYTES)? as usize,
            dial: DialConfig::read(&options)?
                .with_tunnel(&options)?
                .with_connect_option("timeout"),
        };
        options.finish()?;
        Ok(config)
    }
}

impl Compression {
    fn read(options: &Options<'_>) -> Read<Option<Self>> {
        match options.value("compression") {
            None | Some(PlainValue::Bool(false)) => return Ok(None),
            Some(PlainValue::Bool(true)) => return Ok(Some(Self::default())),
            Some(PlainValue::Map(_)) => {}
            Some(other) => {
                let path = options.path_of("compression");
                return Err(OptionError::wrong_type(
                    &path,
                    "a boolean or an object",
                    other,
                ));
            }
        }
        let Some(options) = options.nested("compression")? else {
            return Ok(None);
        };
        let bits = |key| {
            let given = options.integer(key, 0, 8..=15)?;
            Ok((given > 0).then_some(given as u8))
        };
        let read = Self {
            server_no_context_takeover: options.flag("serverNoContextTakeover", false)?,
            client_no_context_takeover: options.flag("clientNoContextTakeover", false)?,
            server_max_window_bits: bits("serverMaxWindowBits")?,
            client_max_window_bits: bits("clientMaxWindowBits")?,
            threshold: options.integer(
                "thresholdBytes",
                COMPRESSION_THRESHOLD_BYTES,
                0..=u64::from(u32::MAX),
            )? as usize,
        };
        options.finish()?;
        Ok(Some(read))
    }
}

/// Reads the `timeoutMs` of a ping that the user sends.
pub fn read_ping_timeout(timeout_ms: &PlainValue) -> Read<Duration> {
    let given = Options::call_timeout(timeout_ms)?;
    Ok(given.and_then(Limit::get).unwrap_or(USER_PING_TIMEOUT))
}

/// Reads a close code; refuses one, and a reason, that a user cannot send.
pub fn read_close(code: f64, reason: &str) -> Read<u16> {
    let whole = code as u16;
    if f64::from(whole) - code != 0.0 || !matches!(whole, 1000 | 3000..=4999) {
        let expected = "1000, or between 3000 and 4999";
        return Err(OptionError::out_of_range("code", expected, code));
    }
    if reason.len() > MAX_REASON_BYTES {
        let expected = format!("at most {MAX_REASON_BYTES} bytes of UTF-8");
        let got = format!("{} bytes", reason.len());
        return Err(OptionError::out_of_range("reason", expected, got));
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_code_is_1000_or_an_application_s_and_a_reason_fits_its_frame() {
        for code in [1000.0, 3000.0, 4999.0] {
            assert_eq!(read_close(code, &"é".repeat(61)), Ok(code as u16));
        }
        for code in [
            0.0,
            999.0,
            1001.0,
            2999.0,
            5000.0,
            3000.5,
            -1.0,
            66_536.0,
            f64::NAN,
        ] {
            let error = read_close(code, "").unwrap_err();
            assert!(
                error.message.starts_with("code must be 1000, or between"),
                "{error}"
            );
        }
        let error = read_close(1000.0, &"é".repeat(62)).unwrap_err();
        let message = "reason must be at most 123 bytes of UTF-8, got 124 bytes";
        assert_eq!(error.message, message);
    }

    #[test]
    fn a_ping_waits_five_seconds_or_as_long_as_its_call_says() {
        for given in [PlainValue::Undefined, PlainValue::Number(f64::INFINITY)] {
            assert_eq!(read_ping_timeout(&given), Ok(Duration::from_secs(5)));
        }
        let given = PlainValue::Number(20.0);
        assert_eq!(read_ping_timeout(&given), Ok(Duration::from_millis(20)));
    }

    fn read(entries: &[(&str, PlainValue)]) -> Read<Config> {
        let mut map = vec![("url".to_owned(), text("ws://127.0.0.1:1/x?y"))];
        map.retain(|_| !entries.iter().any(|(key, _)| *key == "url"));
        map.extend(
            entries
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone())),
        );
        Config::read(&PlainValue::Map(map))
    }

    fn text(text: &str) -> PlainValue {
        PlainValue::Text(text.to_owned())
    }

    #[test]
    fn nothing_but_a_url_is_finite_everywhere() {
        let config = read(&[]).unwrap();
        assert_eq!(config.max_message, 16 << 20);
        assert_eq!(config.ping_interval, Limit::At(PING_INTERVAL));
        assert_eq!(config.send_queue.messages, 1000);
        assert!(config.compression.is_none() && config.protocols.is_empty());
    }

    #[test]
    fn a_password_in_the_url_becomes_a_header_that_is_not_shown() {
        let config = read(&[("url", text("wss://me:p%40ss@example.com/"))]).unwrap();
        assert_eq!(config.url.as_str(), "wss://example.com/");
        let value = config.headers.get(header::AUTHORIZATION).unwrap();
        assert_eq!(value, "Basic bWU6cEBzcw==");
        assert!(!format!("{config:?}").contains("bWU6"));
    }

    #[test]
    fn a_mistake_is_named_by_its_path_and_shows_no_secret() {
        let list = |items: &[&str]| PlainValue::List(items.iter().map(|item| text(item)).collect());
        let header =
            |name: &str, value| ("headers", PlainValue::Map(vec![(name.to_owned(), value)]));
        let table = [
            ("options.url ", ("url", text("ftp://me:hunter2@x"))),
            ("options.url ", ("url", text("ws://x/#part"))),
            ("options.url ", ("url", PlainValue::Number(1.0))),
            ("options.protocols ", ("protocols", list(&["a", "a"]))),
            ("options.protocols ", ("protocols", text("a b"))),
            ("options.headers.Upgrade ", header("Upgrade", text("h2c"))),
            (
                "options.headers.x ",
                header("x", text("hunter2\r\nevil: 1")),
            ),
            ("options.headers.x ", header("x", PlainValue::Null)),
            ("options.compression ", ("compression", text("yes"))),
            (
                "options.maxMessageBytes ",
                ("maxMessageBytes", PlainValue::Number(0.0)),
            ),
            (
                "options.pingInterval ",
                ("pingInterval", PlainValue::Number(1.0)),
            ),
        ];
        for (path, entry) in table {
            let error = read(std::slice::from_ref(&entry)).unwrap_err();
            assert!(error.message.starts_with(path), "{error}");
            assert!(!error.message.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn compression_is_a_switch_or_its_parameters() {
        let on = read(&[("compression", PlainValue::Bool(true))]).unwrap();
        assert_eq!(on.compression, Some(Compression::default()));
        let bits = PlainValue::Map(vec![(
            "clientMaxWindowBits".to_owned(),
            PlainValue::Number(9.0),
        )]);
        let bound = read(&[("compression", bits)]).unwrap().compression.unwrap();
        assert_eq!(bound.client_max_window_bits, Some(9));
        let wrong = PlainValue::Map(vec![(
            "serverMaxWindowBits".to_owned(),
            PlainValue::Number(7.0),
        )]);
        assert!(read(&[("compression", wrong)]).is_err());
    }
}
