//! The signed URL: the candidates for it, and the forms in which it may be written.

use std::borrow::Cow;

use url::Url;

use super::{
    form::{self, decode_text},
    scheme::UrlForm,
};

/// The URLs that the sender may have called, the likeliest first; none where none is known.
///
/// An absolute `given` is the one. A path, as servers see it, stands on the origin of the `configured` URL; and the
/// configured one itself counts where a proxy may have made the path from it: its beginning is cut off, the query is missing
/// or escaped differently. A longer path that ends with the configured one may be another endpoint, and is none. A query of another meaning was never signed with the configured URL.
pub(super) fn candidates<'u>(
    configured: Option<&'u str>,
    given: Option<&'u str>,
) -> Vec<Cow<'u, str>> {
    match (given, configured) {
        (Some(path), Some(url)) if path.starts_with('/') => {
            let (origin, at_origin) = url.split_at(end_of_origin(url));
            let mut urls = vec![format!("{origin}{path}").into()];
            urls.extend(url_before_proxy(url, at_origin, path));
            urls
        }
        (given, configured) => given
            .or(configured)
            .map(Cow::Borrowed)
            .into_iter()
            .collect(),
    }
}

fn end_of_origin(url: &str) -> usize {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..].find(['/', '?', '#']);
    end.map_or(url.len(), |end| authority + end)
}

/// The configured `url`, whose path and query are `public`, where what a server has `seen` may come from it.
fn url_before_proxy<'u>(url: &'u str, public: &str, seen: &str) -> Option<Cow<'u, str>> {
    let (public_path, public_query) = public.split_once('?').unwrap_or((public, ""));
    let (seen_path, seen_query) = seen.split_once('?').unwrap_or((seen, ""));
    if !is_end_of(&decode_text(public_path), &decode_text(seen_path)) {
        return None;
    }
    if seen_query.is_empty() {
        return Some(url.into());
    }
    if public_query.is_empty() {
        let path = url.strip_suffix('?').unwrap_or(url);
        return Some(format!("{path}?{seen_query}").into());
    }
    let pairs = |query: &str| form::pairs(query.as_bytes());
    (pairs(public_query) == pairs(seen_query)).then_some(url.into())
}

/// Whether `end` is the path `whole`, or the end of it from a slash on. The end of every path is `/`, which says nothing.
fn is_end_of(whole: &[u8], end: &[u8]) -> bool {
    whole == end || (end.len() > 1 && end.starts_with(b"/") && whole.ends_with(end))
}

/// The ways in which the sender may have written `url`, the one it signs with first.
pub(super) fn url_variants(form: UrlForm, url: &str) -> Vec<String> {
    match form {
        UrlForm::AsCalled => vec![url.to_owned()],
        UrlForm::PercentDecoded => vec![decode_hubspot_escapes(url), url.to_owned()],
        UrlForm::AnyVariant => twilio_url_variants(url),
    }
}

/// Twilio signs the URL it was configured with. A proxy may have added or removed its port, and a URL parser escapes
/// characters of its query that Twilio leaves alone (`'`), where older senders escape what the parser leaves alone.
fn twilio_url_variants(url: &str) -> Vec<String> {
    let mut urls = vec![url.to_owned()];
    urls.extend(with_and_without_port(url));
    if let Ok(parsed) = Url::parse(url) {
        let escaped = String::from(parsed);
        urls.extend(with_and_without_port(&form::with_encoded_query(&escaped)));
        urls.extend(with_and_without_port(&escaped));
    }
    urls
}

/// HubSpot v3 signs the URL with these escapes decoded and all others left alone.
fn decode_hubspot_escapes(url: &str) -> String {
    const DECODED: &[u8; 12] = b":/?@!$'()*,;";
    let mut text = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(at) = rest.find('%') {
        let escape = rest.get(at + 1..at + 3).unwrap_or_default();
        let character = u8::from_str_radix(escape, 16)
            .ok()
            .filter(|byte| DECODED.contains(byte));
        text.push_str(&rest[..at]);
        if let Some(byte) = character {
            text.push(char::from(byte));
            rest = &rest[at + 3..];
        } else {
            text.push('%');
            rest = &rest[at + 1..];
        }
    }
    text.push_str(rest);
    text
}

/// A URL without its port, and with the one its scheme has anyway.
fn with_and_without_port(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Vec::new();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host_start = authority.rfind('@').map_or(0, |at| at + 1);
    let port = authority[host_start..]
        .rfind(':')
        .map(|at| host_start + at)
        .filter(|at| {
            authority[at + 1..]
                .bytes()
                .all(|byte| byte.is_ascii_digit())
        });
    let host = port.map_or(authority, |at| &authority[..at]);
    let default = if scheme.eq_ignore_ascii_case("https") {
        443
    } else {
        80
    };
    vec![
        format!("{scheme}://{host}{path}"),
        format!("{scheme}://{host}:{default}{path}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hubspot_decodes_twelve_escapes_in_one_pass_and_no_other() {
        assert_eq!(
            decode_hubspot_escapes(
                "https://h/a%3a%2f%3F%40%21%24%27%28%29%2A%2C%3B?q=%20%26%253A%"
            ),
            "https://h/a:/?@!$'()*,;?q=%20%26%253A%"
        );
        assert_eq!(decode_hubspot_escapes("%+3%é%3"), "%+3%é%3");
    }

    #[test]
    fn the_default_port_is_tried_with_and_without() {
        let spell = |url| url_variants(UrlForm::AnyVariant, url);
        let plain = spell("https://h/p?a=b");
        assert_eq!(plain[0], "https://h/p?a=b");
        assert!(plain.contains(&"https://h:443/p?a=b".to_owned()));
        assert!(spell("https://h:8443/p").contains(&"https://h/p".to_owned()));
        assert!(spell("http://u:p@[::1]/").contains(&"http://u:p@[::1]:80/".to_owned()));
        assert_eq!(spell("/relative"), ["/relative"]);
    }

    #[test]
    fn a_query_is_tried_as_parsers_and_as_senders_escape_it() {
        let spell =
            |query: &str| url_variants(UrlForm::AnyVariant, &format!("https://h/p?{query}"));
        for (seen, signed) in [
            ("n=O'Neil", "n=O%27Neil"),
            ("n=O%27Neil", "n=O'Neil"),
            ("n=a b\"<>é", "n=a%20b%22%3C%3E%C3%A9"),
            ("n=%c3%a9&m=a+b&&o", "n=%C3%A9&m=a%20b&o="),
        ] {
            for port in ["", ":443"] {
                let signed = format!("https://h{port}/p?{signed}");
                assert!(spell(seen).contains(&signed), "{seen}: {:?}", spell(seen));
            }
        }
    }

    fn candidate_urls(configured: &str, given: &str) -> Vec<String> {
        candidates(Some(configured), Some(given))
            .into_iter()
            .map(Cow::into_owned)
            .collect()
    }

    #[test]
    fn the_configured_url_counts_where_a_proxy_may_have_made_the_path_from_it() {
        let public = "https://h/prod/hook";
        assert_eq!(candidate_urls(public, "/hook"), ["https://h/hook", public]);
        assert_eq!(
            candidate_urls(public, "/hook?a=1"),
            ["https://h/hook?a=1", "https://h/prod/hook?a=1"]
        );
        let quoted = "https://h/hook?n=O'Neil&m=a b";
        assert_eq!(
            candidate_urls(quoted, "/hook?n=O%27Neil&m=a%20b")[1],
            quoted
        );
        assert_eq!(candidate_urls(quoted, "/hook")[1], quoted);
        assert_eq!(
            candidate_urls("https://h/höok", "/h%C3%B6ok")[1],
            "https://h/höok"
        );
        assert_eq!(candidate_urls("https://h", "/hook"), ["https://h/hook"]);
    }

    #[test]
    fn no_path_and_no_query_of_another_meaning_passes_for_the_configured_one() {
        for (configured, given) in [
            ("https://h/hooks/paid", "/hooks/refund"),
            ("https://h/hooks/paid", "/paid-not"),
            ("https://h/hooks/paid", "/"),
            ("https://h/", "/any/"),
            ("https://h/hook", "/payments/hook"),
            ("https://h/hook", "/x/../hook"),
            ("https://h/hook", "/x%2fhook"),
            ("https://h/hook", "/admin%3f/hook"),
            ("https://h/hook?tenant=a", "/hook?tenant=b"),
            ("https://h/hook?tenant=a", "/hook?tenant=a&tenant=b"),
        ] {
            assert_eq!(
                candidate_urls(configured, given),
                [format!("https://h{given}")],
                "{configured} {given}"
            );
        }
    }
}
