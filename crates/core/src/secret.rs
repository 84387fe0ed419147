//! Values that must not be printed.

use std::fmt;

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

    /// Whether there is nothing in it.
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

/// A URL as it may appear in errors, logs and events: without user info, query and fragment.
pub fn redact_url(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = &url[..end];
    let Some(scheme_end) = url.find("://").map(|at| at + 3) else {
        return url.to_owned();
    };
    let authority_end = url[scheme_end..]
        .find('/')
        .map_or(url.len(), |at| scheme_end + at);
    match url[scheme_end..authority_end].rfind('@') {
        Some(at) => format!("{}{}", &url[..scheme_end], &url[scheme_end + at + 1..]),
        None => url.to_owned(),
    }
}

/// What names of headers with a credential have in them.
const CREDENTIAL_WORDS: [&str; 9] = [
    "auth",
    "token",
    "key",
    "secret",
    "cookie",
    "password",
    "credential",
    "signature",
    "session",
];
/// Has such a word in it, and tells nobody anything.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Whether a header of this name carries a credential, as far as a name can tell. In doubt it does.
pub fn is_credential_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name != IDEMPOTENCY_KEY && CREDENTIAL_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_with_credentials_are_known_by_their_names() {
        for name in [
            "Authorization",
            "proxy-authorization",
            "Cookie",
            "X-API-Key",
            "x-auth-token",
            "X-Hub-Signature-256",
            "X-Session-Id",
        ] {
            assert!(is_credential_header(name), "{name}");
        }
        for name in ["accept", "content-type", "Idempotency-Key", "traceparent"] {
            assert!(!is_credential_header(name), "{name}");
        }
    }

    #[test]
    fn debug_shows_no_byte_of_it() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }

    #[test]
    fn urls_are_shown_without_user_info_and_query() {
        let shown = redact_url("https://me:pw@db.example.com:8080/a?authToken=t#f");
        assert_eq!(shown, "https://db.example.com:8080/a");
        assert_eq!(redact_url("file:local.db?x=1"), "file:local.db");
        assert_eq!(redact_url("http://h/p@q"), "http://h/p@q");
    }
}
