//! The engine of a local connection: statements, transactions and waits for locks.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use libsql::{Connection, Rows, Value};
use moorline_core::error::{Delivery, Failure, Outcome};

use crate::libsql::{
    error::{BUSY, closed_failure, engine_failure, inexact_integer, not_text, transaction_closed},
    local::authorizer::{Authorizer, BusyTimeout},
    local::{LocalTarget, Status},
    operation::{Operation, Results},
    ready,
    result::{IntMode, ResultText, ResultWriter},
    statement::{Statement, TransactionMode, bind},
};

/// Prepared statements kept per connection.
const KEPT_STATEMENTS: usize = 32;
/// SQL longer than this is rarely run twice.
const KEPT_SQL_BYTES: usize = 4096;
/// The engine does not look at an interrupt while it waits for a lock, so it waits in slices of this.
const LOCK_SLICE: Duration = Duration::from_millis(20);
/// The longest busy timeout of the engine, which counts milliseconds in 32 bits.
const LONGEST_WAIT: Duration = Duration::from_millis(i32::MAX as u64);

/// A statement that was compiled.
struct Prepared {
    statement: libsql::Statement,
    /// Whether it inserts rows.
    inserts: bool,
    /// Whether it means something else the next time.
    is_for_once: bool,
}

/// One open connection with its prepared statements.
pub struct Engine {
    statements: VecDeque<(String, Prepared)>,
    authorizer: Arc<Authorizer>,
    busy_timeout: Duration,
    status: Arc<Status>,
    tainted: bool,
    // After the statements, which belong to it.
    connection: Connection,
}

impl Engine {
    /// Sets the connection up: waiting for locks, and write-ahead logging for files.
    pub(in crate::libsql) fn new(
        connection: Connection,
        target: &LocalTarget,
        status: Arc<Status>,
    ) -> Outcome<Self> {
        let slice = LOCK_SLICE.min(target.busy_timeout);
        connection.busy_timeout(slice).map_err(engine_failure)?;
        let mut engine = Self {
            authorizer: Authorizer::install(&connection)?,
            connection,
            statements: VecDeque::new(),
            busy_timeout: target.busy_timeout,
            status,
            tainted: false,
        };
        if target.in_memory() {
            // Opening is lazy: touch the database, so that a failure shows here.
            engine.run("SELECT 1 FROM sqlite_schema LIMIT 1")?;
        } else {
            engine.set_up_file()?;
        }
        Ok(engine)
    }

    fn set_up_file(&mut self) -> Outcome<()> {
        self.run("SELECT 1 FROM sqlite_schema LIMIT 1")?;
        match self.run("PRAGMA journal_mode = WAL") {
            // A file that cannot be written can still be read.
            Err(failure) if !matches!(&*failure.code, "SQLITE_READONLY" | "SQLITE_CANTOPEN") => {
                return Err(failure);
            }
            _ => {}
        }
        // With WAL this is durable against a crash of the process, and consistent against one of the system.
        self.run("PRAGMA synchronous = NORMAL")
    }

    fn run(&mut self, sql: &str) -> Outcome<()> {
        self.execute(&Statement::plain(sql), IntMode::Text)
            .map(drop)
    }

    /// Whether it is in a state in which the connection must not be lent again.
    pub fn is_tainted(&self) -> bool {
        self.tainted || self.in_transaction()
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Rolls back an unfinished statement or transaction.
    pub fn reset(&mut self) {
        self.statements.clear();
        self.roll_back();
    }

    /// Runs `operation` to its end.
    pub fn perform(&mut self, operation: Operation, mode: IntMode) -> Outcome<Results> {
        match operation {
            Operation::Execute(statement) => {
                self.execute(&statement, mode).map(|result| vec![result])
            }
            Operation::Batch(begin, statements) => self.batch(begin, &statements, mode),
            Operation::Continue(statements) => self.run_all(&statements, mode),
            Operation::Migrate(statements) => self.migrate(&statements, mode),
            Operation::Sequence(script) => self.sequence(&script).map(|()| Vec::new()),
            Operation::ContinueSequence(script) => {
                self.continue_sequence(&script).map(|()| Vec::new())
            }
        }
    }

    /// Runs one statement to its end.
    pub fn execute(&mut self, statement: &Statement, mode: IntMode) -> Outcome<ResultText> {
        let started = Instant::now();
        loop {
            // The engine forgets an interrupt that comes between two statements.
            if self.status.is_interrupted() {
                return Err(interrupted());
            }
            let attempted = Instant::now();
            match self.attempt(statement, mode) {
                Err(failure) if self.may_wait_for_lock(&failure, started) => {
                    let waited = attempted.elapsed();
                    if waited < LOCK_SLICE / 2 {
                        // The engine did not wait: inside a transaction that is how it breaks a deadlock.
                        if self.in_transaction() {
                            return Err(failure.with_retryable(false));
                        }
                        thread::sleep(LOCK_SLICE.saturating_sub(waited));
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Whether `failure` means that another connection holds the lock and there is time left to wait for
    /// it. A busy statement has changed nothing.
    fn may_wait_for_lock(&self, failure: &Failure, started: Instant) -> bool {
        let busy = failure
            .detail
            .get("rawCode")
            .and_then(serde_json::Value::as_i64);
        busy == Some(i64::from(BUSY))
            && started.elapsed() < self.busy_timeout
            && !self.status.is_interrupted()
            && !self.status.is_locked_out()
    }

    fn attempt(&mut self, statement: &Statement, mode: IntMode) -> Outcome<ResultText> {
        let prepared = self.prepare(&statement.sql)?;
        let before = self.connection.total_changes();
        let outcome = bind(&prepared.statement, &statement.args)
            .and_then(|params| ready(prepared.statement.query(params))?.map_err(engine_failure))
            .and_then(|rows| self.read(rows, &prepared, before, mode));
        prepared.statement.reset();
        self.keep(&statement.sql, prepared);
        outcome
    }

    fn read(
        &self,
        mut rows: Rows,
        prepared: &Prepared,
        changes_before: u64,
        mode: IntMode,
    ) -> Outcome<ResultText> {
        let columns = prepared.statement.columns();
        let described = columns
            .iter()
            .map(|column| (column.name(), column.decl_type().unwrap_or_default()));
        let mut writer = ResultWriter::new(mode, described);
        let mut length = 0;
        while let Some(row) = ready(rows.next())?.map_err(engine_failure)? {
            if let Err(failure) = write_row(&row, &columns, &mut writer) {
                self.undo(&mut rows);
                return Err(failure);
            }
            length += 1;
        }
        let changed = self.connection.total_changes() != changes_before;
        let affected = if changed {
            self.connection.changes()
        } else {
            0
        };
        let inserted = prepared.inserts && changed;
        Ok(writer.finish(
            length,
            affected,
            inserted.then(|| self.connection.last_insert_rowid()),
        ))
    }

    /// Undoes a statement that has a row to give which cannot be given: outside a transaction the engine would commit
    /// it at its reset, but rolls back what is interrupted.
    fn undo(&self, rows: &mut Rows) {
        if !self.in_transaction() && self.connection.interrupt().is_ok() {
            let _ = ready(rows.next());
        }
    }

    /// Runs `statements` in a transaction of their own: all of them, or none.
    pub fn batch(
        &mut self,
        mode: TransactionMode,
        statements: &[Statement],
        int_mode: IntMode,
    ) -> Outcome<Vec<ResultText>> {
        self.run(mode.begin())?;
        let outcome = self.run_all(statements, int_mode).and_then(|results| {
            self.run("COMMIT")?;
            Ok(results)
        });
        if outcome.is_err() {
            self.roll_back();
        }
        outcome
    }

    /// Undoes an open transaction, also after an interrupt.
    fn roll_back(&mut self) {
        if self.in_transaction() {
            // A failure means that the engine has rolled back already, or that the pool will close us.
            let _ = self.attempt(&Statement::plain("ROLLBACK"), IntMode::Text);
        }
    }

    /// Runs `statements` one after the other in the transaction that is open; a failure names its index.
    pub fn run_all(&mut self, statements: &[Statement], mode: IntMode) -> Outcome<Vec<ResultText>> {
        let run = |(index, statement): (usize, &Statement)| {
            if !self.in_transaction() {
                // A statement before may have committed what it was given.
                return Err(transaction_closed()
                    .with_delivery(Delivery::Answered)
                    .with_detail("statementIndex", index));
            }
            self.execute(statement, mode)
                .map_err(|failure| failure.with_detail("statementIndex", index))
        };
        statements.iter().enumerate().map(run).collect()
    }

    /// As [`Self::batch`], with foreign keys off around it.
    pub fn migrate(&mut self, statements: &[Statement], mode: IntMode) -> Outcome<Vec<ResultText>> {
        self.run("PRAGMA foreign_keys = off")?;
        let outcome = self.batch(TransactionMode::Deferred, statements, mode);
        let on = Statement::plain("PRAGMA foreign_keys = on");
        // What the migration came to is what the caller must know; without foreign keys no caller may go on.
        self.tainted |= self.attempt(&on, IntMode::Text).is_err();
        outcome
    }

    /// Runs a script in the transaction that is open.
    pub fn continue_sequence(&mut self, script: &str) -> Outcome<()> {
        if !self.in_transaction() {
            return Err(transaction_closed());
        }
        self.sequence(script)
    }

    /// Runs a script of several statements without arguments.
    pub fn sequence(&mut self, script: &str) -> Outcome<()> {
        self.statements.clear();
        // Inside the script the engine itself waits for locks: it cannot be run a second time.
        let timeout = if self.status.is_locked_out() {
            Duration::ZERO
        } else {
            self.busy_timeout.min(LONGEST_WAIT)
        };
        self.wait_in_engine(timeout)?;
        // Its rows are read, though they are not wanted, and the engine panics on text that is not UTF-8.
        let work = AssertUnwindSafe(|| ready(self.connection.execute_batch(script)));
        let outcome = match catch_unwind(work) {
            Ok(outcome) => outcome?.map_err(engine_failure),
            Err(_) => Err(not_text("of a statement of the script")),
        };
        let named = self.authorizer.take_busy_timeout();
        self.obey(named.or(Some(BusyTimeout::Asked)))?;
        // Statements before the one that failed may have been committed.
        outcome
            .map(drop)
            .map_err(|failure| failure.with_retryable(false))
    }

    fn prepare(&mut self, sql: &str) -> Outcome<Prepared> {
        if let Some(at) = self.statements.iter().position(|(kept, _)| kept == sql)
            && let Some((_, statement)) = self.statements.remove(at)
        {
            return Ok(statement);
        }
        self.authorizer.take_inserts();
        let mut statement = self.compile(sql)?;
        let inserts = self.authorizer.take_inserts();
        let busy_timeout = self.authorizer.take_busy_timeout();
        let is_for_once = busy_timeout.is_some();
        if busy_timeout == Some(BusyTimeout::Asked) {
            // The engine answers while it compiles: with what it waits itself, which is a slice.
            self.wait_in_engine(self.busy_timeout)?;
            statement = self.compile(sql)?;
        }
        self.obey(busy_timeout)?;
        Ok(Prepared {
            statement,
            inserts,
            is_for_once,
        })
    }

    fn compile(&self, sql: &str) -> Outcome<libsql::Statement> {
        ready(self.connection.prepare(sql))?.map_err(engine_failure)
    }

    fn wait_in_engine(&self, timeout: Duration) -> Outcome<()> {
        self.connection
            .busy_timeout(timeout)
            .map_err(engine_failure)
    }

    /// Takes over a busy timeout that a statement has set, and has the engine wait in slices again.
    fn obey(&mut self, named: Option<BusyTimeout>) -> Outcome<()> {
        self.authorizer.take_busy_timeout();
        if let Some(BusyTimeout::Set(ms)) = named {
            self.busy_timeout = Duration::from_millis(ms);
        }
        match named {
            Some(_) => self.wait_in_engine(LOCK_SLICE.min(self.busy_timeout)),
            None => Ok(()),
        }
    }

    /// Keeps a statement that was reset; the one longest unused makes room.
    fn keep(&mut self, sql: &str, statement: Prepared) {
        if sql.len() > KEPT_SQL_BYTES || statement.is_for_once {
            return;
        }
        self.statements.push_front((sql.to_owned(), statement));
        self.statements.truncate(KEPT_STATEMENTS);
    }
}

/// One value of a row. The engine panics on text that is not UTF-8.
fn value_at(row: &libsql::Row, index: i32) -> Outcome<Value> {
    catch_unwind(AssertUnwindSafe(|| row.get_value(index)))
        .map_err(|_| not_text(row.column_name(index).unwrap_or_default()))?
        .map_err(engine_failure)
}

/// Writes a row, or says why it cannot be given.
fn write_row(
    row: &libsql::Row,
    columns: &[libsql::Column],
    writer: &mut ResultWriter,
) -> Outcome<()> {
    for (index, column) in (0..).zip(columns) {
        let value = value_at(row, index)?;
        writer.push(&value);
        match value {
            Value::Integer(integer) if !writer.represents(integer) => {
                return Err(inexact_integer(integer, column.name()));
            }
            _ => {}
        }
    }
    writer.check_length()
}

/// The caller has gone, or the connection is being closed.
fn interrupted() -> Failure {
    closed_failure("the connection was closed")
}
