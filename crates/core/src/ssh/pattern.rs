//! Names of hosts in `known_hosts`: patterns with wildcards and negation, and hashed names.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// OpenSSH takes a list with a longer pattern for one that matches nothing.
const MAX_PATTERN_BYTES: usize = 1022;

/// Hashed names begin with this.
const HASHED: &[u8] = b"|1|";

/// The names that a line is for.
#[derive(Clone, Debug)]
pub(super) enum HostNames {
    /// Patterns with commas between them, in lower case.
    Patterns(Vec<u8>),
    /// The HMAC-SHA1 of one name, and its key.
    Hashed { salt: [u8; 20], hash: [u8; 20] },
}

impl HostNames {
    /// Reads the field of a line; `None` when it is neither patterns nor a hashed name.
    pub(super) fn parse(field: &[u8]) -> Option<Self> {
        if field.first() != Some(&b'|') {
            return Some(Self::Patterns(field.to_ascii_lowercase()));
        }
        let (salt, hash) = split_at_bar(field.strip_prefix(HASHED)?)?;
        Some(Self::Hashed {
            salt: decode_20(salt)?,
            hash: decode_20(hash)?,
        })
    }

    /// Whether the line is for this host, whose name is in lower case.
    pub(super) fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Patterns(patterns) => matches_list(host, patterns),
            Self::Hashed { salt, hash } => {
                Hmac::<Sha1>::new_from_slice(salt).is_ok_and(|mut mac| {
                    mac.update(host);
                    mac.finalize().into_bytes().as_slice() == hash
                })
            }
        }
    }
}

fn split_at_bar(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let bar = field.iter().position(|byte| *byte == b'|')?;
    Some((field.get(..bar)?, field.get(bar + 1..)?))
}

fn decode_20(text: &[u8]) -> Option<[u8; 20]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Whether one of the patterns matches, and none of those behind a `!`.
fn matches_list(host: &[u8], patterns: &[u8]) -> bool {
    let mut is_matched = false;
    for pattern in patterns.split(|byte| *byte == b',') {
        let (pattern, is_negated) = match pattern.strip_prefix(b"!") {
            Some(rest) => (rest, true),
            None => (pattern, false),
        };
        if pattern.len() > MAX_PATTERN_BYTES {
            return false;
        }
        if matches_pattern(host, pattern) {
            if is_negated {
                return false;
            }
            is_matched = true;
        }
    }
    is_matched
}

/// Whether the text is of the pattern's form: `?` stands for any byte, `*` for any number of them.
pub(super) fn matches_pattern(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut of_pattern) = (0, 0);
    // Where to go on when what follows the last `*` does not match: one byte more for that `*`.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(at) {
        match pattern.get(of_pattern) {
            Some(b'*') => {
                of_pattern += 1;
                retry = Some((at, of_pattern));
            }
            Some(b'?') => (at, of_pattern) = (at + 1, of_pattern + 1),
            Some(wanted) if wanted == byte => (at, of_pattern) = (at + 1, of_pattern + 1),
            _ => match retry {
                Some((start, after_star)) => {
                    (at, of_pattern) = (start + 1, after_star);
                    retry = Some((at, of_pattern));
                }
                None => return false,
            },
        }
    }
    let rest = pattern.get(of_pattern..).unwrap_or_default();
    rest.iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches_by_definition(text: &[u8], pattern: &[u8]) -> bool {
        match (text, pattern) {
            (_, [b'*', rest @ ..]) => {
                (0..=text.len()).any(|skipped| matches_by_definition(&text[skipped..], rest))
            }
            ([_, text @ ..], [b'?', rest @ ..]) => matches_by_definition(text, rest),
            ([byte, text @ ..], [wanted, rest @ ..]) => {
                byte == wanted && matches_by_definition(text, rest)
            }
            (text, pattern) => text.is_empty() && pattern.is_empty(),
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_as_it_is_defined(text in "[ab]{0,8}", pattern in "[ab?*]{0,6}") {
            let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
            prop_assert_eq!(matches_pattern(text, pattern), matches_by_definition(text, pattern));
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends() {
        let pattern = b"*a".repeat(500);
        assert!(!matches_pattern(&[b'a'; 499], &pattern));
        assert!(matches_pattern(&[b'a'; 500], &pattern));
    }

    #[test]
    fn a_negation_excludes_wherever_it_stands_and_includes_nothing() {
        let matches = |patterns: &[u8]| HostNames::parse(patterns).unwrap().matches(b"db.test");
        assert!(matches(b"*.test"));
        assert!(matches(b"other,DB.Test"));
        assert!(!matches(b"*.test,!db.*"));
        assert!(!matches(b"!db.*,*.test"));
        assert!(!matches(b"!other"));
        assert!(!matches(b""));
        assert!(!matches(b",,"));
        let long = [b"db.test,".as_slice(), &[b'x'; 1023]].concat();
        assert!(!matches(&long));
        assert!(matches(&long[..long.len() - 1]));
    }

    #[test]
    fn a_hashed_name_is_one_name_in_canonical_base64() {
        // By `ssh-keygen -H`, of a line for db.test.
        const SALT: &str = "HqXnGppR81k2Fsyuh8X3Ob1HDlk=";
        const HASH: &str = "GVKthwJLQvT4mj3JFPrZaeQbu5o=";
        let names = HostNames::parse(format!("|1|{SALT}|{HASH}").as_bytes()).unwrap();
        assert!(names.matches(b"db.test"));
        assert!(!names.matches(b"db.tesu"));
        for broken in [
            format!("|1|{SALT}"),
            format!("|2|{SALT}|{HASH}"),
            format!("|1|HqXnGppR81k2Fsyuh8X3Ob1HDll=|{HASH}"),
            format!("|1|{SALT}|GVKthwJLQvT4mj3JFPrZaeQbu5p="),
            format!("|1|{}|{HASH}", SALT.trim_end_matches('=')),
            format!("|1|{SALT}|{HASH},db"),
            "|1|AAAA|AAAA".to_owned(),
            "|".to_owned(),
        ] {
            assert!(HostNames::parse(broken.as_bytes()).is_none(), "{broken}");
        }
    }
}
