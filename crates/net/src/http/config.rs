//! Configuration of the engine and of one call, with every default.

use std::time::Duration;

use moorline_core::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
};

use crate::dial::{DialConfig, NO_TIMEOUT};

const TIMEOUT: Limit<Duration> = Limit::At(Duration::from_secs(30));
/// The names of the limit of one attempt, for a request and for a connection.
const ATTEMPT_TIMEOUT: [&str; 2] = ["attemptTimeoutMs", CONNECTIONS_TIMEOUT];
/// The name of that limit, and of the time to connect, for a connection.
pub const CONNECTIONS_TIMEOUT: &str = "timeout";
const MAX_REDIRECTS: u64 = 5;
/// A connection unused for this long is closed: sooner than the 60 s after which usual load balancers do it.
const KEEP_ALIVE: Duration = Duration::from_secs(50);
const MAX_CONNECTIONS: u32 = 256;
const MAX_RESPONSE_BYTES: u64 = 64 << 20;
const MAX_DECOMPRESSED_BYTES: u64 = 256 << 20;
/// The largest number of bytes that JavaScript can count.
const ANY_BYTES: u64 = (1 << 53) - 1;

/// The configuration of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// The options of dialling.
    pub dial: DialConfig,
    /// The defaults of each call.
    pub call: CallConfig,
    /// `keepAliveTimeoutMs`: how long an unused connection is kept (50 000; `Infinity`: for ever); a server's own
    /// shorter hint wins.
    pub keep_alive: Duration,
    /// `maxConnections`: to one origin at once (256); further requests wait their turn.
    pub max_connections: u32,
    /// Unused connections kept to one origin at most (all).
    pub max_idle_connections: u32,
    /// `http2`: offer it to servers by ALPN (true).
    pub http2: bool,
}

/// The configuration of one call; an engine's own is the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallConfig {
    /// `timeoutMs`: the whole call until its body is read, or its head when the body is streamed (30 000).
    pub timeout: Limit<Duration>,
    /// `spentMs`: what attempts before this one have taken of `timeoutMs` (0).
    pub spent: Duration,
    /// `attemptTimeoutMs`: the same for this attempt alone (`Infinity`); a connection calls it `timeout`.
    pub attempt_timeout: Limit<Duration>,
    /// Which of the two it was.
    pub attempt_timeout_name: &'static str,
    /// `headersTimeoutMs`: from the last byte sent to the head of the answer (30 000, or a longer `timeoutMs`).
    pub headers_timeout: Limit<Duration>,
    /// `bodyTimeoutMs`: between two pieces of a body, sent or received (30 000, or a longer `timeoutMs`).
    pub body_timeout: Limit<Duration>,
    /// `maxRedirects`: followed at most (5); 0 answers with the redirect itself.
    pub max_redirects: u32,
    /// `maxResponseBytes`: of a body as it comes from the network (64 MiB, or none when it is streamed).
    pub max_response_bytes: Option<Limit<u64>>,
    /// `maxDecompressedBytes`: of a body when decoded (256 MiB, or none when it is streamed).
    pub max_decompressed_bytes: Option<Limit<u64>>,
    /// `decompress`: ask for and unpack gzip, br, zstd and deflate (true).
    pub decompress: bool,
}

impl Default for CallConfig {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT,
            spent: Duration::ZERO,
            attempt_timeout: Limit::Off,
            attempt_timeout_name: ATTEMPT_TIMEOUT[0],
            headers_timeout: TIMEOUT,
            body_timeout: TIMEOUT,
            max_redirects: MAX_REDIRECTS as u32,
            max_response_bytes: None,
            max_decompressed_bytes: None,
            decompress: true,
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            dial: DialConfig::default(),
            call: CallConfig::default(),
            keep_alive: KEEP_ALIVE,
            max_connections: MAX_CONNECTIONS,
            max_idle_connections: u32::MAX,
            http2: true,
        }
    }
}

impl HttpConfig {
    /// Reads an options object; unknown keys are refused.
    pub fn read(options: Options<'_>) -> Read<Self> {
        let call = CallConfig::default().with_options(&options)?;
        let mut dial = DialConfig::read(&options)?.with_tunnel(&options)?;
        if call.attempt_timeout_name == CONNECTIONS_TIMEOUT {
            // A connection has one option for both.
            dial = dial.with_connect_option(CONNECTIONS_TIMEOUT);
        }
        let read = Self {
            dial,
            call,
            keep_alive: options
                .ms_limit("keepAliveTimeoutMs", Limit::At(KEEP_ALIVE), 1.0)?
                .get()
                .unwrap_or(NO_TIMEOUT),
            max_connections: options.integer(
                "maxConnections",
                MAX_CONNECTIONS.into(),
                1..=10_000,
            )? as u32,
            http2: options.flag("http2", true)?,
            ..Self::default()
        };
        options.finish()?;
        Ok(read)
    }
}

impl CallConfig {
    /// These options where `options` says nothing else.
    fn with_options(self, options: &Options<'_>) -> Read<Self> {
        let bytes = |key, own| match options.value(key) {
            None => Ok(own),
            Some(_) => options
                .integer_limit(key, Limit::Off, 0..=ANY_BYTES)
                .map(Some),
        };
        let timeout = options.ms_limit("timeoutMs", self.timeout, 1.0)?;
        let (mut attempt_timeout, mut attempt_timeout_name) =
            (self.attempt_timeout, self.attempt_timeout_name);
        for name in ATTEMPT_TIMEOUT {
            if options.value(name).is_some() {
                attempt_timeout = options.ms_limit(name, Limit::Off, 1.0)?;
                attempt_timeout_name = name;
            }
        }
        let usual = max_limit(TIMEOUT, min_limit(timeout, attempt_timeout));
        let phase = |own| {
            let chosen = own != max_limit(TIMEOUT, min_limit(self.timeout, self.attempt_timeout));
            if chosen { own } else { usual }
        };
        Ok(Self {
            timeout,
            spent: options.ms("spentMs", Duration::ZERO, 0.0)?,
            attempt_timeout,
            attempt_timeout_name,
            headers_timeout: options.ms_limit(
                "headersTimeoutMs",
                phase(self.headers_timeout),
                1.0,
            )?,
            body_timeout: options.ms_limit("bodyTimeoutMs", phase(self.body_timeout), 1.0)?,
            max_redirects: options.integer("maxRedirects", self.max_redirects.into(), 0..=20)?
                as u32,
            max_response_bytes: bytes("maxResponseBytes", self.max_response_bytes)?,
            max_decompressed_bytes: bytes("maxDecompressedBytes", self.max_decompressed_bytes)?,
            decompress: options.flag("decompress", self.decompress)?,
        })
    }

    /// The time limit of this attempt, with the option that sets it.
    pub(super) fn limiting_timeout(&self) -> (Limit<Duration>, Limit<Duration>, &'static str) {
        let left = match self.timeout {
            Limit::At(timeout) => Limit::At(timeout.saturating_sub(self.spent)),
            Limit::Off => Limit::Off,
        };
        if min_limit(left, self.attempt_timeout) == left {
            (left, self.timeout, "timeoutMs")
        } else {
            let own = self.attempt_timeout;
            (own, own, self.attempt_timeout_name)
        }
    }

    /// The greatest length of the body of a response. One that is streamed is not kept in memory.
    pub(super) fn response_bytes(&self, streamed: bool) -> Limit<u64> {
        self.max_response_bytes
            .unwrap_or(limit_unless_streamed(streamed, MAX_RESPONSE_BYTES))
    }

    /// The limit of its length after decoding.
    pub(super) fn decompressed_bytes(&self, streamed: bool) -> Limit<u64> {
        self.max_decompressed_bytes
            .unwrap_or(limit_unless_streamed(streamed, MAX_DECOMPRESSED_BYTES))
    }

    /// Reads the options of one call over `defaults`; unknown keys are refused.
    pub fn read(given: &PlainValue, defaults: Self) -> Read<Self> {
        let options = Options::new("request", given)?;
        let read = defaults.with_options(&options)?;
        options.finish()?;
        Ok(read)
    }
}

const fn limit_unless_streamed(streamed: bool, bytes: u64) -> Limit<u64> {
    if streamed {
        Limit::Off
    } else {
        Limit::At(bytes)
    }
}

/// The longer of the two: a call given more time than a phase has by default gives the phase that time, too.
fn max_limit(phase: Limit<Duration>, whole: Limit<Duration>) -> Limit<Duration> {
    match (phase, whole) {
        (Limit::At(phase), Limit::At(whole)) => Limit::At(phase.max(whole)),
        _ => Limit::Off,
    }
}

fn min_limit(one: Limit<Duration>, other: Limit<Duration>) -> Limit<Duration> {
    match (one, other) {
        (Limit::At(one), Limit::At(other)) => Limit::At(one.min(other)),
        (Limit::Off, at) | (at, Limit::Off) => at,
    }
}

/// A request's part that cannot be sent.
pub(super) fn bad_value(path: &str, reason: &str) -> OptionError {
    OptionError::bad_value(path, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, PlainValue)]) -> PlainValue {
        let owned = |(key, value): &(&str, PlainValue)| ((*key).to_owned(), value.clone());
        PlainValue::Map(entries.iter().map(owned).collect())
    }

    fn read(entries: &[(&str, PlainValue)]) -> Read<HttpConfig> {
        HttpConfig::read(Options::new("options", &map(entries))?)
    }

    #[test]
    fn every_wait_and_every_size_is_finite_by_default() {
        let options = read(&[]).unwrap();
        let call = options.call;
        assert_eq!(call, CallConfig::default());
        for limit in [call.timeout, call.headers_timeout, call.body_timeout] {
            assert!(limit.get().is_some());
        }
        assert!(call.response_bytes(false).get().is_some());
        assert!(call.decompressed_bytes(false).get().is_some());
        assert_eq!(options, HttpConfig::default());
    }

    #[test]
    fn a_call_overrides_what_it_names_and_nothing_else() {
        let base = read(&[("timeoutMs", PlainValue::Number(5.0))])
            .unwrap()
            .call;
        let given = map(&[("bodyTimeoutMs", PlainValue::Number(f64::INFINITY))]);
        let call = CallConfig::read(&given, base).unwrap();
        assert_eq!(call.timeout, Limit::At(Duration::from_millis(5)));
        assert_eq!(call.body_timeout, Limit::Off);
        let unknown = CallConfig::read(&map(&[("deadline", PlainValue::Number(5.0))]), base);
        assert!(
            unknown
                .unwrap_err()
                .message
                .starts_with("request.deadline ")
        );
    }

    #[test]
    fn more_time_for_a_call_is_more_time_for_its_phases_unless_they_have_their_own() {
        let minute = Limit::At(Duration::from_mins(1));
        let own = Limit::At(Duration::from_millis(7));
        let base = read(&[
            ("timeoutMs", PlainValue::Number(60_000.0)),
            ("bodyTimeoutMs", PlainValue::Number(7.0)),
        ])
        .unwrap()
        .call;
        assert_eq!((base.headers_timeout, base.body_timeout), (minute, own));
        let endless = map(&[("timeoutMs", PlainValue::Number(f64::INFINITY))]);
        let call = CallConfig::read(&endless, CallConfig::default()).unwrap();
        assert_eq!(
            (call.headers_timeout, call.body_timeout),
            (Limit::Off, Limit::Off)
        );
        assert_eq!(CallConfig::read(&endless, base).unwrap().body_timeout, own);
        let longer = map(&[("timeoutMs", PlainValue::Number(120_000.0))]);
        let call = CallConfig::read(&longer, base).unwrap();
        assert_eq!(call.headers_timeout, Limit::At(Duration::from_mins(2)));
        let short = read(&[("timeoutMs", PlainValue::Number(5.0))])
            .unwrap()
            .call;
        assert_eq!(short.headers_timeout, TIMEOUT);
    }

    #[test]
    fn an_attempt_is_bounded_by_what_is_left_of_the_call_or_by_its_own_time() {
        let ms = |ms| Limit::At(Duration::from_millis(ms));
        let number = |key, ms| (key, PlainValue::Number(ms));
        let base = read(&[number("timeoutMs", f64::INFINITY), number("timeout", 50.0)]);
        let base = base.unwrap().call;
        assert_eq!(base.limiting_timeout(), (ms(50), ms(50), "timeout"));
        assert_eq!(base.body_timeout, TIMEOUT);
        let call = |given: &[(&str, PlainValue)]| CallConfig::read(&map(given), base).unwrap();
        let whole = [number("timeoutMs", 100.0), number("spentMs", 70.0)];
        assert_eq!(
            call(&whole).limiting_timeout(),
            (ms(30), ms(100), "timeoutMs")
        );
        assert_eq!(
            call(&whole[..1]).limiting_timeout(),
            (ms(50), ms(50), "timeout")
        );
        let over = [number("timeoutMs", 100.0), number("spentMs", 170.0)];
        assert_eq!(
            call(&over).limiting_timeout(),
            (ms(0), ms(100), "timeoutMs")
        );
        let own = [number("attemptTimeoutMs", 60_000.0)];
        assert_eq!(
            call(&own).limiting_timeout(),
            (ms(60_000), ms(60_000), "attemptTimeoutMs")
        );
        assert_eq!(call(&own).body_timeout, ms(60_000));
    }

    #[test]
    fn a_body_that_is_streamed_has_no_limit_unless_it_is_given_one() {
        let call = read(&[]).unwrap().call;
        assert_eq!(call.response_bytes(true), Limit::Off);
        assert_eq!(call.decompressed_bytes(true), Limit::Off);
        let own = map(&[("maxResponseBytes", PlainValue::Number(7.0))]);
        let own = CallConfig::read(&own, call).unwrap();
        assert_eq!(own.response_bytes(true), Limit::At(7));
        assert_eq!(own.response_bytes(false), Limit::At(7));
    }

    #[test]
    fn an_unused_connection_may_be_kept_for_ever() {
        let options = read(&[("keepAliveTimeoutMs", PlainValue::Number(f64::INFINITY))]).unwrap();
        assert_eq!(options.keep_alive, NO_TIMEOUT);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (key, value) in [
            ("maxConnections", PlainValue::Number(0.0)),
            ("timeoutMs", PlainValue::Number(-1.0)),
            ("http2", PlainValue::Number(1.0)),
            ("maxRedirects", PlainValue::Number(1.5)),
            ("timeout", PlainValue::Number(0.0)),
            ("deadline", PlainValue::Number(1.0)),
        ] {
            let error = read(&[(key, value)]).unwrap_err();
            assert!(
                error.message.starts_with(&format!("options.{key} ")),
                "{error}"
            );
        }
    }
}
