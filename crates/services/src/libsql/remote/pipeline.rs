//! The response to a pipeline, parsed into little more memory than its values need.
//!
//! A small compressed body can decompress to much JSON, and that to more in memory: `[],[],[]` is three bytes for each
//! row. So its elements are counted before it is parsed, rows go into one flat list, and unused parts are skipped.

use memchr::{memchr, memchr2};
use serde::Deserialize;

use crate::libsql::remote::rows::{Rows, Value, rowid};

/// The most lists, objects and members in one response. A value counts as three: an object with a type and a value.
const MAX_ELEMENTS: usize = 1 << 25;

/// The response to a pipeline of requests.
#[derive(Deserialize)]
pub(in crate::libsql) struct PipelineResponse {
    /// The token that continues the stream.
    pub(in crate::libsql) baton: Option<String>,
    /// The URL at which it is continued.
    pub(in crate::libsql) base_url: Option<String>,
    /// A result for each request.
    pub(in crate::libsql) results: Vec<StreamResult>,
}

impl PipelineResponse {
    /// Parses a response; the error is the reason why it cannot be parsed.
    pub(in crate::libsql) fn read(json: &[u8]) -> Result<Self, String> {
        if count_elements(json) > MAX_ELEMENTS {
            return Err(format!("it has more than {MAX_ELEMENTS} elements"));
        }
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }
}

/// An upper bound of the elements in a JSON text: each begins after one of these characters, outside of strings.
fn count_elements(json: &[u8]) -> usize {
    let mut count = 0;
    let mut rest = json;
    while let Some(at) = memchr(b'"', rest) {
        count += count_marks(&rest[..at]);
        rest = after_string(&rest[at + 1..]);
    }
    count + count_marks(rest)
}

fn count_marks(json: &[u8]) -> usize {
    json.iter()
        .filter(|byte| matches!(byte, b',' | b'[' | b'{'))
        .count()
}

/// The rest after the end of a string, whose beginning was read.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let escape = usize::from(rest[at] == b'\\');
        rest = rest.get(at + 1 + escape..).unwrap_or_default();
        if escape == 0 {
            return rest;
        }
    }
    &[]
}

/// The result of one request.
#[derive(Deserialize)]
#[serde(try_from = "WireStreamResult")]
pub(in crate::libsql) enum StreamResult {
    /// Success.
    Done(StreamResponse),
    /// Failure.
    Failed(Box<ServerError>),
}

/// The result of a request.
pub(in crate::libsql) enum StreamResponse {
    /// One statement.
    Execute(Box<StatementResult>),
    /// A batch of statements.
    Batch(BatchResult),
    /// Whether no transaction is open.
    Autocommit(bool),
    /// A result without content.
    Other,
}

/// An error of the server's.
#[derive(Deserialize)]
pub(in crate::libsql) struct ServerError {
    /// The error's message.
    #[serde(default)]
    pub(in crate::libsql) message: String,
    /// Its code.
    #[serde(default)]
    pub(in crate::libsql) code: String,
}

/// The results of a batch; a step that was not run has neither a result nor an error.
#[derive(Deserialize)]
pub(in crate::libsql) struct BatchResult {
    pub(in crate::libsql) step_results: Vec<Option<Box<StatementResult>>>,
    pub(in crate::libsql) step_errors: Vec<Option<Box<ServerError>>>,
}

/// The result of a statement.
#[derive(Deserialize)]
#[serde(try_from = "WireResult")]
pub(in crate::libsql) struct StatementResult {
    pub(in crate::libsql) columns: Vec<Column>,
    /// The number of rows; each has a value for every column.
    pub(in crate::libsql) length: usize,
    /// The values, row by row.
    pub(in crate::libsql) values: Vec<Value>,
    pub(in crate::libsql) affected: u64,
    pub(in crate::libsql) rowid: Option<i64>,
}

/// A column.
#[derive(Deserialize)]
pub(in crate::libsql) struct Column {
    pub(in crate::libsql) name: Option<Box<str>>,
    pub(in crate::libsql) decltype: Option<Box<str>>,
}

#[derive(Deserialize)]
struct WireStreamResult {
    r#type: Type,
    response: Option<WireResponse>,
    error: Option<Box<ServerError>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Type {
    Ok,
    Error,
    Execute,
    Batch,
    GetAutocommit,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct WireResponse {
    r#type: Type,
    result: Option<Box<WireResult>>,
    is_autocommit: Option<bool>,
}

/// The result of a statement, or of a batch.
#[derive(Deserialize)]
struct WireResult {
    cols: Option<Vec<Column>>,
    rows: Option<Rows>,
    #[serde(default)]
    affected_row_count: u64,
    #[serde(default, deserialize_with = "rowid")]
    last_insert_rowid: Option<i64>,
    step_results: Option<Vec<Option<Box<StatementResult>>>>,
    step_errors: Option<Vec<Option<Box<ServerError>>>>,
}

impl TryFrom<WireStreamResult> for StreamResult {
    type Error = &'static str;

    fn try_from(result: WireStreamResult) -> Result<Self, Self::Error> {
        match (result.r#type, result.response, result.error) {
            (Type::Ok, Some(response), _) => StreamResponse::try_from(response).map(Self::Done),
            (Type::Error, _, Some(error)) => Ok(Self::Failed(error)),
            _ => Err("a response with neither a result nor an error"),
        }
    }
}

impl TryFrom<WireResponse> for StreamResponse {
    type Error = &'static str;

    fn try_from(response: WireResponse) -> Result<Self, Self::Error> {
        const MISSING: &str = "a response without a result";
        Ok(match response.r#type {
            Type::Execute => {
                let result = *response.result.ok_or(MISSING)?;
                Self::Execute(Box::new(result.try_into()?))
            }
            Type::Batch => {
                let result = *response.result.ok_or(MISSING)?;
                Self::Batch(BatchResult {
                    step_results: result.step_results.ok_or(MISSING)?,
                    step_errors: result.step_errors.ok_or(MISSING)?,
                })
            }
            Type::GetAutocommit => Self::Autocommit(response.is_autocommit.ok_or(MISSING)?),
            _ => Self::Other,
        })
    }
}

impl TryFrom<WireResult> for StatementResult {
    type Error = &'static str;

    fn try_from(result: WireResult) -> Result<Self, Self::Error> {
        let (Some(columns), Some(rows)) = (result.cols, result.rows) else {
            return Err("a result without columns and rows");
        };
        if rows.length > 0 && rows.width != columns.len() {
            return Err("rows that do not have a value for every column");
        }
        Ok(Self {
            columns,
            length: rows.length,
            values: rows.values,
            affected: result.affected_row_count,
            rowid: result.last_insert_rowid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(columns: &str, rows: &str) -> Result<StatementResult, String> {
        let json = format!(
            r#"{{"baton":null,"base_url":null,"results":[{{"type":"ok","response":{{"type":"execute","result":
            {{"cols":{columns},"rows":{rows},"affected_row_count":0,"last_insert_rowid":"7"}}}}}}]}}"#
        );
        match PipelineResponse::read(json.as_bytes())?.results.pop() {
            Some(StreamResult::Done(StreamResponse::Execute(result))) => Ok(*result),
            _ => panic!("no result"),
        }
    }

    #[test]
    fn a_result_has_columns_rows_and_what_was_inserted() {
        let result = rows(
            r#"[{"name":"a"},{"decltype":"TEXT"}]"#,
            r#"[[{"type":"null"},{"type":"null"}]]"#,
        );
        let result = result.unwrap();
        assert_eq!(result.values, [Value::Null, Value::Null]);
        assert_eq!((result.length, result.rowid), (1, Some(7)));
        assert_eq!(result.columns[0].name.as_deref(), Some("a"));
        assert_eq!(result.columns[1].decltype.as_deref(), Some("TEXT"));
    }

    #[test]
    fn rows_that_do_not_fit_the_columns_are_refused() {
        let null = r#"{"type":"null"}"#;
        let two = r#"[{"name":"a"},{"name":"b"}]"#;
        assert!(rows(two, &format!("[[{null},{null}],[{null},{null}]]")).is_ok());
        assert!(rows(two, "[]").is_ok());
        assert!(rows("[]", "[]").is_ok());
        for (columns, list) in [
            (two, format!("[[{null}],[{null},{null}]]")),
            (two, format!("[[{null},{null}],[{null}]]")),
            (two, format!("[[{null}],[{null}]]")),
            (two, "[[]]".to_owned()),
            ("[]", "[[],[]]".to_owned()),
            ("[]", format!("[[{null}]]")),
        ] {
            assert!(rows(columns, &list).is_err(), "{columns} {list}");
        }
    }

    #[test]
    fn elements_are_counted_outside_of_strings() {
        assert_eq!(count_elements(br#"{"a":[1,2],"b,[{":"\",["}"#), 4);
        assert_eq!(count_elements(br#"["a\\",1]"#), 2);
        assert_eq!(count_elements(br#"["open, [,"#), 1);
        assert_eq!(count_elements(b"[1,\"\\"), 2);
    }

    #[test]
    fn a_response_of_too_many_elements_is_refused_before_it_is_read() {
        // No JSON at all: reading it would say so.
        let error = PipelineResponse::read(&vec![b','; MAX_ELEMENTS + 1]).err();
        assert!(error.is_some_and(|error| error.contains("elements")));
    }
}
