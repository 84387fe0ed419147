//! One member of a JSON body, found without keeping the rest.
//!
//! The body comes from anyone and may be large.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

use super::verification::Reason;

/// The digits of a whole number at the top of a JSON body.
pub(super) fn member_of(body: &[u8], member: &str) -> Result<String, Reason> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    Look::ForMember(member)
        .deserialize(&mut reader)
        .and_then(|found| reader.end().map(|()| found))
        .map_err(|_| Reason::error(format!("the body is not JSON, so it has no {member}")))?
        .map(|number| number.to_string())
        .ok_or_else(|| Reason::error(format!("the body has no {member}")))
}

/// The search for a member in a JSON value.
#[derive(Clone, Copy)]
enum Look<'m> {
    /// The number of the member of this name; of several, the last.
    ForMember(&'m str),
    /// The number that the value itself is.
    ForNumber,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(matches!(self, Self::ForNumber).then_some(number))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_meant) = members.next_key_seed(Name(self))? {
            if is_meant {
                found = members.next_value_seed(Self::ForNumber)?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a member's name is the one that is looked for.
struct Name<'m>(Look<'m>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(matches!(self.0, Look::ForMember(member) if member == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(body: &str) -> Result<String, Reason> {
        member_of(body.as_bytes(), "at")
    }

    #[test]
    fn a_whole_number_at_the_top_is_found_among_whatever_else_is_there() {
        for body in [
            r#"{"at":12}"#,
            r#" {"a":[1,{"at":3}],"\u0061t":12,"b":{"at":4},"c":null,"d":-1,"e":1.5,"f":"at","g":true} "#,
            r#"{"at":{"at":1},"at":12}"#,
        ] {
            assert_eq!(at(body), Ok("12".to_owned()), "{body}");
        }
    }

    #[test]
    fn anything_else_is_no_such_number() {
        let missing = Err(Reason::error("the body has no at"));
        for body in [
            "{}",
            "[]",
            "[12]",
            "12",
            "\"at\"",
            "null",
            "true",
            "-1",
            "1.5",
            r#"{"a":{"at":12}}"#,
            r#"{"at":"12"}"#,
            r#"{"at":-12}"#,
            r#"{"at":12.5}"#,
            r#"{"at":[12]}"#,
            r#"{"at":12,"at":null}"#,
        ] {
            assert_eq!(at(body), missing, "{body}");
        }
        let broken = Err(Reason::error("the body is not JSON, so it has no at"));
        for body in [
            "",
            "{",
            r#"{"at":12"#,
            r#"{"at":12} x"#,
            r#"{"at":12,}"#,
            "at=12",
        ] {
            assert_eq!(at(body), broken, "{body}");
        }
    }

    #[test]
    fn depth_is_no_matter() {
        let deep = format!(
            r#"{{"a":{}{},"at":12}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(at(&deep), Ok("12".to_owned()));
    }
}
