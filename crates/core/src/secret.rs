//! Values that must not be printed.

use std::{borrow::Cow, fmt};

use url::{Position, Url};

/// A shorter secret is not looked for in texts.
const SHORTEST_HIDDEN: usize = 6;

/// A secret: it has no `Display`, its `Debug` shows a placeholder, and its bytes are overwritten on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the secret over.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(value.into())
    }

    /// The bytes, named so that every use stands out in a review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The text of a secret that came in as text; `None` when it is not UTF-8.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Returns `text`, of another's, without the secret; one so short that it may be part of a word is not looked for.
    pub fn hidden_in<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.expose_text() {
            Some(secret) if secret.len() >= SHORTEST_HIDDEN && text.contains(secret) => {
                text.replace(secret, "[redacted]").into()
            }
            _ => text.into(),
        }
    }

    /// Whether the secret has no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from dropping the writes to memory that is about to be freed.
        std::hint::black_box(&self.0);
    }
}

/// A URL as it may appear in errors, logs and events: without user info, query, fragment and what follows a semicolon
/// (`jdbc:` and `sqlserver:` URLs have a password there), and as the URL parser reads it, which finds a host in
/// `https:me:pw@host` as well. Of what is no URL only the scheme is left.
pub fn redact_url(url: &str) -> String {
    let Ok(parsed) = Url::parse(url) else {
        return format!("{}…", scheme_of(url));
    };
    let scheme = parsed.scheme();
    if parsed.has_host() {
        let rest = &parsed[Position::BeforeHost..Position::AfterPath];
        return format!("{scheme}://{}", without_parameters(rest));
    }
    let slashes = if parsed.has_authority() { "//" } else { "" };
    // Without a host it is unknown where user info ends: `postgres:me:pw@host` is all path.
    match parsed.path() {
        path if path.contains('@') => format!("{scheme}:{slashes}…"),
        path => format!("{scheme}:{slashes}{}", without_parameters(path)),
    }
}

fn without_parameters(path: &str) -> Cow<'_, str> {
    match path.split_once(';') {
        Some((path, _)) => format!("{path};…").into(),
        None => path.into(),
    }
}

/// The scheme with its colon; empty where there is none.
fn scheme_of(url: &str) -> &str {
    let url = url.trim_start_matches(|c: char| c <= ' ');
    let length = url
        .find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))
        .filter(|end| {
            url[*end..].starts_with(':') && url.starts_with(|c: char| c.is_ascii_alphabetic())
        });
    length.map_or("", |end| &url[..=end])
}

/// The number of characters of a server's text that are shown.
const SHOWN_CHARS: usize = 500;

/// A server's text as it may appear in an error: on one line, not endless, and without a secret of ours that it
/// repeats.
pub fn redact_text<'s>(text: &str, secrets: impl IntoIterator<Item = &'s Secret>) -> String {
    let mut text = Cow::Borrowed(text);
    for secret in secrets {
        text = secret.hidden_in(&text).into_owned().into();
    }
    let mut words = text.split(|c: char| c.is_control() || c.is_whitespace());
    let mut shown = String::new();
    for word in words.by_ref().filter(|word| !word.is_empty()) {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
        if let Some((end, _)) = shown.char_indices().nth(SHOWN_CHARS) {
            shown.truncate(end);
            shown.push('…');
            break;
        }
    }
    shown
}

/// Headers that carry no credential: how an answer is wanted, what a body is, and what a trace, a cache or a repeat
/// goes by. Every other one may.
const HARMLESS_HEADERS: [&str; 23] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "date",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-event-id",
    "prefer",
    "range",
    "traceparent",
    "tracestate",
    "user-agent",
];

/// Whether a header of this name can be shown, and go to another origin. In doubt it cannot.
pub fn is_harmless_header(name: &str) -> bool {
    HARMLESS_HEADERS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Headers of an answer that carry no credential either.
const HARMLESS_IN_ANSWERS: [&str; 19] = [
    "age",
    "allow",
    "cf-ray",
    "content-length",
    "etag",
    "expires",
    "last-modified",
    "proxy-authenticate",
    "retry-after",
    "retry-after-ms",
    "sec-websocket-version",
    "server",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "www-authenticate",
    "x-correlation-id",
    "x-request-id",
];

/// Whether a header of this name can be shown that came with an answer. In doubt it cannot.
pub fn is_harmless_in_answer(name: &str) -> bool {
    let known = HARMLESS_IN_ANSWERS.iter();
    is_harmless_header(name)
        || known
            .into_iter()
            .any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_may_carry_a_credential_unless_it_is_known_not_to() {
        for name in [
            "Authorization",
            "cookie",
            "X-API-Key",
            "x-jwt",
            "dpop",
            "x-pwd",
            "sid",
            "x-own",
            "accept-token",
        ] {
            assert!(!is_harmless_header(name), "{name}");
        }
        for name in ["accept", "Content-Type", "Idempotency-Key", "traceparent"] {
            assert!(is_harmless_header(name), "{name}");
        }
    }

    #[test]
    fn an_answer_shows_what_helps_and_not_what_it_grants() {
        for name in ["Retry-After", "www-authenticate", "content-type"] {
            assert!(is_harmless_in_answer(name), "{name}");
        }
        for name in ["set-cookie", "x-auth-token", "authentication-info"] {
            assert!(!is_harmless_in_answer(name), "{name}");
        }
    }

    #[test]
    fn what_a_server_says_is_one_bounded_line_without_our_secret() {
        let token = Secret::new("hunter2");
        let said = redact_text(" no\r\n db\u{1b}[1m for hunter2, hunter2 ", Some(&token));
        assert_eq!(said, "no db [1m for [redacted], [redacted]");
        for word in ["", "key"] {
            assert_eq!(redact_text("no key", Some(&Secret::new(word))), "no key");
        }
        for long in ["ä".repeat(9999), "a ".repeat(9999)] {
            let said = redact_text(&long, None);
            assert_eq!(said.chars().count(), SHOWN_CHARS + 1);
            assert!(said.ends_with('…'));
        }
    }

    #[test]
    fn debug_shows_no_byte_of_it() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }

    #[test]
    fn urls_are_shown_without_user_info_query_and_fragment() {
        let table = [
            (
                "https://me:pw@db.example.com:8080/a?authToken=t#f",
                "https://db.example.com:8080/a",
            ),
            ("http://h/p@q", "http://h/p@q"),
            ("http://[::1]:8/?key=t", "http://[::1]:8/"),
            ("https:/me:pw@h:1/", "https://h:1/"),
            ("https:me:pw@h/", "https://h/"),
            ("https:\\\\me:pw@h\\a", "https://h/a"),
            (" ht\ntps://me:pw@h/", "https://h/"),
            ("file:///db?authToken=t", "file:///db"),
            ("unix:///run/s?token=t", "unix:///run/s"),
            ("redis://:pw@h:6379/0", "redis://h:6379/0"),
            ("serial:COM3?key=t", "serial:COM3"),
            ("http://h/a;key=t/b", "http://h/a;…"),
            ("sqlserver://h:1;password=t", "sqlserver:…"),
            ("jdbc:sqlserver:h;password=t", "jdbc:sqlserver:h;…"),
        ];
        for (url, shown) in table {
            assert_eq!(redact_url(url), shown, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_shows_its_scheme_only() {
        let table = [
            ("http://me:hunter2/x@h:1/", "http:…"),
            ("http://h:99999/?key=hunter2", "http:…"),
            ("WS://[::1/?key=hunter2", "WS:…"),
            ("foo://me:hunter2@/x", "foo:…"),
            ("postgres:me:hunter2@h/db", "postgres:…"),
            ("foo:/me:hunter2@h/x", "foo:…"),
            ("unix:///me:hunter2@h", "unix://…"),
            ("//me:hunter2@h/", "…"),
            ("hunter2", "…"),
            ("", "…"),
        ];
        for (url, shown) in table {
            assert_eq!(redact_url(url), shown, "{url}");
        }
    }
}
