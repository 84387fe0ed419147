//! The parts of a database's URL, as `@libsql/client` reads them.
//!
//! Not by the `url` crate, which has no relative `file:` URLs, and repairs what is refused here: blanks, backslashes, a
//! missing `//`.

use std::borrow::Cow;

/// A parsed URL.
pub(super) struct Uri<'a> {
    /// In lower case.
    pub(super) scheme: String,
    /// The authority, which follows `//`; `None` without one.
    pub(super) authority: Option<&'a str>,
    /// As written.
    pub(super) path: &'a str,
    /// The path, percent-decoded.
    pub(super) decoded_path: String,
    /// The key and value of each pair, decoded.
    pub(super) query: Vec<(String, String)>,
    /// Whether there is a fragment.
    pub(super) has_fragment: bool,
}

impl<'a> Uri<'a> {
    /// Parses `text`; the error is the reason why it is no URL.
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let no_scheme = "is not a URL: it has no scheme such as 'file:' or 'libsql:'";
        let (scheme, rest) = text.split_once(':').ok_or(no_scheme)?;
        let of_scheme = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'+' | b'-');
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            || !scheme.bytes().all(of_scheme)
        {
            return Err(no_scheme);
        }
        let (rest, fragment) = split(rest, '#');
        let (rest, query) = split(rest, '?');
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(authority), path)
            }
            None => (None, rest),
        };
        let escape = "has a broken %-escape";
        let pairs = query.unwrap_or_default().split('&');
        let query = pairs.filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((form_decode(key)?, form_decode(value)?))
        });
        percent_decode(fragment.unwrap_or_default()).ok_or(escape)?;
        Ok(Self {
            scheme: scheme.to_ascii_lowercase(),
            authority,
            path,
            decoded_path: percent_decode(path).ok_or(escape)?,
            query: query.collect::<Option<_>>().ok_or(escape)?,
            has_fragment: fragment.is_some(),
        })
    }
}

fn split(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn form_decode(text: &str) -> Option<String> {
    percent_decode(&text.replace('+', " "))
}

/// Decodes percent escapes; `None` for a malformed escape, or one that is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let well_formed = text
        .split('%')
        .skip(1)
        .all(|after| matches!(after.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()));
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.ok().filter(|_| well_formed).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_and_decoded() {
        let uri = Uri::parse("LibSQL://h%6F:1/a%20b?%74ls=0&a+b=c%2Bd&&e#f").unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(uri.scheme, "libsql");
        assert_eq!(uri.authority, Some("h%6F:1"));
        assert_eq!((uri.path, &*uri.decoded_path), ("/a%20b", "/a b"));
        let query = [pair("tls", "0"), pair("a b", "c+d"), pair("e", "")];
        assert_eq!(uri.query, query);
        assert!(uri.has_fragment);
        let uri = Uri::parse("file::memory:").unwrap();
        assert_eq!(
            (uri.authority, uri.path, uri.has_fragment),
            (None, ":memory:", false)
        );
    }

    #[test]
    fn an_invalid_url_is_refused() {
        for text in [
            "",
            "app.db",
            ":memory:",
            "/a:b",
            " file:a",
            "h2:a",
            "é:a",
            "file:a%zz",
            "file:a%f",
            "file:%ff",
            "file:a?b=%",
            "file:a#%",
        ] {
            assert!(Uri::parse(text).is_err(), "{text}");
        }
    }
}
