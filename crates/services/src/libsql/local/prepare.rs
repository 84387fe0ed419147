//! Compiling the statements of a connection.

use std::time::Duration;

use moorline_core::error::Outcome;
use moorline_sqlite::{Compilation, StatementId};

use crate::libsql::{
    error::{engine_failure, many_statements, no_statement},
    local::{
        authorizer::BusyTimeout,
        executor::{LOCK_SLICE, StatementExecutor},
        inline::InlineUse,
        statement_cache::PreparedStatement,
    },
};

impl StatementExecutor {
    /// The statement of `sql`, kept or compiled.
    pub(super) fn prepare(&mut self, sql: &str) -> Outcome<PreparedStatement> {
        if let Some(kept) = self.statement_cache.take(sql) {
            return Ok(kept);
        }
        self.authorizer.take_inserts();
        let mut statement = self.compile_single(sql)?;
        let inserts = self.authorizer.take_inserts();
        let busy_timeout = self.authorizer.take_busy_timeout();
        if busy_timeout == Some(BusyTimeout::Asked) {
            // The engine answers while it compiles: with what it waits itself, which is a slice.
            self.connection.finalize(statement);
            self.connection.set_busy_timeout(self.busy_timeout);
            statement = self.compile_single(sql)?;
        }
        self.obey(busy_timeout);
        let sets = self.obey_settings();
        if sets {
            // The engine answers while it compiles: with what is in force, now that it moves the log itself.
            self.connection.finalize(statement);
            statement = self.compile_single(sql)?;
            self.obey_settings();
        }
        let is_readonly = self.connection.is_readonly(&statement).unwrap_or(false);
        Ok(PreparedStatement {
            statement,
            inserts,
            is_readonly,
            sets,
            is_single_use: busy_timeout.is_some() || sets,
            inline: InlineUse::new(!self.inline.are_off()),
        })
    }

    /// Compiles SQL that is one statement.
    fn compile_single(&mut self, sql: &str) -> Outcome<StatementId> {
        let (statement, rest) = self.compile(sql)?;
        let statement = statement.ok_or_else(no_statement)?;
        // What follows is mostly nothing, or a comment.
        if rest.trim_ascii().is_empty() {
            return Ok(statement);
        }
        let next = self.connection.prepare(rest, Compilation::Renewed);
        if let Ok((None, _)) = next {
            return Ok(statement);
        }
        self.connection.finalize(statement);
        if let Ok((Some(next), _)) = next {
            self.connection.finalize(next);
        }
        Err(many_statements())
    }

    /// Compiles the first statement of `sql`.
    pub(super) fn compile<'s>(&mut self, sql: &'s str) -> Outcome<(Option<StatementId>, &'s str)> {
        self.connection
            .prepare(sql, Compilation::Renewed)
            .map_err(engine_failure)
    }

    /// Takes over a busy timeout that a statement has set, and has the engine wait in slices again.
    pub(super) fn obey(&mut self, named: Option<BusyTimeout>) {
        self.authorizer.take_busy_timeout();
        if let Some(BusyTimeout::Set(ms)) = named {
            self.busy_timeout = Duration::from_millis(ms);
        }
        if named.is_some() {
            self.connection
                .set_busy_timeout(LOCK_SLICE.min(self.busy_timeout));
        }
    }

    /// Has the settings on which it depends what may run inline and who moves the log read again where a statement sets
    /// one, which is returned.
    pub(super) fn obey_settings(&mut self) -> bool {
        let sets = self.authorizer.take_sets_files();
        if sets {
            self.inline.outdate();
            self.connection.restore_checkpoints();
        }
        sets
    }
}
