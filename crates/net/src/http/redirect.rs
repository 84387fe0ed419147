//! URLs of requests and of redirects.

use bytes::Bytes;
use http::{HeaderValue, Uri};
use moorline_core::options::Read;
use url::Url;

use super::config::bad_value;

/// A URL, and the `Authorization` that its user info stands for.
pub(super) fn read_url(text: &str) -> Read<(Uri, Option<HeaderValue>)> {
    if is_plain(text)
        && let Ok(uri) = Uri::try_from(text)
        && uri.authority().is_some()
    {
        return Ok((uri, None));
    }
    let bad = || bad_value("request.url", "must be an http:// or https:// URL");
    let url = Url::parse(text).map_err(|_| bad())?;
    let login = login_of(&url);
    normalize(url).map(|uri| (uri, login)).ok_or_else(bad)
}

/// Resolves a `Location` against the URL of the request.
pub(super) fn resolve_location(from: &Uri, location: &HeaderValue) -> Option<Uri> {
    let location = String::from_utf8_lossy(location.as_bytes());
    let base = Url::parse(&from.to_string()).ok()?;
    normalize(base.join(&location).ok()?)
}

fn normalize(mut url: Url) -> Option<Uri> {
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    (matches!(url.scheme(), "http" | "https") && url.has_host())
        .then(|| Uri::try_from(url.as_str()).ok())
        .flatten()
}

fn login_of(url: &Url) -> Option<HeaderValue> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [
        &decode(url.username()),
        &b":"[..],
        &decode(url.password().unwrap_or_default()),
    ]
    .concat();
    let value = Bytes::from(format!("Basic {}", BASE64_STANDARD.encode(pair)));
    let mut value = HeaderValue::from_maybe_shared(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether a URL is as the URL standard would write it, judged quickly and to be on the safe side.
fn is_plain(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest else { return false };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let plain_host = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b':');
    let plain_path = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'/' | b'?'
                    | b'='
                    | b'&'
                    | b'-'
                    | b'_'
                    | b'~'
                    | b'.'
                    | b'%'
                    | b'+'
                    | b','
                    | b':'
                    | b';'
                    | b'@'
                    | b'!'
                    | b'$'
                    | b'*'
                    | b'('
                    | b')'
            )
    };
    path.starts_with('/')
        && authority.starts_with(|first: char| first.is_ascii_alphanumeric())
        && authority.bytes().all(plain_host)
        // A last label of digits may be an address in disguise, unless it is a usual one.
        && is_usual_host(authority)
        && path.bytes().all(plain_path)
        && !path.contains("/.")
        && !path.contains("%2e")
        && !path.contains("%2E")
}

fn is_usual_host(authority: &str) -> bool {
    let (host, port) = authority.split_once(':').unwrap_or((authority, "8080"));
    // The standard leaves out a port that goes without saying, and refuses one that cannot be.
    if !port
        .parse::<u16>()
        .is_ok_and(|port| port != 80 && port != 443)
    {
        return false;
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    !last.starts_with(|first: char| first.is_ascii_digit())
        || host.parse::<std::net::Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_what_the_url_standard_makes_of_it() {
        for (given, sent) in [
            ("http://h.example/a?b=c", "http://h.example/a?b=c"),
            ("https://H.Example", "https://h.example/"),
            ("http://h/a b?q=ä#frag", "http://h/a%20b?q=%C3%A4"),
            ("http://h/a/../b", "http://h/b"),
            ("http://2130706433/", "http://127.0.0.1/"),
            ("http://127.1:80/x", "http://127.0.0.1/x"),
            ("http://[::1]:8/x", "http://[::1]:8/x"),
            ("http://h:80/x", "http://h/x"),
            ("http://h:443/x", "http://h:443/x"),
        ] {
            assert_eq!(read_url(given).unwrap().0.to_string(), sent, "{given}");
            let again = Url::parse(given).unwrap();
            assert_eq!(normalize(again).unwrap().to_string(), sent, "{given}");
        }
        for bad in [
            "",
            "/path",
            "ftp://h/",
            "http://",
            "data:,x",
            "http://h:99999/",
        ] {
            assert!(read_url(bad).is_err(), "{bad}");
        }
    }
}
