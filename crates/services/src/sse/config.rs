//! The configuration of an event stream, with every default.

use std::time::Duration;

use bytes::Bytes;
use moorline_core::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
};
use moorline_net::{
    dial::DialConfig,
    http::{CONNECTIONS_TIMEOUT, CallConfig, HttpConfig, Request, RequestBody},
};

/// The time limit from `connect` to the head of the response.
const TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(30));
/// The longest silence of the server. Servers without events send comments, usually every 15 to 30 s.
const IDLE_TIMEOUT: Limit<Duration> = Limit::At(Duration::from_mins(1));
const MAX_REDIRECTS: u64 = 5;
const MAX_EVENT_BYTES: u64 = 1 << 20;
const RECEIVE_QUEUE_BYTES: u64 = 1 << 20;
/// The largest value of an option in bytes.
const MAX_OPTION_BYTES: u64 = 1 << 30;

/// The headers of every request for the stream, unless the caller sets them. A compressed stream would arrive only when
/// the compressor flushes.
const HEADERS: [(&str, &str); 3] = [
    ("accept", "text/event-stream"),
    ("cache-control", "no-cache"),
    ("accept-encoding", "identity"),
];

/// The configuration of a client.
pub struct Config {
    /// The options of dialling, `http2`, `timeoutMs` (30 000) and `maxRedirects` (5), as for HTTP.
    pub(super) http: HttpConfig,
    method: String,
    url: String,
    headers: String,
    body: Bytes,
    /// `idleTimeoutMs`: the silence that ends the stream (60 000).
    pub(super) idle_timeout: Limit<Duration>,
    /// `maxEventBytes`: of one event (1 MiB).
    pub(super) max_event_bytes: usize,
    /// `receiveQueueBytes`: of events that wait for JavaScript; then the server has to (1 MiB).
    pub(super) queue_bytes: usize,
}

impl Config {
    /// Reads an options object; unknown keys and a request that cannot be sent are refused. `headers` is a line
    /// `name:value` for each.
    pub fn read(given: &PlainValue) -> Read<Self> {
        let options = Options::new("options", given)?;
        let bytes = |key, default| options.integer(key, default, 1..=MAX_OPTION_BYTES);
        let config = Self {
            http: read_http(&options)?,
            url: options.required_text("url")?.to_owned(),
            body: read_body(&options)?,
            method: options.text("method")?.unwrap_or("GET").to_owned(),
            headers: with_defaults(options.text("headers")?.unwrap_or_default()),
            idle_timeout: options.ms_limit("idleTimeoutMs", IDLE_TIMEOUT, 1.0)?,
            max_event_bytes: bytes("maxEventBytes", MAX_EVENT_BYTES)? as usize,
            queue_bytes: bytes("receiveQueueBytes", RECEIVE_QUEUE_BYTES)? as usize,
        };
        options.finish()?;
        config.request(None)?;
        Ok(config)
    }

    /// The request for the events after `last_id`.
    pub(super) fn request(&self, last_id: Option<&str>) -> Read<Request> {
        let mut headers = self.headers.clone();
        if let Some(id) = last_id.filter(|id| !id.is_empty()) {
            headers.push_str("\nlast-event-id:");
            // The standard sends it as UTF-8; the lines are read as Latin-1, byte by byte.
            headers.extend(id.bytes().map(char::from));
        }
        let body = if self.body.is_empty() {
            RequestBody::Empty
        } else {
            RequestBody::Full(self.body.clone())
        };
        Request::new(&self.method, &self.url, &headers, body)
            .map(|request| request.with_config(self.http.call).detached())
            .map_err(|mut error| {
                error.message = error.message.replacen("request.", "options.", 1);
                error
            })
    }
}

fn read_http(options: &Options<'_>) -> Read<HttpConfig> {
    Ok(HttpConfig {
        dial: DialConfig::read(options)?
            .with_tunnel(options)?
            .with_connect_option(CONNECTIONS_TIMEOUT),
        call: CallConfig {
            timeout: Limit::Off,
            attempt_timeout: options.ms_limit("timeoutMs", TIMEOUT, 1.0)?,
            attempt_timeout_name: CONNECTIONS_TIMEOUT,
            max_redirects: options.integer("maxRedirects", MAX_REDIRECTS, 0..=20)? as u32,
            // `attempt_timeout` covers everything up to the head; the stream that follows has its idle timeout and no
            // end.
            headers_timeout: Limit::Off,
            body_timeout: Limit::Off,
            ..CallConfig::default()
        },
        http2: options.flag("http2", true)?,
        ..HttpConfig::default()
    })
}

fn read_body(options: &Options<'_>) -> Read<Bytes> {
    match options.value("body") {
        None => Ok(Bytes::new()),
        Some(PlainValue::Text(text)) => Ok(Bytes::copy_from_slice(text.as_bytes())),
        Some(PlainValue::Bytes(bytes)) => Ok(Bytes::copy_from_slice(bytes)),
        Some(other) => {
            let path = options.path_of("body");
            Err(OptionError::wrong_type(&path, "a string or bytes", other))
        }
    }
}

fn with_defaults(given: &str) -> String {
    let mut headers = given.to_owned();
    for (name, value) in HEADERS {
        let is_given = given.lines().any(|line| {
            line.split_once(':')
                .is_some_and(|(own, _)| own.eq_ignore_ascii_case(name))
        });
        if !is_given {
            headers.extend(["\n", name, ":", value]);
        }
    }
    // An empty line would be a header without a name.
    headers.trim_start_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, PlainValue)]) -> Read<Config> {
        let mut map = vec![("url".to_owned(), text("http://127.0.0.1:1/x"))];
        map.retain(|_| !entries.iter().any(|(key, _)| *key == "url"));
        let owned = |(key, value): &(&str, PlainValue)| ((*key).to_owned(), value.clone());
        map.extend(entries.iter().map(owned));
        Config::read(&PlainValue::Map(map))
    }

    fn text(text: &str) -> PlainValue {
        PlainValue::Text(text.to_owned())
    }

    #[test]
    fn every_wait_and_every_size_is_finite_by_default() {
        let config = read(&[]).unwrap();
        assert_eq!(config.http.call.attempt_timeout, TIMEOUT);
        assert_eq!(config.idle_timeout, IDLE_TIMEOUT);
        assert_eq!(
            (config.max_event_bytes, config.queue_bytes),
            (1 << 20, 1 << 20)
        );
    }

    #[test]
    fn an_invalid_option_is_refused_by_name() {
        let table = [
            ("url", text("ftp://me:hunter2@h/")),
            ("url", PlainValue::Number(1.0)),
            ("method", text("CONNECT")),
            ("body", PlainValue::Number(1.0)),
            ("idleTimeoutMs", PlainValue::Number(0.0)),
            ("maxEventBytes", PlainValue::Number(0.0)),
            ("receiveQueueBytes", PlainValue::Number(1.5)),
            ("maxRedirects", PlainValue::Number(-1.0)),
            ("idleTimeout", PlainValue::Number(1.0)),
        ];
        for (key, value) in table {
            let error = read(&[(key, value)]).err().unwrap();
            let named = error.message.starts_with(&format!("options.{key} "));
            assert!(named && !error.message.contains("hunter2"), "{error}");
        }
        let header = read(&[("headers", text("a b:c"))]).err().unwrap();
        assert!(
            header.message.starts_with("options.headers.a b "),
            "{header}"
        );
    }

    #[test]
    fn a_callers_header_replaces_the_default() {
        let own = with_defaults("Accept:a/b\nx:y");
        assert!(own.starts_with("Accept:a/b\nx:y\n"));
        assert!(!own.contains("text/event-stream"));
        assert!(own.contains("cache-control:no-cache"));
        assert!(!with_defaults("").starts_with('\n'));
    }

    #[test]
    fn an_id_that_no_header_can_carry_is_refused_before_it_is_sent() {
        let config = read(&[]).unwrap();
        assert!(config.request(Some("ä€😀")).is_ok());
        assert!(config.request(Some("a\u{1}b")).is_err());
    }
}
