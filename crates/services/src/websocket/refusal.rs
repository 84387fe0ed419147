//! A server's answer that refuses the handshake, as a failure.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use moorline_core::{
    error::{Delivery, Failure, Kind},
    resilience::{idempotency::is_transient_status, retry_after::retry_after},
    secret::{Secret, is_harmless_header, is_harmless_in_answer, redact_text},
};
use serde_json::{Map, Value as Json};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};
use tokio_tungstenite::tungstenite::http::{HeaderMap, Response, header};

use super::{config::Config, error::SERVICE};

/// The number of bytes of the body that are read; fewer are shown.
const MAX_BODY_BYTES: usize = 4096;
/// The time limit of the body, which only adds detail to the head.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
/// A shorter part of a header is a word of its syntax, not a credential.
const MIN_CREDENTIAL_BYTES: usize = 8;
/// Tokens are handed over as sub-protocols, too; the names of these are shorter.
const MAX_PROTOCOL_BYTES: usize = 24;

/// The failure for a refusal whose body begins with `leading_bytes` and goes on in `stream`.
pub(super) async fn refusal_failure<T>(
    config: &Config,
    response: &Response<T>,
    leading_bytes: Vec<u8>,
    stream: &mut (impl AsyncRead + Unpin),
) -> Failure {
    let body = read_body(response, leading_bytes, stream).await;
    failure(config, response, &body)
}

fn failure<T>(config: &Config, response: &Response<T>, body: &[u8]) -> Failure {
    let status = response.status().as_u16();
    let kind = match status {
        401 | 403 | 407 => Kind::Auth,
        429 => Kind::RateLimited,
        _ => Kind::Rejected,
    };
    let secrets = secrets_of(config);
    let headers = response.headers();
    let message = format!("the server refused the handshake with status {status}");
    let mut failure = Failure::new(kind, message)
        .with_delivery(Delivery::None)
        .with_retryable(is_transient_status(status.into()))
        .with_detail("status", status)
        .with_detail("headers", shown_headers(headers, &secrets))
        .during(SERVICE, "connect");
    let text = |name| text_of(headers, name);
    let wait = retry_after(
        text("retry-after"),
        text("retry-after-ms"),
        SystemTime::now(),
    );
    if let Some(wait) = wait {
        failure = failure.with_retry_after(wait);
    }
    if let Some(location) = text("location") {
        failure = failure.with_detail("location", redact_text(without_query(location), &secrets));
    }
    let said = redact_text(&String::from_utf8_lossy(body), &secrets);
    if said.is_empty() {
        return failure;
    }
    failure.with_detail("body", said)
}

fn text_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A query may hold a token.
fn without_query(location: &str) -> &str {
    location.split(['?', '#']).next().unwrap_or_default()
}

/// The headers by name. Those that may carry a credential lose their values.
fn shown_headers(headers: &HeaderMap, secrets: &[Secret]) -> Map<String, Json> {
    let shown = headers.keys().map(|name| {
        let values = headers.get_all(name).iter();
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let value = values.collect::<Vec<_>>().join(", ");
        let value = match name {
            &header::LOCATION => redact_text(without_query(&value), secrets),
            name if is_harmless_in_answer(name.as_str()) => redact_text(&value, secrets),
            _ => "[redacted]".to_owned(),
        };
        (name.as_str().to_owned(), value.into())
    });
    shown.collect()
}

/// The secrets that were sent and must not be shown, should the server repeat them.
fn secrets_of(config: &Config) -> Vec<Secret> {
    let mut secrets = Vec::new();
    let headers = config.headers.iter();
    for (_, value) in headers.filter(|(name, _)| !is_harmless_header(name.as_str())) {
        secrets.push(Secret::new(value.as_bytes()));
        let Ok(text) = value.to_str() else { continue };
        for part in text.split([' ', ';', ',', '=']) {
            if part.len() >= MIN_CREDENTIAL_BYTES {
                secrets.push(Secret::new(part));
            }
        }
        let basic = text.strip_prefix("Basic ");
        if let Some(Ok(login)) = basic.map(|login| STANDARD.decode(login)) {
            let password = login.split(|byte| *byte == b':').skip(1);
            secrets.push(Secret::new(password.collect::<Vec<_>>().join(&b':')));
        }
    }
    let query = config.url.query_pairs();
    secrets.extend(query.map(|(_, value)| Secret::new(value.into_owned())));
    let protocols = config.protocols.iter();
    let tokens = protocols.filter(|name| name.len() > MAX_PROTOCOL_BYTES);
    secrets.extend(tokens.map(|token| Secret::new(token.as_str())));
    // One that is part of another must not hide it only in part.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
    secrets
}

/// The beginning of the body, as far as it comes in time.
async fn read_body<T>(
    response: &Response<T>,
    mut raw: Vec<u8>,
    stream: &mut (impl AsyncRead + Unpin),
) -> Vec<u8> {
    if matches!(response.status().as_u16(), 204 | 304) {
        return Vec::new();
    }
    let headers = response.headers();
    let length = text_of(headers, "content-length").and_then(|length| length.trim().parse().ok());
    let chunked = text_of(headers, "transfer-encoding")
        .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
    let whole = if chunked { None } else { length }.unwrap_or(usize::MAX);
    let most = whole.min(MAX_BODY_BYTES);
    let _ = timeout(BODY_TIMEOUT, async {
        while raw.len() < most && !(chunked && decode_chunked(&raw).1) {
            // An error ends it as the end does: what has come counts.
            match stream.read_buf(&mut raw).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
    })
    .await;
    if chunked {
        return decode_chunked(&raw).0;
    }
    raw.truncate(most);
    raw
}

/// The content of chunks, and whether there are no more.
fn decode_chunked(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|pair| pair == b"\r\n") {
        let size = std::str::from_utf8(&raw[..end]).ok();
        let size = size.and_then(|line| line.split(';').next());
        let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let Some(size @ 1..) = size else {
            return (body, true);
        };
        raw = &raw[end + 2..];
        body.extend_from_slice(&raw[..size.min(raw.len())]);
        let Some(rest) = raw.get(size.saturating_add(2)..) else {
            break;
        };
        raw = rest;
    }
    (body, false)
}

#[cfg(test)]
mod tests {
    use moorline_core::options::PlainValue;

    use super::*;

    type Headers = &'static [(&'static str, &'static str)];
    const CHUNKED: Headers = &[("transfer-encoding", "chunked")];

    fn config(url: &str, headers: &[(&str, &str)]) -> Config {
        let text = |text: &str| PlainValue::Text(text.to_owned());
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), text(value)));
        let given = PlainValue::Map(vec![
            ("url".to_owned(), text(url)),
            ("headers".to_owned(), PlainValue::Map(headers.collect())),
        ]);
        Config::read(&given).unwrap()
    }

    fn response(status: u16, headers: &[(&str, &str)]) -> Response<()> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap()
    }

    async fn refusal(headers: &[(&str, &str)], body: &[u8], leading: usize) -> Failure {
        let config = config("ws://h/", &[]);
        let mut rest = &body[leading..];
        refusal_failure(
            &config,
            &response(503, headers),
            body[..leading].to_vec(),
            &mut rest,
        )
        .await
    }

    #[test]
    fn a_refusal_tells_its_status_and_what_may_be_repeated() {
        let table = [
            (401, Kind::Auth, false),
            (403, Kind::Auth, false),
            (407, Kind::Auth, false),
            (404, Kind::Rejected, false),
            (302, Kind::Rejected, false),
            (429, Kind::RateLimited, true),
            (503, Kind::Rejected, true),
        ];
        for (status, kind, retryable) in table {
            let refusal = response(status, &[("retry-after", "7")]);
            let failure = failure(&config("ws://h/", &[]), &refusal, b"");
            assert_eq!((failure.kind, failure.retryable), (kind, retryable));
            assert_eq!(failure.detail["status"], status);
            assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
            assert_eq!(failure.delivery, Delivery::None);
            assert!(!failure.detail.contains_key("body"));
        }
    }

    #[tokio::test]
    async fn the_beginning_of_the_body_is_told_however_it_is_framed_and_cut() {
        let long = "x".repeat(10_000);
        let table: [(Headers, &str, &str); 6] = [
            (&[("content-length", "4")], "busyGET", "busy"),
            (&[], "to the end", "to the end"),
            (&[("content-length", "0")], "", ""),
            (
                CHUNKED,
                "3;a=b\r\nto \r\n7\r\nthe end\r\n0\r\n\r\n",
                "to the end",
            ),
            (CHUNKED, "ff\r\nwithout its end", "without its end"),
            (CHUNKED, "no size\r\n", ""),
        ];
        for (headers, body, said) in table {
            for leading in 0..=body.len() {
                let failure = refusal(headers, body.as_bytes(), leading).await;
                let told = failure.detail.get("body").and_then(Json::as_str);
                assert_eq!(told.unwrap_or_default(), said, "{body} {leading}");
            }
        }
        let failure = refusal(&[], long.as_bytes(), 5).await;
        assert!(failure.detail["body"].as_str().unwrap().len() < 600);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let (_server, mut client) = tokio::io::duplex(64);
        let config = config("ws://h/", &[]);
        let refusal = response(503, &[("content-length", "9")]);
        let failure = refusal_failure(&config, &refusal, b"half".to_vec(), &mut client).await;
        assert_eq!(failure.detail["body"], "half");
    }

    #[test]
    fn no_credential_is_told() {
        let sent = [
            ("authorization", "Bearer hunter2hunter2"),
            ("cookie", "sid=correcthorse; theme=darkdark"),
        ];
        let config = config("ws://me:passw%C3%B6rd@h/?token=batterystaple", &sent);
        let basic = self::config("ws://me:topsecret@h/", &[]);
        let answer = [
            ("set-cookie", "sid=fresh"),
            ("x-token", "fresh"),
            ("www-authenticate", "Bearer error=\"invalid_token\""),
            ("location", "https://login/?next=batterystaple"),
            ("server", "for correcthorse"),
        ];
        let body = b"hunter2hunter2 correcthorse batterystaple topsecret bWU6dG9wc2VjcmV0";
        for (config, hidden) in [
            (&config, &["hunter2", "correcthorse", "batterystaple"][..]),
            (&basic, &["topsecret", "bWU6dG9wc2VjcmV0"]),
        ] {
            let failure = failure(config, &response(401, &answer), body);
            let told = Json::Object(failure.detail.clone()).to_string();
            assert!(!told.contains("fresh") && !told.contains("next="), "{told}");
            for secret in hidden {
                assert!(!told.contains(secret), "{secret} in {told}");
            }
            assert_eq!(failure.detail["headers"]["set-cookie"], "[redacted]");
            let shown = &failure.detail["headers"]["www-authenticate"];
            assert_eq!(shown, "Bearer error=\"invalid_token\"");
            assert_eq!(failure.detail["location"], "https://login/");
        }
    }
}
