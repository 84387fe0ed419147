//! The signed content of a request, assembled without copying the body.

use std::borrow::Cow;

use super::{
    encoding::encode_hex,
    form,
    header::Headers,
    mac,
    scheme::{Part, Scheme},
    signed_url::url_variants,
    verification::Reason,
};

/// The most parameters of a form that are taken apart and sorted. Twilio sends some dozens.
pub const MAX_PARAMETERS: usize = 10_000;
/// The largest form: it is hashed once for each variant of the URL. Twilio sends some kilobytes.
pub const MAX_FORM_BYTES: usize = 1024 * 1024;

/// The parts of a request that can be signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its headers.
    pub headers: Headers<'a>,
    /// Its raw body.
    pub body: &'a [u8],
    /// Its HTTP method; `POST` unless given.
    pub method: &'a str,
    /// The URLs that the sender may have called, the likeliest first, where a scheme signs it.
    pub urls: &'a [Cow<'a, str>],
}

/// The variable parts of the content, read before any hashing.
#[derive(Debug, Default)]
pub struct SignedParts<'a> {
    /// The timestamp as sent.
    pub timestamp: Option<&'a str>,
    /// The delivery's id.
    pub id: Option<&'a str>,
    /// The spellings of the URL to try, each once, first the one to sign with; empty when the scheme signs none.
    urls: Vec<String>,
    /// Twilio's sorted parameters.
    parameters: Vec<u8>,
}

impl<'a> SignedParts<'a> {
    /// Reads what `scheme` signs besides body and timestamp.
    pub fn read(scheme: &Scheme, request: &Request<'a>) -> Result<Self, Reason> {
        let mut signed_parts = Self::default();
        if scheme.signs(&Part::Id) {
            signed_parts.id = Some(request.headers.required(&scheme.id)?);
        } else if !scheme.id.is_empty() {
            signed_parts.id = request.headers.get(&scheme.id)?;
        }
        if scheme.signs(&Part::Url) {
            let url = request.urls.first().ok_or_else(|| {
                Reason::error(format!("{} signs the URL: 'url' is required", scheme.name))
            })?;
            for variant in request
                .urls
                .iter()
                .flat_map(|url| url_variants(scheme.url, url))
            {
                if !signed_parts.urls.contains(&variant) {
                    signed_parts.urls.push(variant);
                }
            }
            if scheme.signs(&Part::Parameters) {
                signed_parts.parameters = parameters(url, request.body)?;
            }
        }
        Ok(signed_parts)
    }

    /// The number of contents that the sender may have signed: one for each variant of the URL.
    pub fn contents(&self) -> usize {
        self.urls.len().max(1)
    }

    /// The content of one variant, as parts to be written one after the other.
    pub fn content<'s>(
        &'s self,
        scheme: &'s Scheme,
        request: &Request<'s>,
        variant: usize,
    ) -> Vec<&'s [u8]> {
        let bytes = |part: &'s Part| match part {
            Part::Text(text) => text.as_bytes(),
            Part::Body => request.body,
            Part::Timestamp => self.timestamp.unwrap_or_default().as_bytes(),
            Part::Id => self.id.unwrap_or_default().as_bytes(),
            Part::Method => request.method.as_bytes(),
            Part::Url => self.urls.get(variant).map_or(&[][..], |url| url.as_bytes()),
            Part::Parameters => &self.parameters,
        };
        scheme.content.iter().map(bytes).collect()
    }
}

/// The parameters of a form body by name, repeated values sorted and each once. A URL with `bodySHA256`
/// announces another kind of body: then that digest must be right, and nothing follows the URL.
fn parameters(url: &str, body: &[u8]) -> Result<Vec<u8>, Reason> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    if let Some((_, digest)) = form::pairs(query.as_bytes())
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
    if body.len() > MAX_FORM_BYTES {
        return Err(Reason::error("the form is larger than 1 MiB"));
    }
    let mut pairs = form::pairs(body);
    pairs.sort();
    pairs.dedup();
    Ok(pairs
        .into_iter()
        .flat_map(|(name, value)| [name, value])
        .flatten()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_form_larger_than_anybody_sends_is_not_hashed() {
        let most = vec![b'a'; MAX_FORM_BYTES];
        assert_eq!(parameters("https://h/", &most), Ok(most.clone()));
        let reason = Reason::error("the form is larger than 1 MiB");
        let more = [&most[..], b"a"].concat();
        assert_eq!(parameters("https://h/", &more), Err(reason));
        let digest = encode_hex(&mac::sha256(&more));
        let url = format!("https://h/?bodySHA256={digest}");
        assert_eq!(parameters(&url, &more), Ok(Vec::new()));
    }

    #[test]
    fn a_digest_in_the_url_must_be_the_bodys() {
        let digest = encode_hex(&mac::sha256(b"{}"));
        let url = format!("https://h/?bodySHA256={digest}");
        assert_eq!(parameters(&url, b"{}"), Ok(Vec::new()));
        assert_eq!(parameters(&url, b"{ }"), Err(Reason::Mismatch));
    }
}
