//! Headers: case-insensitive lookup, and the grammar of signature headers.

use super::{
    encoding::is_hex,
    mac::Tag,
    scheme::{Grammar, Scheme},
    verification::Reason,
};

/// The longest header value that is looked at. Node accepts 16 KB of headers in all.
pub const MAX_HEADER_BYTES: usize = 8 * 1024;

/// The headers of one request, as pairs of name and value in any order and case.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a>(pub &'a [(&'a str, &'a str)]);

impl<'a> Headers<'a> {
    /// The value of the first of `names` (separated by spaces) that is there.
    ///
    /// A header that occurs twice with different values is refused: who of the two the sender signed is a
    /// guess, and proxies and servers guess differently.
    pub fn get(self, names: &str) -> Result<Option<&'a str>, Reason> {
        for name in names.split_whitespace() {
            let mut values = self
                .0
                .iter()
                .filter(|(given, _)| given.eq_ignore_ascii_case(name))
                .map(|(_, value)| *value);
            let Some(value) = values.next() else {
                continue;
            };
            if values.any(|other| other != value) {
                return Err(Reason::error(format!("the header {name} occurs twice")));
            }
            return Ok(Some(value));
        }
        Ok(None)
    }

    /// Like [`Headers::get`], for a header that must be there.
    pub fn required(self, names: &str) -> Result<&'a str, Reason> {
        self.get(names)?.ok_or_else(|| {
            let name = names.split_whitespace().next().unwrap_or(names);
            Reason::error(format!("the header {name} is missing"))
        })
    }
}

/// A signature header taken apart.
#[derive(Debug)]
pub struct SignatureHeader<'a> {
    /// The timestamp as written, where it stands in this header.
    pub timestamp: Option<&'a str>,
    /// The signatures that are written canonically, decoded; at least one.
    pub signatures: Vec<Tag>,
}

impl Scheme {
    /// Takes a signature header apart, or says that it does not have this scheme's form. A signature that is not
    /// written canonically counts as absent: a sender may add one of another kind under the same name.
    pub fn parse<'a>(&self, header: &'a str) -> Result<SignatureHeader<'a>, Reason> {
        if header.len() > MAX_HEADER_BYTES {
            return Err(Reason::InvalidFormat);
        }
        let (timestamp, texts) = split(&self.grammar, header).ok_or(Reason::InvalidFormat)?;
        let signatures: Vec<Tag> = texts
            .into_iter()
            .filter_map(|text| self.decode(text))
            .collect();
        if signatures.is_empty() {
            return Err(Reason::InvalidFormat);
        }
        Ok(SignatureHeader {
            timestamp,
            signatures,
        })
    }

    fn decode(&self, text: &str) -> Option<Tag> {
        let expected = self.algorithm.signature_bytes();
        self.encoding.decode(text, expected)
    }

    /// Writes a signature header.
    pub fn write(&self, timestamp: Option<&str>, tag: &Tag) -> String {
        let signature = self.encoding.encode(tag.as_bytes());
        match &self.grammar {
            Grammar::Bare(prefix) => format!("{prefix}{signature}"),
            Grammar::Fields {
                separator,
                timestamp: timestamp_name,
                signature: name,
            } => {
                let timestamp = timestamp.unwrap_or_default();
                format!("{timestamp_name}={timestamp}{separator}{name}={signature}")
            }
            Grammar::List(version) => format!("{version},{signature}"),
        }
    }
}

/// The timestamp and the spellings of the signatures; `None` when there is no signature or the form differs.
pub fn split<'a>(grammar: &Grammar, header: &'a str) -> Option<(Option<&'a str>, Vec<&'a str>)> {
    let (timestamp, texts) = match grammar {
        Grammar::Bare(prefix) => (None, vec![header.strip_prefix(prefix.as_ref())?]),
        Grammar::Fields {
            separator,
            timestamp,
            signature,
        } => {
            let (timestamp, texts) = fields(header, *separator, timestamp, signature)?;
            (Some(timestamp), texts)
        }
        Grammar::List(version) => (None, versions(header, version)),
    };
    (!texts.is_empty()).then_some((timestamp, texts))
}

/// `t=…,v1=…`: exactly one timestamp, any number of signatures, everything else skipped.
fn fields<'a>(
    header: &'a str,
    separator: char,
    timestamp_name: &str,
    signature_name: &str,
) -> Option<(&'a str, Vec<&'a str>)> {
    let mut timestamp = None;
    let mut texts = Vec::with_capacity(1);
    for field in header.split(separator) {
        let Some((name, value)) = field.split_once('=') else {
            continue;
        };
        if name == timestamp_name {
            if timestamp.replace(value).is_some() {
                return None;
            }
        } else if name == signature_name {
            texts.push(value);
        }
    }
    Some((timestamp?, texts))
}

/// `v1,… v1,…`: signatures of our version, everything else skipped. A space around the whole header is refused, as
/// it is for every scheme.
fn versions<'a>(header: &'a str, version: &str) -> Vec<&'a str> {
    if header.trim() != header {
        return Vec::new();
    }
    header
        .split(' ')
        .filter_map(|entry| entry.split_once(','))
        .filter(|(name, _)| *name == version)
        .map(|(_, value)| value)
        .collect()
}

/// The result of [`parse_signature`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedSignature<'a> {
    /// Seconds since the epoch; the current time where the header has none.
    pub timestamp: i64,
    /// The first signature, in lower-case hex.
    pub signature: &'a str,
    /// `v1` or `sha256`, none for a raw signature.
    pub version: Option<&'static str>,
}

/// Takes the three generic forms apart: `t=…,v1=…`, `sha256=…` and raw hex. Checks nothing.
pub fn parse_signature(header: &str, now_ms: i64) -> Option<ParsedSignature<'_>> {
    if header.len() > MAX_HEADER_BYTES {
        return None;
    }
    let (timestamp, signature, version) =
        if let Some((timestamp, texts)) = fields(header, ',', "t", "v1") {
            let signature = texts.into_iter().find(|text| is_hex(text))?;
            (super::timestamp::seconds(timestamp)?, signature, Some("v1"))
        } else {
            let now = now_ms.div_euclid(1000);
            match header.strip_prefix("sha256=") {
                Some(text) => (now, text, Some("sha256")),
                None => (now, header, None),
            }
        };
    is_hex(signature).then_some(ParsedSignature {
        timestamp,
        signature,
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_in_any_case_and_in_order_of_preference() {
        let pairs = [("SVIX-ID", "b"), ("Webhook-Id", "a")];
        assert_eq!(Headers(&pairs).get("webhook-id svix-id"), Ok(Some("a")));
        assert_eq!(Headers(&pairs).get("x-id"), Ok(None));
    }

    #[test]
    fn a_header_given_twice_is_refused_unless_both_agree() {
        let pairs = [("a", "1"), ("A", "2"), ("b", "1"), ("B", "1")];
        assert!(Headers(&pairs).get("a").is_err());
        assert_eq!(Headers(&pairs).get("b"), Ok(Some("1")));
        assert_eq!(
            Headers(&pairs).required("c"),
            Err(Reason::error("the header c is missing"))
        );
    }

    #[test]
    fn fields_want_one_timestamp_and_skip_what_they_do_not_know() {
        let hex = "0".repeat(64);
        let grammar = &super::super::table::schemes()[0].grammar;
        let several = format!("t=1,v0=x,v1={hex},v1=b");
        assert_eq!(
            split(grammar, &several),
            Some((Some("1"), vec![hex.as_str(), "b"]))
        );
        for beside in [
            "t=1,v1=a,",
            "t=1,v1=a,junk",
            "t=1,=x,v1=a",
            "junk,t=1, v1=b,v1=a",
        ] {
            assert_eq!(
                split(grammar, beside),
                Some((Some("1"), vec!["a"])),
                "{beside:?}"
            );
        }
        for bad in ["t=1", "v1=a", "t=1,t=2,v1=a", "t=1, v1=a", "", "t=1,v1"] {
            assert_eq!(split(grammar, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_three_generic_forms_are_parsed_and_nothing_else() {
        let hex = "ab".repeat(32);
        let parse = |text: &str| {
            parse_signature(text, 1_700_000_000_999)
                .map(|found| (found.timestamp, found.signature.to_owned(), found.version))
        };
        assert_eq!(
            parse(&format!("t=12,v1={hex}")),
            Some((12, hex.clone(), Some("v1")))
        );
        assert_eq!(
            parse(&format!("t=12,v1=potato,v1={hex}")),
            Some((12, hex.clone(), Some("v1")))
        );
        assert_eq!(
            parse(&format!("sha256={hex}")),
            Some((1_700_000_000, hex.clone(), Some("sha256")))
        );
        assert_eq!(parse(&hex), Some((1_700_000_000, hex.clone(), None)));
        for bad in ["", "invalid", "t=x,v1=", "sha256=", "t=-1,v1=00"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(parse(&hex.to_uppercase()), None);
        assert_eq!(parse(&format!(" {hex}")), None);
    }
}
