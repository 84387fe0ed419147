//! The bytes that are signed, put together without copying the body.

use super::{
    encoding::encode_hex,
    header::Headers,
    mac,
    scheme::{Part, Scheme, UrlForm},
    verification::Reason,
};

/// The most parameters of a form that are taken apart and sorted. Twilio sends some dozens.
pub const MAX_PARAMETERS: usize = 10_000;

/// What of a request can be signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its headers.
    pub headers: Headers<'a>,
    /// Its raw body.
    pub body: &'a [u8],
    /// Its HTTP method; `POST` unless given.
    pub method: &'a str,
    /// Its URL as the sender called it, where a scheme signs it.
    pub url: Option<&'a str>,
}

/// The variable parts of the content, read before any hashing.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    /// The timestamp as sent.
    pub stamp: Option<&'a str>,
    /// The delivery's id.
    pub id: Option<&'a str>,
    /// The spellings of the URL to try; empty when the scheme signs none.
    urls: Vec<String>,
    /// Twilio's sorted parameters.
    parameters: Vec<u8>,
}

impl<'a> Facts<'a> {
    /// Reads what `scheme` signs besides body and timestamp.
    pub fn read(scheme: &Scheme, request: &Request<'a>) -> Result<Self, Reason> {
        let mut facts = Self::default();
        if scheme.signs(&Part::Id) {
            facts.id = Some(request.headers.required(&scheme.id)?);
        } else if !scheme.id.is_empty() {
            facts.id = request.headers.get(&scheme.id)?;
        }
        if scheme.signs(&Part::Url) {
            let url = request.url.ok_or_else(|| {
                Reason::error(format!(
                    "{} signs the URL: give the verifier its 'url'",
                    scheme.name
                ))
            })?;
            facts.urls = spellings(scheme.url, url);
            if scheme.signs(&Part::Parameters) {
                facts.parameters = parameters(url, request.body)?;
            }
        }
        Ok(facts)
    }

    /// How many contents the sender may have signed: one for each spelling of the URL.
    pub fn contents(&self) -> usize {
        self.urls.len().max(1)
    }

    /// The content of one spelling, as parts to be written one after the other.
    pub fn content<'s>(
        &'s self,
        scheme: &'s Scheme,
        request: &Request<'s>,
        spelling: usize,
    ) -> Vec<&'s [u8]> {
        let bytes = |part: &'s Part| match part {
            Part::Text(text) => text.as_bytes(),
            Part::Body => request.body,
            Part::Stamp => self.stamp.unwrap_or_default().as_bytes(),
            Part::Id => self.id.unwrap_or_default().as_bytes(),
            Part::Method => request.method.as_bytes(),
            Part::Url => self
                .urls
                .get(spelling)
                .map_or(&[][..], |url| url.as_bytes()),
            Part::Parameters => &self.parameters,
        };
        scheme.content.iter().map(bytes).collect()
    }
}

/// The spellings of `url` that the sender may have signed, each once, the given one first.
fn spellings(form: UrlForm, url: &str) -> Vec<String> {
    let mut urls = vec![url.to_owned()];
    match form {
        UrlForm::AsCalled => {}
        UrlForm::PercentDecoded => urls.push(decode_twelve(url)),
        UrlForm::AnyPort => urls.extend(with_and_without_port(url)),
    }
    urls.dedup();
    urls
}

/// HubSpot v3 signs the URL with these escapes decoded and all others left alone.
fn decode_twelve(url: &str) -> String {
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

/// Twilio signs the URL it was configured with, whose port a proxy may have added or removed.
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

/// The parameters of a form body by name, repeated values sorted and each once. A URL with `bodySHA256`
/// announces another kind of body: then that digest must be right, and nothing follows the URL.
fn parameters(url: &str, body: &[u8]) -> Result<Vec<u8>, Reason> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    if let Some((_, digest)) = form(query.as_bytes())
        .into_iter()
        .find(|(name, _)| name == b"bodySHA256")
    {
        let right = digest == encode_hex(&mac::sha256(body)).into_bytes();
        return if right {
            Ok(Vec::new())
        } else {
            Err(Reason::Mismatch)
        };
    }
    let pieces = body.split(|byte| *byte == b'&');
    if pieces.filter(|pair| !pair.is_empty()).count() > MAX_PARAMETERS {
        return Err(Reason::error(format!(
            "the form has more than {MAX_PARAMETERS} parameters"
        )));
    }
    let mut pairs = form(body);
    pairs.sort();
    pairs.dedup();
    Ok(pairs
        .into_iter()
        .flat_map(|(name, value)| [name, value])
        .flatten()
        .collect())
}

/// The pairs of an `application/x-www-form-urlencoded` text, decoded.
fn form(text: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = pair.split_at(at.unwrap_or(pair.len()));
            (
                form_text(name),
                form_text(value.get(1..).unwrap_or_default()),
            )
        })
        .collect()
}

fn form_text(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, escape(after)) {
            (b'+', _) => decoded.push(b' '),
            (b'%', Some(value)) => {
                decoded.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => decoded.push(*byte),
        }
    }
    decoded
}

fn escape(after_percent: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(after_percent.get(..2)?).ok()?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hubspot_decodes_twelve_escapes_in_one_pass_and_no_other() {
        assert_eq!(
            decode_twelve("https://h/a%3a%2f%3F%40%21%24%27%28%29%2A%2C%3B?q=%20%26%253A%"),
            "https://h/a:/?@!$'()*,;?q=%20%26%253A%"
        );
        assert_eq!(decode_twelve("%+3%é%3"), "%+3%é%3");
    }

    #[test]
    fn the_default_port_is_tried_with_and_without() {
        let spell = |url| spellings(UrlForm::AnyPort, url);
        assert_eq!(
            spell("https://h/p?a=b:1"),
            ["https://h/p?a=b:1", "https://h:443/p?a=b:1"]
        );
        assert!(spell("https://h:8443/p").contains(&"https://h/p".to_owned()));
        assert!(spell("http://u:p@[::1]/").contains(&"http://u:p@[::1]:80/".to_owned()));
        assert_eq!(spell("/relative"), ["/relative"]);
    }

    #[test]
    fn form_parameters_are_decoded_sorted_and_repeated_values_kept_once() {
        let body = b"b=2&a=x+y&a=%C3%A9&a=x+y&empty&&c=%zz";
        let text = parameters("https://h/", body).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "ax yaéb2c%zzempty");
    }

    #[test]
    fn a_form_of_more_parameters_than_anybody_sends_is_not_sorted() {
        let most = "a&".repeat(MAX_PARAMETERS);
        assert_eq!(parameters("https://h/", most.as_bytes()), Ok(b"a".to_vec()));
        let reason = Reason::error("the form has more than 10000 parameters");
        let more = format!("{most}&b");
        assert_eq!(parameters("https://h/", more.as_bytes()), Err(reason));
    }

    #[test]
    fn a_digest_in_the_url_must_be_the_bodys() {
        let digest = encode_hex(&mac::sha256(b"{}"));
        let url = format!("https://h/?bodySHA256={digest}");
        assert_eq!(parameters(&url, b"{}"), Ok(Vec::new()));
        assert_eq!(parameters(&url, b"{ }"), Err(Reason::Mismatch));
    }
}
