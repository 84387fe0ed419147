//! Running a statement on the thread of its caller.

use std::time::Instant;

use moorline_sqlite::{NonblockingLimits, RunError, ValueRef};

use crate::libsql::{
    local::{executor::StatementExecutor, rows::ResultRows, statement_cache::PreparedStatement},
    result::{IntMode, ResultText},
    statement::{Args, Statement, positional_arguments},
};

// Primary result codes (<https://sqlite.org/rescode.html>).
const INTERRUPT: i32 = 9;
const SCHEMA: i32 = 17;
const TOOBIG: i32 = 18;

/// The longest value that is read inline, in bytes: one is read in a single step, of which the clock knows nothing.
const INLINE_VALUE_BYTES: u32 = 1 << 16;

impl StatementExecutor {
    /// Runs a statement on the thread of its caller, when it is known to be quick there. `None` when it is not, and when it
    /// could not be finished without waiting: then it is as if it had not been run, as what it wrote is undone.
    pub(in crate::libsql) fn run_inline(
        &mut self,
        statement: &Statement,
        mode: IntMode,
    ) -> Option<ResultText> {
        // Outside a transaction the engine undoes the whole of what a statement did that it does not finish.
        if self.in_transaction() || !is_short(&statement.args) {
            return None;
        }
        let mut prepared = self.statement_cache.take(&statement.sql)?;
        let result = self.run_prepared_inline(&mut prepared, statement, mode);
        self.statement_cache
            .put(&mut self.connection, &statement.sql, prepared);
        result
    }

    fn run_prepared_inline(
        &mut self,
        prepared: &mut PreparedStatement,
        statement: &Statement,
        mode: IntMode,
    ) -> Option<ResultText> {
        let time_limit = self.inline.time_limit(prepared.is_readonly)?;
        let compiled = prepared.inline.statement()?;
        let arguments =
            positional_arguments(&self.connection, &compiled.statement, &statement.args).ok()?;
        let before = self.connection.total_changes();
        let began = Instant::now();
        let deadline = began + time_limit;
        let mut rows = ResultRows::with_deadline(mode, deadline, &compiled.encoded_columns);
        let limits = NonblockingLimits {
            deadline,
            value_bytes: INLINE_VALUE_BYTES,
        };
        let outcome = self.connection.run_nonblocking(limits, |connection| {
            connection.run(&compiled.statement, &arguments, &mut rows)
        });
        match outcome {
            Ok(()) => {
                let (affected, rowid) = self.changes_since(before, prepared);
                let result = rows.finish(affected, rowid);
                prepared.inline.record(began.elapsed());
                if !prepared.is_readonly {
                    self.inline.is_checkpoint_due = self.record_commit();
                }
                return Some(result);
            }
            Err(RunError::Engine(error)) => match error.code & 0xff {
                SCHEMA => prepared.inline.discard(&mut self.connection),
                INTERRUPT | TOOBIG => prepared.inline.record_interrupt(),
                // A lock, a page that is not in memory, a new log, a constraint: the other thread gets it, and reports.
                _ => {}
            },
            Err(RunError::Refused(_)) => prepared.inline.record_interrupt(),
        }
        None
    }
}

/// Whether arguments are short enough for one instruction to go through them.
fn is_short(args: &Args) -> bool {
    let limit = INLINE_VALUE_BYTES as usize;
    let is_short = |value| match ValueRef::from(value) {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() <= limit,
        _ => true,
    };
    match args {
        Args::Positional(values) => values.iter().all(is_short),
        Args::Named(values) => values.iter().all(|(_, value)| is_short(value)),
    }
}
