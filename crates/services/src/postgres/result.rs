//! A statement's result, written as the text that V8 parses fastest.
//!
//! The fields stand in a line of their own, which JavaScript parses once for many results. The values follow, of all rows in
//! one flat array: in their text format, or as what that text means where JSON has it; in hexadecimal in the binary format.

use std::fmt::Write;

use moorline_core::{
    error::{Failure, Kind, Outcome},
    json::{MAX_STRING_LENGTH, quote},
};

use super::{command_tag::Completion, error::protocol_failure, frame::Fields};

/// Kept for what follows the values.
const TAIL_LENGTH: usize = 1 << 10;
/// What stands before the command in a result.
const COMMAND: &str = ",\"command\":";

/// A column of a result, as the server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name.
    pub name: String,
    /// The table that it is of; 0 for none.
    pub table_oid: u32,
    /// The number of the column in it.
    pub column: i16,
    /// The type.
    pub type_oid: u32,
    /// The size of the type; negative for one that varies.
    pub type_size: i16,
    /// The modifier of the type.
    pub type_modifier: i32,
    /// 0 for text, 1 for binary.
    pub format: i16,
}

impl Field {
    /// Reads the description of a result's columns.
    pub(super) fn parse_all(body: &[u8]) -> Outcome<Vec<Self>> {
        let mut fields = Fields(body);
        let count = fields.u16()?;
        let mut all = Vec::with_capacity(count.into());
        for _ in 0..count {
            all.push(Self {
                name: fields.text()?.to_owned(),
                table_oid: fields.u32()?,
                column: fields.i16()?,
                type_oid: fields.u32()?,
                type_size: fields.i16()?,
                type_modifier: fields.i32()?,
                format: fields.i16()?,
            });
        }
        fields.finish().map(|()| all)
    }
}

/// The values that are handed over as what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueTypes {
    /// Those of the types for which JSON has the value that `pg` gives.
    Known,
    /// None: each is the text that the server sent.
    Text,
}

/// How a column's text stands in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// As a string.
    Quoted,
    /// As it is: an integer, or JSON itself.
    Verbatim,
    /// As a number, where it is finite.
    Float,
    /// `t` and `f` as true and false.
    Bool,
    /// As hexadecimal digits: the binary format, which a binary cursor gives.
    Hex,
}

impl Encoding {
    /// The encoding of a type, by its number (`pg_type.dat` of PostgreSQL).
    const fn of(type_oid: u32) -> Self {
        match type_oid {
            // int2, int4, oid, json, jsonb
            21 | 23 | 26 | 114 | 3802 => Self::Verbatim,
            // float4, float8
            700 | 701 => Self::Float,
            16 => Self::Bool,
            _ => Self::Quoted,
        }
    }
}

/// The result of one statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultText {
    /// `{"fields"}`, a line feed, `{"values","length","command","rowCount","oid"}`.
    pub json: String,
    /// Its rows.
    pub rows: u64,
}

impl ResultText {
    /// The first word of what the server said the statement was.
    pub(super) fn command(&self) -> Option<&str> {
        // What comes after it has no texts.
        let (_, command) = self.json.rsplit_once(COMMAND)?;
        command.strip_prefix('"')?.split('"').next()
    }

    /// The text of the first value, where it has one.
    pub(super) fn first_text(&self) -> Option<String> {
        let (_, result) = self.json.split_once('\n')?;
        let result: serde_json::Value = serde_json::from_str(result).ok()?;
        result["values"][0].as_str().map(ToOwned::to_owned)
    }
}

/// Writes a result, row by row.
#[derive(Debug)]
pub(super) struct ResultWriter {
    json: String,
    encodings: Vec<Encoding>,
    rows: u64,
    count: usize,
}

impl ResultWriter {
    /// A result with these columns; none for a statement that has no rows.
    pub(super) fn new(fields: &[Field], types: ValueTypes) -> Self {
        let encoding = |field: &Field| match types {
            _ if field.format != 0 => Encoding::Hex,
            ValueTypes::Known => Encoding::of(field.type_oid),
            ValueTypes::Text => Encoding::Quoted,
        };
        let mut json = String::with_capacity(64 * (fields.len() + 4));
        write_fields(&mut json, fields);
        json.push_str("\n{\"values\":[");
        Self {
            json,
            encodings: fields.iter().map(encoding).collect(),
            rows: 0,
            count: 0,
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, body: &[u8]) -> Outcome<()> {
        let mut fields = Fields(body);
        if usize::from(fields.u16()?) != self.encodings.len() {
            return Err(protocol_failure(
                "The server sent a row with other columns than it described",
            ));
        }
        let Self {
            json,
            encodings,
            count,
            ..
        } = self;
        for encoding in encodings.iter() {
            let value = fields.value()?;
            if *count > 0 {
                json.push(',');
            }
            *count += 1;
            match value {
                None => json.push_str("null"),
                Some(bytes) => write_value(json, *encoding, bytes),
            }
        }
        fields.finish()?;
        self.rows += 1;
        if self.json.len() > MAX_STRING_LENGTH - TAIL_LENGTH {
            return Err(too_long());
        }
        Ok(())
    }

    /// The result of a statement that has ended with this tag.
    pub(super) fn finish(mut self, tag: &str) -> ResultText {
        let completion = Completion::of(tag);
        let json = &mut self.json;
        // Writing to a String cannot fail.
        let _ = write!(json, "],\"length\":{}{COMMAND}", self.rows);
        match completion.command {
            Some(command) => quote(json, command),
            None => json.push_str("null"),
        }
        let _ = match completion.rows {
            Some(rows) => write!(json, ",\"rowCount\":{rows}"),
            None => write!(json, ",\"rowCount\":null"),
        };
        let _ = match completion.oid {
            Some(oid) => write!(json, ",\"oid\":{oid}}}"),
            None => write!(json, ",\"oid\":null}}"),
        };
        ResultText {
            json: self.json,
            rows: self.rows,
        }
    }
}

fn write_fields(json: &mut String, fields: &[Field]) {
    json.push_str("{\"fields\":[");
    for (at, field) in fields.iter().enumerate() {
        json.push_str(if at > 0 { ",{\"name\":" } else { "{\"name\":" });
        quote(json, &field.name);
        let _ = write!(
            json,
            ",\"tableID\":{},\"columnID\":{},\"dataTypeID\":{},\"dataTypeSize\":{},\"dataTypeModifier\":{},\"format\":\"{}\"}}",
            field.table_oid,
            field.column,
            field.type_oid,
            field.type_size,
            field.type_modifier,
            if field.format == 0 { "text" } else { "binary" },
        );
    }
    json.push_str("]}");
}

fn write_value(json: &mut String, encoding: Encoding, bytes: &[u8]) {
    if encoding == Encoding::Hex {
        json.push('"');
        // Writing to a String cannot fail.
        for byte in bytes {
            let _ = write!(json, "{byte:02x}");
        }
        json.push('"');
        return;
    }
    // A session that has set another encoding has texts in that.
    let text = String::from_utf8_lossy(bytes);
    match encoding {
        Encoding::Verbatim => json.push_str(&text),
        Encoding::Bool => json.push_str(if text == "t" { "true" } else { "false" }),
        // V8 reads 1e999 as infinity; there is no number that it reads as NaN.
        Encoding::Float => match &*text {
            "Infinity" => json.push_str("1e999"),
            "-Infinity" => json.push_str("-1e999"),
            "NaN" => json.push_str("\"NaN\""),
            number => json.push_str(number),
        },
        Encoding::Quoted | Encoding::Hex => quote(json, &text),
    }
}

fn too_long() -> Failure {
    let message = format!(
        "The result is longer than a string of JavaScript can be ({MAX_STRING_LENGTH} characters): ask for fewer rows"
    );
    Failure::new(Kind::Rejected, message).with_code("ERR_POSTGRES_RESULT_TOO_LONG")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, type_oid: u32) -> Field {
        Field {
            name: name.to_owned(),
            table_oid: 0,
            column: 0,
            type_oid,
            type_size: -1,
            type_modifier: -1,
            format: 0,
        }
    }

    fn row(values: &[Option<&str>]) -> Vec<u8> {
        let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        for value in values {
            match value {
                None => body.extend((-1_i32).to_be_bytes()),
                Some(text) => {
                    body.extend(i32::try_from(text.len()).unwrap().to_be_bytes());
                    body.extend(text.as_bytes());
                }
            }
        }
        body
    }

    fn read(result: &ResultText) -> (serde_json::Value, serde_json::Value) {
        let (head, body) = result.json.split_once('\n').unwrap();
        (
            serde_json::from_str(head).unwrap(),
            serde_json::from_str(body).unwrap(),
        )
    }

    #[test]
    fn values_are_what_their_types_mean_where_json_has_it() {
        let fields = [
            field("i", 23),
            field("b", 16),
            field("j", 114),
            field("t", 25),
            field("big", 20),
            field("f", 701),
        ];
        let mut writer = ResultWriter::new(&fields, ValueTypes::Known);
        let values = [
            "1",
            "t",
            "{\"a\": [1]}",
            "x\"\n",
            "9007199254740993",
            "1e-05",
        ];
        writer.row(&row(&values.map(Some))).unwrap();
        writer.row(&row(&[None; 6])).unwrap();
        let result = writer.finish("SELECT 2");
        let (head, body) = read(&result);
        assert_eq!(head["fields"][2]["dataTypeID"], 114);
        let expected = serde_json::json!([
            1, true, { "a": [1] }, "x\"\n", "9007199254740993", 1e-5,
            null, null, null, null, null, null
        ]);
        assert_eq!(body["values"], expected);
        assert_eq!(
            (body["length"].as_u64(), body["rowCount"].as_u64()),
            (Some(2), Some(2))
        );
        assert_eq!(body["command"], "SELECT");
    }

    #[test]
    fn as_texts_values_are_what_the_server_sent() {
        let mut writer = ResultWriter::new(&[field("i", 23), field("f", 701)], ValueTypes::Text);
        writer.row(&row(&[Some("1"), Some("NaN")])).unwrap();
        let (_, body) = read(&writer.finish("SELECT 1"));
        assert_eq!(body["values"], serde_json::json!(["1", "NaN"]));
    }

    #[test]
    fn values_that_are_no_text_are_hexadecimal_and_texts_that_are_not_utf_8_have_replacements() {
        let binary = Field {
            format: 1,
            ..field("b", 23)
        };
        let broken: &[u8] = b"\0\x02\0\0\0\x02\x0a\xff\0\0\0\x02a\xff";
        for types in [ValueTypes::Known, ValueTypes::Text] {
            let mut writer = ResultWriter::new(&[binary.clone(), field("t", 25)], types);
            writer.row(broken).unwrap();
            let (_, body) = read(&writer.finish("FETCH 1"));
            assert_eq!(body["values"], serde_json::json!(["0aff", "a\u{fffd}"]));
        }
    }

    #[test]
    fn a_row_that_does_not_fit_its_description_is_refused() {
        let mut writer = ResultWriter::new(&[field("i", 23)], ValueTypes::Known);
        for broken in [
            row(&[]),
            row(&[None, None]),
            row(&[Some("1")])[..6].to_vec(),
        ] {
            assert_eq!(writer.row(&broken).unwrap_err().kind, Kind::Protocol);
        }
    }
}
