//! The executor of a local connection: statements, transactions and waits for locks.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use moorline_core::error::{Delivery, Failure, Outcome};
use moorline_sqlite::{Connection, RunError};

use crate::libsql::{
    error::{BUSY, closed_failure, engine_failure, transaction_closed},
    local::{
        LocalTarget, Status,
        authorizer::{Authorizer, BusyTimeout},
        checkpointer::Checkpointer,
        inline_rules::InlineRules,
        rows::{DiscardingSink, ResultRows},
        statement_cache::{PreparedStatement, StatementCache},
    },
    operation::{Operation, Results},
    result::{IntMode, ResultText},
    statement::{Statement, TransactionMode, positional_arguments},
};

/// The engine does not look at an interrupt while it waits for a lock, so it waits in slices of this.
pub(super) const LOCK_SLICE: Duration = Duration::from_millis(20);
/// The longest busy timeout of the engine, which counts milliseconds in 32 bits.
const MAX_BUSY_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// One open connection with its prepared statements.
pub struct StatementExecutor {
    pub(super) connection: Connection,
    pub(super) statement_cache: StatementCache,
    pub(super) authorizer: Arc<Authorizer>,
    pub(super) busy_timeout: Duration,
    pub(super) inline: InlineRules,
    /// What moves the log; none for a database in memory, and where the engine does not know the path of the file.
    pub(super) checkpointer: Option<Arc<Checkpointer>>,
    status: Arc<Status>,
    tainted: bool,
}

impl StatementExecutor {
    /// Sets the connection up: waiting for locks, and write-ahead logging for files.
    pub(in crate::libsql) fn new(
        mut connection: Connection,
        target: &LocalTarget,
        status: Arc<Status>,
    ) -> Outcome<Self> {
        connection.set_busy_timeout(LOCK_SLICE.min(target.busy_timeout));
        let mut executor = Self {
            authorizer: Authorizer::install(&mut connection),
            connection,
            statement_cache: StatementCache::default(),
            busy_timeout: target.busy_timeout,
            inline: InlineRules::new(target.inline, target.in_memory()),
            checkpointer: None,
            status,
            tainted: false,
        };
        // Opening is lazy: touch the database, so that a failure shows here.
        executor.run("SELECT 1 FROM sqlite_schema LIMIT 1")?;
        if !target.in_memory() {
            executor.checkpointer = executor
                .connection
                .file()
                .map(|_| Arc::clone(&target.checkpointer));
            executor.set_up_file()?;
        }
        Ok(executor)
    }

    /// Turns write-ahead logging on.
    fn set_up_file(&mut self) -> Outcome<()> {
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
        self.execute(&Statement::without_args(sql), IntMode::Text)
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
        self.statement_cache.clear(&mut self.connection);
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
        self.update_rules();
        let mut prepared = self.prepare(&statement.sql)?;
        let _pause = prepared.sets.then(|| self.pause_checkpoints());
        let outcome = self.run_prepared(&mut prepared, statement, mode);
        self.statement_cache
            .put(&mut self.connection, &statement.sql, prepared);
        outcome
    }

    fn run_prepared(
        &mut self,
        prepared: &mut PreparedStatement,
        statement: &Statement,
        mode: IntMode,
    ) -> Outcome<ResultText> {
        let before = self.connection.total_changes();
        let began = Instant::now();
        let mut rows = ResultRows::new(mode);
        let arguments =
            positional_arguments(&self.connection, &prepared.statement, &statement.args)?;
        self.connection
            .run(&prepared.statement, &arguments, &mut rows)
            .map_err(|error| match error {
                RunError::Engine(error) => engine_failure(error),
                RunError::Refused(failure) => failure,
            })?;
        // First, as a look at the program counts as a run.
        let (affected, rowid) = self.changes_since(before, prepared);
        prepared.inline.record(began.elapsed());
        if prepared.inline.is_due() {
            prepared
                .inline
                .compile(&mut self.connection, &statement.sql);
        }
        self.keep_log_short();
        if !prepared.is_readonly {
            self.inline.is_checkpoint_due = false;
        }
        Ok(rows.finish(affected, rowid))
    }

    /// The number of rows that `prepared` changed, and the rowid of the one that it inserted last; `before` is the total
    /// before it ran.
    pub(super) fn changes_since(
        &self,
        before: u64,
        prepared: &PreparedStatement,
    ) -> (u64, Option<i64>) {
        let changed = self.connection.total_changes() != before;
        let affected = if changed {
            self.connection.changes()
        } else {
            0
        };
        let rowid = (prepared.inserts && changed).then(|| self.connection.last_insert_rowid());
        (affected, rowid)
    }

    /// Runs `statements` in a transaction of their own: all of them, or none.
    pub fn batch(
        &mut self,
        mode: TransactionMode,
        statements: &[Statement],
        int_mode: IntMode,
    ) -> Outcome<Vec<ResultText>> {
        self.run(mode.begin_sql())?;
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
            let _ = self.attempt(&Statement::without_args("ROLLBACK"), IntMode::Text);
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
        let on = Statement::without_args("PRAGMA foreign_keys = on");
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
        self.statement_cache.clear(&mut self.connection);
        // It may set anything in between, so its commits move the log themselves.
        let _pause = self.pause_checkpoints();
        let deferred = self.connection.restore_checkpoints();
        // Inside the script the engine itself waits for locks: it cannot be run a second time.
        let timeout = if self.status.is_locked_out() {
            Duration::ZERO
        } else {
            self.busy_timeout.min(MAX_BUSY_TIMEOUT)
        };
        self.connection.set_busy_timeout(timeout);
        let outcome = self.run_script(script);
        let named = self.authorizer.take_busy_timeout();
        self.obey(named.or(Some(BusyTimeout::Asked)));
        if !self.obey_settings() && deferred {
            self.connection.defer_checkpoints();
        }
        // Statements before the one that failed may have been committed.
        outcome.map_err(|failure| failure.with_retryable(false))
    }

    fn run_script(&mut self, script: &str) -> Outcome<()> {
        let mut rest = script;
        while !rest.is_empty() {
            let (statement, tail) = self.compile(rest)?;
            rest = tail;
            let Some(statement) = statement else {
                continue;
            };
            let outcome = self.connection.run(&statement, &[], &mut DiscardingSink);
            self.connection.finalize(statement);
            outcome.map_err(|error| match error {
                RunError::Engine(error) => engine_failure(error),
                RunError::Refused(failure) => failure,
            })?;
        }
        Ok(())
    }
}

/// The caller has gone, or the connection is being closed.
fn interrupted() -> Failure {
    closed_failure("the connection was closed")
}
