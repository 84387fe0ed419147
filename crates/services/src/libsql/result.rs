//! A statement's result, written as the text that V8 parses fastest.
//!
//! Columns and their declared types stand once, in a line of their own that JavaScript parses once for many results;
//! values follow in one flat array. What JSON cannot carry is
//! pointed at: integers that are not plain numbers stand as strings and are listed, blobs stand as their
//! length and their bytes follow in one piece.

use std::fmt::Write;

use moorline_core::{
    error::Outcome,
    json::{MAX_STRING_LENGTH, quote},
};

use crate::libsql::error::too_long;

/// The JavaScript type of SQLite's integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntMode {
    /// As numbers; one beyond ±(2⁵³ − 1) is refused.
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

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        Self::CHOICES[self as usize].0
    }
}

/// A finished result: the text, and the bytes of all its blobs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ResultText {
    /// `{"columns","types"}`, a line feed, `{"values","length","affected","rowid","integers","blobs"}`.
    pub json: String,
    /// All blobs, one after the other.
    pub blobs: Vec<u8>,
}

/// Writes one result, value by value.
pub struct ResultWriter {
    mode: IntMode,
    json: String,
    count: usize,
    integers: Vec<usize>,
    blob_lengths: Vec<(usize, usize)>,
    blobs: Vec<u8>,
    // How much of the text has been counted, in bytes and in JavaScript's characters.
    counted: (usize, usize),
    max_length: usize,
}

/// Kept for what [`ResultWriter::finish`] adds to the values.
const TAIL_LENGTH: usize = 1 << 10;
/// Enough for one row of ordinary length.
const INITIAL_CAPACITY: usize = 256;
const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

impl ResultWriter {
    /// A writer for a result with these columns, each with its declared type (empty where there is none).
    pub fn new<C: AsRef<str>>(mode: IntMode, columns: impl Iterator<Item = (C, C)>) -> Self {
        Self::with_encoded_columns(mode, encode_columns(columns))
    }

    /// A writer for a result with the columns that [`encode_columns`] gave.
    pub fn with_encoded_columns(mode: IntMode, encoded_columns: String) -> Self {
        let mut json = encoded_columns;
        json.push_str("{\"values\":[");
        Self {
            mode,
            json,
            count: 0,
            integers: Vec::new(),
            blob_lengths: Vec::new(),
            blobs: Vec::new(),
            counted: (0, 0),
            max_length: MAX_STRING_LENGTH - TAIL_LENGTH,
        }
    }

    /// Whether an integer reaches JavaScript as what it is.
    pub fn represents(&self, integer: i64) -> bool {
        self.mode != IntMode::Number || is_safe(integer)
    }

    /// Refuses a result whose text JavaScript cannot hold.
    pub fn check_length(&mut self) -> Outcome<()> {
        let (bytes, length) = self.counted;
        if self.json.len() <= self.max_length {
            return Ok(());
        }
        let added = self.json.get(bytes..).unwrap_or_default();
        let length = length + added.chars().map(char::len_utf16).sum::<usize>();
        self.counted = (self.json.len(), length);
        // The lists of integers and blobs come after the values.
        let lists = 12 * self.integers.len() + 32 * self.blob_lengths.len();
        if length + lists > self.max_length {
            return Err(too_long(MAX_STRING_LENGTH));
        }
        Ok(())
    }

    /// NULL.
    pub fn null(&mut self) {
        self.raw("null");
    }

    /// An integer.
    pub fn integer(&mut self, integer: i64) {
        let safe = is_safe(integer);
        self.separate();
        // Writing to a String cannot fail.
        let _ = if self.mode == IntMode::Number && safe {
            write!(self.json, "{integer}")
        } else {
            // As a string, a plain one is already what `Text` wants; the others are listed.
            if self.mode != IntMode::Text {
                self.integers.push(self.count - 1);
            }
            write!(self.json, "\"{integer}\"")
        };
    }

    /// A floating-point number. JSON has no infinities, but V8 reads `1e999` as one.
    pub fn real(&mut self, real: f64) {
        self.separate();
        let _ = if real.is_finite() {
            write!(self.json, "{real:?}")
        } else if real.is_nan() {
            // SQLite stores NaN as NULL; a server that sends one means the same.
            write!(self.json, "null")
        } else {
            write!(self.json, "{}1e999", if real < 0.0 { "-" } else { "" })
        };
    }

    /// A string.
    pub fn text(&mut self, text: &str) {
        self.separate();
        quote(&mut self.json, text);
    }

    /// Bytes.
    pub fn blob(&mut self, bytes: &[u8]) {
        self.raw("0");
        self.blob_lengths.push((self.count - 1, bytes.len()));
        self.blobs.extend_from_slice(bytes);
    }

    fn raw(&mut self, text: &str) {
        self.separate();
        self.json.push_str(text);
    }

    fn separate(&mut self) {
        if self.count > 0 {
            self.json.push(',');
        }
        self.count += 1;
    }

    /// The finished result.
    pub fn finish(self, rows: usize, affected: u64, rowid: Option<i64>) -> ResultText {
        let mut json = self.json;
        let _ = write!(json, "],\"length\":{rows},\"affected\":{affected}");
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
        json.push('}');
        ResultText {
            json,
            blobs: self.blobs,
        }
    }
}

/// The first line of a result: its columns, each with its declared type (empty where there is none).
pub fn encode_columns<C: AsRef<str>>(columns: impl Iterator<Item = (C, C)>) -> String {
    let mut json = String::with_capacity(INITIAL_CAPACITY);
    json.push_str("{\"columns\":[");
    let mut types = String::new();
    for (index, (name, declared)) in columns.enumerate() {
        if index > 0 {
            json.push(',');
            types.push(',');
        }
        quote(&mut json, name.as_ref());
        quote(&mut types, declared.as_ref());
    }
    json.push_str("],\"types\":[");
    json.push_str(&types);
    json.push_str("]}\n");
    json
}

fn is_safe(integer: i64) -> bool {
    (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&integer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use moorline_sqlite::Value;

    use super::*;

    fn values_of(mode: IntMode, values: &[Value]) -> serde_json::Value {
        let mut writer = ResultWriter::new(mode, [("a \n\"", "")].into_iter());
        for value in values {
            match value {
                Value::Null => writer.null(),
                Value::Integer(integer) => writer.integer(*integer),
                Value::Real(real) => writer.real(*real),
                Value::Text(text) => writer.text(text),
                Value::Blob(bytes) => writer.blob(bytes),
            }
        }
        let json = writer.finish(values.len(), 0, None).json;
        let (head, body) = json.split_once('\n').unwrap();
        let head: serde_json::Value = serde_json::from_str(head).unwrap();
        assert_eq!(
            head,
            serde_json::json!({ "columns": ["a \n\""], "types": [""] })
        );
        serde_json::from_str(body).unwrap()
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

    #[test]
    fn a_text_is_refused_by_its_characters_not_its_bytes() {
        let length_of = |text: &str, max_length| {
            let mut writer = ResultWriter::new(IntMode::Number, [("a", "")].into_iter());
            writer.max_length = writer.json.len() + max_length;
            writer.text(text);
            writer.check_length()
        };
        assert!(length_of("abcd", 6).is_ok());
        assert_eq!(length_of("abcde", 6).unwrap_err().code, "SQLITE_TOOBIG");
        // Twelve bytes, four characters; with the quotes six.
        assert!(length_of("日本語字", 6).is_ok());
        assert!(length_of("日本語字だ", 6).is_err());
    }

    #[test]
    fn what_was_counted_is_not_counted_again() {
        let mut writer = ResultWriter::new(IntMode::Number, [("a", "")].into_iter());
        writer.max_length = writer.json.len() + 30;
        for _ in 0..5 {
            writer.text("語語");
            writer.check_length().unwrap();
        }
        // Two characters, two quotes and a comma each time, but for the first.
        writer.text("語語");
        writer.check_length().unwrap();
        writer.text("語語");
        assert!(writer.check_length().is_err());
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
