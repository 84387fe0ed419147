//! The rows of a server's answer, and their values.

use std::{borrow::Cow, fmt};

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, SeqAccess, Visitor},
};

/// Servers leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A value of a row.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(try_from = "WireValue<'_>")]
pub(in crate::libsql) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(Box<str>),
    Blob(Box<[u8]>),
}

/// Rows of the same length, in one list.
#[derive(Default)]
pub(in crate::libsql) struct Rows {
    /// The number of values in each row: one or more.
    pub(in crate::libsql) width: usize,
    /// The number of rows.
    pub(in crate::libsql) length: usize,
    /// Row by row.
    pub(in crate::libsql) values: Vec<Value>,
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(RowsVisitor)
    }
}

struct RowsVisitor;

impl<'de> Visitor<'de> for RowsVisitor {
    type Value = Rows;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rows, A::Error> {
        let mut rows = Rows::default();
        while let Some(width) = list.next_element_seed(Row(&mut rows.values))? {
            // A row without values would cost nothing to send, and memory to show.
            if width == 0 || (rows.length > 0 && width != rows.width) {
                return Err(A::Error::custom(
                    "rows that are empty or of different lengths",
                ));
            }
            rows.width = width;
            rows.length += 1;
        }
        Ok(rows)
    }
}

/// Reads one row to the end of the list, and gives its length.
struct Row<'a>(&'a mut Vec<Value>);

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<usize, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<usize, A::Error> {
        let before = self.0.len();
        while let Some(value) = list.next_element()? {
            self.0.push(value);
        }
        Ok(self.0.len() - before)
    }
}

#[derive(Deserialize)]
struct WireValue<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Scalar<'a>,
    #[serde(borrow, default)]
    base64: Scalar<'a>,
}

impl TryFrom<WireValue<'_>> for Value {
    type Error = &'static str;

    fn try_from(wire: WireValue<'_>) -> Result<Self, Self::Error> {
        Ok(match (&*wire.r#type, wire.value, wire.base64) {
            ("null", ..) => Self::Null,
            ("integer", Scalar::Text(text), _) => {
                Self::Integer(text.parse().map_err(|_| "an invalid integer")?)
            }
            ("float", Scalar::Number(number), _) => Self::Real(number),
            ("text", Scalar::Text(text), _) => Self::Text(text.into()),
            ("blob", _, Scalar::Text(text)) => {
                let bytes = BASE64.decode(text.as_bytes());
                Self::Blob(bytes.map_err(|_| "a blob that is not base64")?.into())
            }
            _ => return Err("a value of an unknown type"),
        })
    }
}

/// A string, or a number.
#[derive(Default)]
enum Scalar<'a> {
    #[default]
    Nothing,
    Number(f64),
    Text(Cow<'a, str>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

#[allow(
    clippy::cast_precision_loss,
    reason = "a server writes a float without a fraction as a whole number"
)]
impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Nothing)
    }
}

/// The ROWID of a row that was inserted: a string, as all integers, or none.
pub(in crate::libsql) fn rowid<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<i64>, D::Error> {
    let read = |text: Cow<'_, str>| text.parse().map_err(|_| D::Error::custom("no rowid"));
    match Scalar::deserialize(from)? {
        Scalar::Nothing => Ok(None),
        Scalar::Text(text) => read(text).map(Some),
        Scalar::Number(number) => read(number.to_string().into()).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<Value> {
        serde_json::from_str(value).ok()
    }

    #[test]
    fn values_of_every_type_are_read() {
        let text = r#"{"value":"a\n\"b","type":"text","more":[{}]}"#;
        let table = [
            (r#"{"type":"null"}"#, Value::Null),
            (r#"{"type":"null","value":null}"#, Value::Null),
            (
                r#"{"value":"-9223372036854775808","type":"integer"}"#,
                Value::Integer(i64::MIN),
            ),
            (r#"{"type":"float","value":1}"#, Value::Real(1.0)),
            (r#"{"type":"float","value":-1.5e3}"#, Value::Real(-1500.0)),
            (text, Value::Text("a\n\"b".into())),
            (
                r#"{"type":"blob","base64":"AAH+/w"}"#,
                Value::Blob([0, 1, 254, 255].into()),
            ),
            (
                r#"{"type":"blob","base64":"AAH+/w=="}"#,
                Value::Blob([0, 1, 254, 255].into()),
            ),
        ];
        for (json, value) in table {
            assert_eq!(read(json), Some(value), "{json}");
        }
    }

    #[test]
    fn a_value_that_is_not_what_it_says_is_refused() {
        for value in [
            r#"{"type":"integer","value":"1.5"}"#,
            r#"{"type":"integer","value":1}"#,
            r#"{"type":"float","value":"1"}"#,
            r#"{"type":"text"}"#,
            r#"{"type":"blob","base64":"*"}"#,
            r#"{"type":"date","value":"x"}"#,
        ] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
