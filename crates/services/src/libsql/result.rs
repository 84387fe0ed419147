//! A statement's result, written as the text that V8 parses fastest.
//!
//! Columns and their declared types stand once, values follow in one flat array. What JSON cannot carry is
//! pointed at: integers that are not plain numbers stand as strings and are listed, blobs stand as their
//! length and their bytes follow in one piece.

use std::fmt::Write;

use libsql::Value;

/// How SQLite integers reach JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntMode {
    /// As numbers; one beyond ±(2⁵³ − 1) is refused when it is read.
    Number,
    /// As bigints.
    BigInt,
    /// As strings.
    Text,
}

impl IntMode {
    /// The words of the client API.
    pub const CHOICES: [(&'static str, Self); 3] = [
        ("number", Self::Number),
        ("bigint", Self::BigInt),
        ("string", Self::Text),
    ];
}

/// A finished result: the text, and the bytes of all its blobs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ResultText {
    /// `{"columns","types","length","affected","rowid","integers","blobs","values"}`.
    pub json: String,
    /// All blobs, one after the other.
    pub blobs: Vec<u8>,
}

/// Writes one result, value by value.
pub struct ResultWriter {
    mode: IntMode,
    columns: Vec<String>,
    types: Vec<String>,
    values: String,
    count: usize,
    integers: Vec<usize>,
    blob_lengths: Vec<(usize, usize)>,
    blobs: Vec<u8>,
}

const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

impl ResultWriter {
    /// A writer for a result with these columns and declared types (empty where there is none).
    pub fn new(mode: IntMode, columns: Vec<String>, types: Vec<String>) -> Self {
        Self {
            mode,
            columns,
            types,
            values: String::new(),
            count: 0,
            integers: Vec::new(),
            blob_lengths: Vec::new(),
            blobs: Vec::new(),
        }
    }

    /// The next value, row by row.
    pub fn push(&mut self, value: &Value) {
        match value {
            Value::Null => self.null(),
            Value::Integer(integer) => self.integer(*integer),
            Value::Real(real) => self.real(*real),
            Value::Text(text) => self.text(text),
            Value::Blob(bytes) => self.blob(bytes),
        }
    }

    /// NULL.
    pub fn null(&mut self) {
        self.raw("null");
    }

    /// An integer.
    pub fn integer(&mut self, integer: i64) {
        let safe = (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&integer);
        self.separate();
        // Writing to a String cannot fail.
        let _ = if self.mode == IntMode::Number && safe {
            write!(self.values, "{integer}")
        } else {
            // As a string, a plain one is already what `Text` wants; the others are listed.
            if self.mode != IntMode::Text {
                self.integers.push(self.count - 1);
            }
            write!(self.values, "\"{integer}\"")
        };
    }

    /// A floating-point number. JSON has no infinities, but V8 reads `1e999` as one.
    pub fn real(&mut self, real: f64) {
        self.separate();
        let _ = if real.is_finite() {
            write!(self.values, "{real:?}")
        } else if real.is_nan() {
            // SQLite stores NaN as NULL; a server that sends one means the same.
            write!(self.values, "null")
        } else {
            write!(self.values, "{}1e999", if real < 0.0 { "-" } else { "" })
        };
    }

    /// A string.
    pub fn text(&mut self, text: &str) {
        self.separate();
        quote(&mut self.values, text);
    }

    /// Bytes.
    pub fn blob(&mut self, bytes: &[u8]) {
        self.raw("0");
        self.blob_lengths.push((self.count - 1, bytes.len()));
        self.blobs.extend_from_slice(bytes);
    }

    fn raw(&mut self, text: &str) {
        self.separate();
        self.values.push_str(text);
    }

    fn separate(&mut self) {
        if self.count > 0 {
            self.values.push(',');
        }
        self.count += 1;
    }

    /// The finished result.
    pub fn finish(self, rows: usize, affected: u64, rowid: Option<i64>) -> ResultText {
        let mut json = String::with_capacity(self.values.len() + 128);
        json.push_str("{\"columns\":");
        strings(&mut json, &self.columns);
        json.push_str(",\"types\":");
        strings(&mut json, &self.types);
        let _ = write!(json, ",\"length\":{rows},\"affected\":{affected}");
        if let Some(rowid) = rowid {
            let _ = write!(json, ",\"rowid\":\"{rowid}\"");
        }
        if !self.integers.is_empty() {
            let _ = write!(json, ",\"integers\":{:?}", self.integers);
        }
        if !self.blob_lengths.is_empty() {
            let flat: Vec<_> = self
                .blob_lengths
                .iter()
                .flat_map(|(at, n)| [*at, *n])
                .collect();
            let _ = write!(json, ",\"blobs\":{flat:?}");
        }
        json.push_str(",\"values\":[");
        json.push_str(&self.values);
        json.push_str("]}");
        ResultText {
            json,
            blobs: self.blobs,
        }
    }
}

fn strings(json: &mut String, items: &[String]) {
    json.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        quote(json, item);
    }
    json.push(']');
}

/// `text` as a JSON string. Most text needs no escape and is copied in one piece.
fn quote(json: &mut String, text: &str) {
    json.push('"');
    let mut rest = text;
    while let Some(at) = rest
        .bytes()
        .position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
    {
        json.push_str(&rest[..at]);
        let _ = match rest.as_bytes()[at] {
            b'\n' => write!(json, "\\n"),
            byte @ (b'"' | b'\\') => write!(json, "\\{}", char::from(byte)),
            byte => write!(json, "\\u{byte:04x}"),
        };
        rest = &rest[at + 1..];
    }
    json.push_str(rest);
    json.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values_of(mode: IntMode, values: &[Value]) -> serde_json::Value {
        let mut writer = ResultWriter::new(mode, vec!["a".into()], vec![String::new()]);
        for value in values {
            writer.push(value);
        }
        serde_json::from_str(&writer.finish(values.len(), 0, None).json).unwrap()
    }

    #[test]
    fn unsafe_integers_and_blobs_are_pointed_at() {
        let values = [
            Value::Integer(1),
            Value::Integer(i64::MAX),
            Value::Blob(vec![1, 2]),
        ];
        let json = values_of(IntMode::Number, &values);
        assert_eq!(json["integers"], serde_json::json!([1]));
        assert_eq!(json["blobs"], serde_json::json!([2, 2]));
        assert_eq!(
            json["values"],
            serde_json::json!([1, "9223372036854775807", 0])
        );
        assert_eq!(
            values_of(IntMode::BigInt, &values)["integers"],
            serde_json::json!([0, 1])
        );
    }

    proptest! {
        #[test]
        fn any_text_and_any_finite_number_survive(text in ".*", real in prop::num::f64::NORMAL) {
            let json = values_of(IntMode::Number, &[Value::Text(text.clone()), Value::Real(real)]);
            prop_assert_eq!(&json["values"][0], &serde_json::Value::String(text));
            prop_assert_eq!(json["values"][1].as_f64(), Some(real));
        }
    }
}
