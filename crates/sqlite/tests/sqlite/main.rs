//! Tests of the engine behind its safe interface, by what its callers see.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails says so"
)]

mod boundary;
mod log;
mod nonblocking;
mod values;

use moorline_sqlite::{
    Compilation, Connection, Error, Result, Row, RowSink, RunError, Value, ValueRef,
};

/// All rows of a result, copied.
#[derive(Default)]
struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<OwnedValue>>,
}

/// A value as it was lent.
#[derive(Clone, Debug, PartialEq)]
enum OwnedValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl From<ValueRef<'_>> for OwnedValue {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(integer) => Self::Integer(integer),
            ValueRef::Real(real) => Self::Real(real),
            ValueRef::Text(text) => Self::Text(text.to_vec()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }
}

impl RowSink for Rows {
    type Refusal = Error;

    fn begin(&mut self, columns: &Row<'_>) {
        self.columns = (0..columns.len())
            .map(|index| columns.column(index).name.into_owned())
            .collect();
    }

    fn row(&mut self, row: &Row<'_>) -> Result<()> {
        let values = (0..row.len()).map(|index| row.value(index).map(OwnedValue::from));
        self.rows.push(values.collect::<Result<_>>()?);
        Ok(())
    }
}

fn memory() -> Connection {
    Connection::open(":memory:").unwrap()
}

/// Runs every statement of `sql`, and returns the rows of the last.
fn run(
    connection: &mut Connection,
    sql: &str,
    arguments: &[Value],
) -> Result<Vec<Vec<OwnedValue>>> {
    let mut rest = sql;
    let mut rows = Rows::default();
    while !rest.is_empty() {
        let (statement, tail) = connection.prepare(rest, Compilation::Renewed)?;
        rest = tail;
        let Some(statement) = statement else {
            continue;
        };
        let arguments: Vec<_> = arguments.iter().map(ValueRef::from).collect();
        rows = Rows::default();
        let outcome = connection.run(&statement, &arguments, &mut rows);
        connection.finalize(statement);
        match outcome {
            Err(RunError::Engine(error) | RunError::Refused(error)) => return Err(error),
            Ok(()) => {}
        }
    }
    Ok(rows.rows)
}
