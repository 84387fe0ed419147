//! A signing scheme as data: the parts of a request and the function over them.

use std::{borrow::Cow, time::Duration};

use super::{encoding::Encoding, mac::Function};

/// One way to sign a request. The same description verifies and signs.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheme {
    /// The name users give and get; several rows may share one (`generic` has three spellings).
    pub name: Cow<'static, str>,
    /// The names of the header with the signature, lower case, separated by a space; the first is sent.
    pub header: Cow<'static, str>,
    /// A second header and what it lists (separated by a comma) of this scheme, where two share the signature's
    /// header. A request without the second header may be either.
    pub marker_header: Option<(&'static str, &'static str)>,
    /// The format of the header with the signature, and possibly the timestamp.
    pub grammar: Grammar,
    /// The place of the timestamp.
    pub timestamp: Timestamp,
    /// Whether timestamps count milliseconds instead of seconds.
    pub timestamp_in_ms: bool,
    /// The names of the headers with the delivery's id, in order of preference.
    pub id: Cow<'static, str>,
    /// The signed parts, in order.
    pub content: Vec<Part>,
    /// Which spellings of the URL are tried.
    pub url: UrlForm,
    /// The function that signs.
    pub algorithm: Algorithm,
    /// The encoding of the secret.
    pub key: KeyForm,
    /// The encoding of the signature.
    pub encoding: Encoding,
    /// The scheme's own window around now, used where the caller set none.
    pub window: Window,
}

/// The format of a signature header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// The signature alone, after a fixed prefix that may be empty: `sha256=…`.
    Bare(Cow<'static, str>),
    /// Named fields, one of them the timestamp: `t=…,v1=…,v1=…`.
    Fields {
        /// The separator of the fields.
        separator: char,
        /// The name of the timestamp's field.
        timestamp: Cow<'static, str>,
        /// The name of the signatures' fields.
        signature: Cow<'static, str>,
    },
    /// Versioned signatures separated by a space: `v1,… v1,…`. Other versions are skipped.
    List(Cow<'static, str>),
}

/// The place of a signed timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// Nowhere: the scheme signs none.
    None,
    /// In the signature's own header ([`Grammar::Fields`]).
    InSignature,
    /// In a header of its own; names as in [`Scheme::header`].
    Header(Cow<'static, str>),
    /// In a member at the top of the JSON body.
    Body(&'static str),
}

/// One part of the signed content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Fixed text.
    Text(Cow<'static, str>),
    /// The raw body.
    Body,
    /// The timestamp exactly as it was sent.
    Timestamp,
    /// The delivery's id.
    Id,
    /// The HTTP method.
    Method,
    /// The URL as the sender called it.
    Url,
    /// Twilio's: the sorted parameters of a form body, nothing for a body that the URL carries a digest of.
    Parameters,
}

/// Which spellings of a URL a sender may have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlForm {
    /// The one given.
    AsCalled,
    /// Also with twelve percent escapes decoded (HubSpot v3).
    PercentDecoded,
    /// Also with and without a port, and with its query escaped as other software does (Twilio).
    AnyVariant,
}

/// A function over the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// A function of a shared secret.
    Keyed(Function),
    /// Ed25519: the verifier needs the public key only.
    Ed25519,
}

impl Algorithm {
    /// The length of its signatures in bytes.
    pub const fn signature_bytes(self) -> usize {
        match self {
            Self::Keyed(Function::HmacSha256 | Function::Sha256) => 32,
            Self::Keyed(Function::HmacSha1) => 20,
            Self::Ed25519 => 64,
        }
    }
}

/// The encoding of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyForm {
    /// Its text is the key.
    Text,
    /// Base64, after `whsec_` where that is there.
    Base64,
    /// Hexadecimal digits.
    Hex,
    /// An Ed25519 key: hex digits, or base64 after `whpk_` (public) or `whsk_` (secret).
    Ed25519,
}

impl KeyForm {
    /// The description of the form, for the error about a secret that does not have it.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Base64 => "base64, with or without 'whsec_' before it",
            Self::Hex => "hexadecimal digits",
            Self::Ed25519 => {
                "an Ed25519 key as 64 hexadecimal digits or as base64 after 'whpk_' or 'whsk_'"
            }
        }
    }
}

/// The largest distance of a timestamp from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Into the past.
    pub max_age: Duration,
    /// Into the future, for clocks that differ.
    pub tolerance: Duration,
}

impl Window {
    /// The documented default: five minutes old, one minute ahead.
    pub const DEFAULT: Self = Self {
        max_age: Duration::from_mins(5),
        tolerance: Duration::from_mins(1),
    };

    /// The same distance both ways.
    pub const fn both_ways(distance: Duration) -> Self {
        Self {
            max_age: distance,
            tolerance: distance,
        }
    }
}

/// The names a content template may use between braces.
pub const PLACEHOLDERS: [(&str, Part); 6] = [
    ("{body}", Part::Body),
    ("{timestamp}", Part::Timestamp),
    ("{id}", Part::Id),
    ("{method}", Part::Method),
    ("{url}", Part::Url),
    ("{parameters}", Part::Parameters),
];

/// The parts of a template like `{id}.{timestamp}.{body}`; what is no placeholder is fixed text.
pub fn content(template: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((at, name, part)) = PLACEHOLDERS
        .iter()
        .filter_map(|(name, part)| Some((rest.find(name)?, name, part)))
        .min_by_key(|(at, ..)| *at)
    {
        if at > 0 {
            parts.push(Part::Text(rest[..at].to_owned().into()));
        }
        parts.push(part.clone());
        rest = &rest[at + name.len()..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned().into()));
    }
    parts
}

impl Scheme {
    /// An HMAC-SHA256 in lower-case hex, alone in its header, over `template`: what the others refine.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        header: impl Into<Cow<'static, str>>,
        template: &str,
    ) -> Self {
        Self {
            name: name.into(),
            header: header.into(),
            marker_header: None,
            grammar: Grammar::Bare("".into()),
            timestamp: Timestamp::None,
            timestamp_in_ms: false,
            id: "".into(),
            content: content(template),
            url: UrlForm::AsCalled,
            algorithm: Algorithm::Keyed(Function::HmacSha256),
            key: KeyForm::Text,
            encoding: Encoding::Hex,
            window: Window::DEFAULT,
        }
    }

    /// The provider whose scheme it is, in whatever version.
    pub fn provider(&self) -> &str {
        self.name
            .split_once("-v")
            .map_or(&self.name, |(provider, _)| provider)
    }

    /// Whether a timestamp is signed, so that a captured request goes stale.
    pub fn has_timestamp(&self) -> bool {
        self.timestamp != Timestamp::None
    }

    /// Whether `part` is signed.
    pub fn signs(&self, part: &Part) -> bool {
        self.content.contains(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_read_in_order() {
        assert_eq!(
            content("v0:{timestamp}:{body}"),
            [
                Part::Text("v0:".into()),
                Part::Timestamp,
                Part::Text(":".into()),
                Part::Body
            ]
        );
        assert_eq!(content("{body}"), [Part::Body]);
        assert_eq!(content("{nobody}!"), [Part::Text("{nobody}!".into())]);
    }
}
