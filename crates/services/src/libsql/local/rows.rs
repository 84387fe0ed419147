//! The rows of a local statement, written as the text of a result.

use std::time::Instant;

use moorline_core::error::{Failure, Outcome};
use moorline_sqlite::{Row, RowSink, ValueRef};

use crate::libsql::{
    error::{closed_failure, engine_failure, inexact_integer, not_text},
    result::{IntMode, ResultText, ResultWriter},
};

/// A result while its rows arrive.
pub(super) struct ResultRows<'h> {
    mode: IntMode,
    encoded_columns: Option<&'h str>,
    deadline: Option<Instant>,
    writer: Option<ResultWriter>,
    length: usize,
}

impl<'h> ResultRows<'h> {
    pub(super) fn new(mode: IntMode) -> Self {
        Self {
            mode,
            encoded_columns: None,
            deadline: None,
            writer: None,
            length: 0,
        }
    }

    /// Rows of these columns, which are refused after the deadline.
    pub(super) fn with_deadline(
        mode: IntMode,
        deadline: Instant,
        encoded_columns: &'h str,
    ) -> Self {
        Self {
            encoded_columns: Some(encoded_columns),
            deadline: Some(deadline),
            ..Self::new(mode)
        }
    }

    /// The finished result.
    pub(super) fn finish(self, affected: u64, rowid: Option<i64>) -> ResultText {
        let empty = || ResultWriter::new::<&str>(self.mode, std::iter::empty());
        let writer = self.writer.unwrap_or_else(empty);
        writer.finish(self.length, affected, rowid)
    }

    fn check_deadline(&self) -> Outcome<()> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(closed_failure("too late")),
            _ => Ok(()),
        }
    }
}

impl RowSink for ResultRows<'_> {
    type Refusal = Failure;

    fn begin(&mut self, columns: &Row<'_>) {
        let described = (0..columns.len()).map(|index| {
            let column = columns.column(index);
            (column.name, column.declared_type)
        });
        self.writer = Some(match self.encoded_columns {
            Some(encoded_columns) => {
                ResultWriter::with_encoded_columns(self.mode, encoded_columns.to_owned())
            }
            None => ResultWriter::new(self.mode, described),
        });
    }

    fn row(&mut self, row: &Row<'_>) -> Outcome<()> {
        self.check_deadline()?;
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        for index in 0..row.len() {
            match row.value(index).map_err(engine_failure)? {
                ValueRef::Null => writer.null(),
                ValueRef::Integer(integer) => {
                    if !writer.represents(integer) {
                        return Err(inexact_integer(integer, &row.column(index).name));
                    }
                    writer.integer(integer);
                }
                ValueRef::Real(real) => writer.real(real),
                ValueRef::Text(text) => match std::str::from_utf8(text) {
                    Ok(text) => writer.text(text),
                    Err(_) => return Err(not_text(&row.column(index).name)),
                },
                ValueRef::Blob(bytes) => writer.blob(bytes),
            }
        }
        self.length += 1;
        writer.check_length()
    }
}

/// Rows of a script: nobody gets them, and what could not be given is refused all the same.
pub(super) struct DiscardingSink;

impl RowSink for DiscardingSink {
    type Refusal = Failure;

    fn begin(&mut self, _: &Row<'_>) {}

    fn row(&mut self, row: &Row<'_>) -> Outcome<()> {
        for index in 0..row.len() {
            if let ValueRef::Text(text) = row.value(index).map_err(engine_failure)?
                && std::str::from_utf8(text).is_err()
            {
                return Err(not_text("of a statement of the script"));
            }
        }
        Ok(())
    }
}
