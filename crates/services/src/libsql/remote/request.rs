//! Requests to a server, serialized from borrowed statements.
//!
//! The messages of the Hrana protocol, version 3. Those of the `libsql-hrana` crate leave the padding of base64 out,
//! which not every server takes.

use base64::{Engine, prelude::BASE64_STANDARD};
use moorline_sqlite::Value;
use serde::{
    Serialize, Serializer,
    ser::{SerializeSeq, SerializeStruct},
};

use crate::libsql::statement::{Args, Statement};

/// The body of one round trip: several requests.
#[derive(Serialize)]
pub(in crate::libsql) struct Pipeline<'a> {
    pub(in crate::libsql) baton: Option<String>,
    pub(in crate::libsql) requests: Vec<Request<'a>>,
}

/// One request of a pipeline.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::libsql) enum Request<'a> {
    /// Runs a statement.
    Execute { stmt: Stmt<'a> },
    /// Runs statements, each on a condition.
    Batch { batch: Batch<'a> },
    /// Runs a script.
    Sequence { sql: &'a str },
    /// Asks whether no transaction is open.
    GetAutocommit,
    /// Ends the stream.
    Close,
}

/// A statement with its arguments.
pub(in crate::libsql) struct Stmt<'a> {
    sql: &'a str,
    args: Option<&'a Args>,
    want_rows: bool,
}

impl<'a> Stmt<'a> {
    /// A statement without arguments, whose rows are not read.
    pub(in crate::libsql) const fn without_args(sql: &'a str) -> Self {
        Self {
            sql,
            args: None,
            want_rows: false,
        }
    }
}

impl<'a> From<&'a Statement> for Stmt<'a> {
    fn from(statement: &'a Statement) -> Self {
        Self {
            sql: &statement.sql,
            args: Some(&statement.args),
            want_rows: true,
        }
    }
}

impl Serialize for Stmt<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut stmt = to.serialize_struct("Stmt", 3)?;
        stmt.serialize_field("sql", self.sql)?;
        match self.args {
            Some(Args::Positional(values)) => stmt.serialize_field("args", &Positional(values))?,
            Some(Args::Named(values)) => stmt.serialize_field("named_args", &Named(values))?,
            None => {}
        }
        stmt.serialize_field("want_rows", &self.want_rows)?;
        stmt.end()
    }
}

struct Positional<'a>(&'a [Value]);

impl Serialize for Positional<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for value in self.0 {
            list.serialize_element(&WireValue::from(value))?;
        }
        list.end()
    }
}

struct Named<'a>(&'a [(String, Value)]);

#[derive(Serialize)]
struct NamedValue<'a> {
    name: &'a str,
    value: WireValue<'a>,
}

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for (name, value) in self.0 {
            let value = value.into();
            list.serialize_element(&NamedValue { name, value })?;
        }
        list.end()
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireValue<'a> {
    Null,
    /// As decimal text, since not every JSON parser keeps all digits of a number.
    Integer {
        value: String,
    },
    Float {
        value: f64,
    },
    Text {
        value: &'a str,
    },
    Blob {
        base64: String,
    },
}

impl<'a> From<&'a Value> for WireValue<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(value) => Self::Integer {
                value: value.to_string(),
            },
            Value::Real(value) => Self::Float { value: *value },
            Value::Text(value) => Self::Text { value },
            Value::Blob(bytes) => Self::Blob {
                base64: BASE64_STANDARD.encode(bytes),
            },
        }
    }
}

/// Statements, each of which may depend on one before it.
#[derive(Serialize)]
pub(in crate::libsql) struct Batch<'a> {
    pub(in crate::libsql) steps: Vec<Step<'a>>,
}

/// One statement of a batch, and the condition on which it runs.
#[derive(Serialize)]
pub(in crate::libsql) struct Step<'a> {
    pub(in crate::libsql) condition: Option<Condition>,
    pub(in crate::libsql) stmt: Stmt<'a>,
}

/// The condition on which a step runs.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::libsql) enum Condition {
    /// The step before has succeeded.
    Ok { step: u32 },
    /// The condition does not hold.
    Not { cond: Box<Condition> },
    /// All of them hold.
    And { conds: Vec<Condition> },
    /// No transaction is open.
    IsAutocommit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_with_their_types_and_bytes_with_their_padding() {
        let statement = Statement {
            sql: "SELECT ?".to_owned(),
            args: Args::Positional(vec![
                Value::Null,
                Value::Integer(i64::MIN),
                Value::Real(0.5),
                Value::Text("a\"b".to_owned()),
                Value::Blob(vec![255]),
                Value::Blob(vec![1, 2]),
                Value::Blob(Vec::new()),
            ]),
        };
        let json = serde_json::to_value(Stmt::from(&statement)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({ "sql": "SELECT ?", "want_rows": true, "args": [
                { "type": "null" },
                { "type": "integer", "value": "-9223372036854775808" },
                { "type": "float", "value": 0.5 },
                { "type": "text", "value": "a\"b" },
                { "type": "blob", "base64": "/w==" },
                { "type": "blob", "base64": "AQI=" },
                { "type": "blob", "base64": "" },
            ] })
        );
    }

    #[test]
    fn a_pipeline_is_written_as_the_protocol_has_it() {
        let statement = Statement {
            sql: "SELECT :a".to_owned(),
            args: Args::Named(vec![("a".to_owned(), Value::Integer(1))]),
        };
        let condition = Condition::And {
            conds: vec![
                Condition::Ok { step: 0 },
                Condition::Not {
                    cond: Box::new(Condition::IsAutocommit),
                },
            ],
        };
        let steps = vec![
            Step {
                condition: None,
                stmt: Stmt::without_args("BEGIN"),
            },
            Step {
                condition: Some(condition),
                stmt: (&statement).into(),
            },
        ];
        let pipeline = Pipeline {
            baton: Some("b".to_owned()),
            requests: vec![
                Request::Batch {
                    batch: Batch { steps },
                },
                Request::Sequence { sql: "SELECT 1" },
                Request::GetAutocommit,
                Request::Close,
            ],
        };
        assert_eq!(
            serde_json::to_value(&pipeline).unwrap(),
            serde_json::json!({ "baton": "b", "requests": [
                { "type": "batch", "batch": { "steps": [
                    { "condition": null, "stmt": { "sql": "BEGIN", "want_rows": false } },
                    {
                        "condition": { "type": "and", "conds": [
                            { "type": "ok", "step": 0 },
                            { "type": "not", "cond": { "type": "is_autocommit" } },
                        ] },
                        "stmt": { "sql": "SELECT :a", "want_rows": true, "named_args": [
                            { "name": "a", "value": { "type": "integer", "value": "1" } },
                        ] },
                    },
                ] } },
                { "type": "sequence", "sql": "SELECT 1" },
                { "type": "get_autocommit" },
                { "type": "close" },
            ] })
        );
    }
}
