//! A connection to a remote server: statements and transactions over a stream.

pub(in crate::libsql) mod pipeline;
pub(in crate::libsql) mod refusal;
pub(in crate::libsql) mod request;
pub(in crate::libsql) mod rows;
pub mod stream;
pub mod transport;
pub(in crate::libsql) mod turn;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use moorline_core::error::{Delivery, Failure, Outcome};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::libsql::{
    error::transaction_closed,
    operation::{Operation, Results},
    remote::pipeline::{BatchResult, StatementResult, StreamResponse},
    remote::refusal::{missing_result, server_failure},
    remote::request::{Batch, Condition, Request, Step, Stmt},
    remote::stream::Stream,
    remote::transport::Transport,
    remote::turn::Turn,
    result::{IntMode, ResultText, ResultWriter},
    statement::{Statement, TransactionMode},
};
use moorline_net::http::offload;

/// The bytes of a value on the wire, roughly.
const BYTES_PER_VALUE: usize = 16;

/// A remote connection. Nothing is sent before the first statement.
pub struct RemoteConnection {
    /// Operations that have begun and not come to their own end.
    pub(in crate::libsql) active_operations: AtomicU32,
    stream: Arc<Mutex<Stream>>,
    in_transaction: AtomicBool,
    closing: CancellationToken,
}

impl RemoteConnection {
    /// A connection that dials with its first statement.
    pub fn new(transport: Arc<Transport>) -> Self {
        Self {
            active_operations: AtomicU32::new(0),
            stream: Arc::new(Mutex::new(Stream::new(transport))),
            in_transaction: AtomicBool::new(false),
            closing: CancellationToken::new(),
        }
    }

    /// Whether a transaction was open after the last operation.
    pub fn in_transaction(&self) -> bool {
        self.in_transaction.load(Ordering::Acquire)
    }

    /// Takes the next turn on the stream.
    pub(in crate::libsql) fn take_turn(self: &Arc<Self>) -> Turn {
        Turn::take(Arc::clone(self))
    }

    /// Ends the stream, and what runs on it.
    pub async fn close(&self) {
        self.closing.cancel();
        self.stream.lock().await.close().await;
    }
}

impl Turn {
    /// Runs `operation`; the stream is kept open after it when `keep_stream` says so.
    pub(in crate::libsql) async fn perform(
        self,
        operation: Operation,
        mode: IntMode,
        keep_stream: bool,
    ) -> Outcome<Results> {
        match operation {
            Operation::Execute(statement) => {
                let result = self.execute(&statement, mode, keep_stream).await;
                result.map(|result| vec![result])
            }
            Operation::Batch(begin, statements) => {
                self.batch(begin, &statements, mode, keep_stream).await
            }
            Operation::Continue(statements) => self.run_all(&statements, mode).await,
            Operation::Migrate(statements) => self.migrate(&statements, mode).await,
            Operation::Sequence(script) => self
                .sequence(&script, keep_stream)
                .await
                .map(|()| Vec::new()),
            Operation::ContinueSequence(script) => {
                self.continue_sequence(&script).await.map(|()| Vec::new())
            }
        }
    }

    /// Runs one statement.
    async fn execute(
        self,
        statement: &Statement,
        mode: IntMode,
        keep_stream: bool,
    ) -> Outcome<ResultText> {
        let stmt = statement.into();
        match self.send(Request::Execute { stmt }, keep_stream).await? {
            StreamResponse::Execute(result) => {
                let bytes = result.values.len() * BYTES_PER_VALUE;
                offload(bytes, move || Ok(result_text(&result, mode))).await
            }
            _ => Err(missing_result()),
        }
    }

    /// Runs `statements` in a transaction of their own, in one round trip: all of them, or none.
    async fn batch(
        self,
        mode: TransactionMode,
        statements: &[Statement],
        int_mode: IntMode,
        keep_stream: bool,
    ) -> Outcome<Vec<ResultText>> {
        let transaction = Steps::default().with_transaction(mode, statements);
        self.run_transaction(transaction, statements.len(), int_mode, keep_stream)
            .await
    }

    /// As [`Self::batch`], with foreign keys off around it: still one round trip, so that they are on again
    /// whatever happens.
    async fn migrate(self, statements: &[Statement], mode: IntMode) -> Outcome<Vec<ResultText>> {
        let mut steps = Steps::default();
        steps.push(Stmt::without_args("PRAGMA foreign_keys = off"), None);
        let mut transaction = steps.with_transaction(TransactionMode::Deferred, statements);
        let on = Stmt::without_args("PRAGMA foreign_keys = on");
        transaction.steps.push(on, None);
        self.run_transaction(transaction, statements.len(), mode, true)
            .await
    }

    async fn run_transaction(
        self,
        transaction: TransactionSteps<'_>,
        count: usize,
        mode: IntMode,
        keep_stream: bool,
    ) -> Outcome<Vec<ResultText>> {
        let TransactionSteps {
            steps,
            begin,
            commit,
        } = transaction;
        let result = self.run(steps, keep_stream).await?;
        step_error(&result, begin).map_or(Ok(()), Err)?;
        let results = statement_results(&result, begin + 1, count, mode)?;
        step_error(&result, commit).map_or(Ok(results), Err)
    }

    /// Runs `statements` one after the other in the open transaction; a failure names its index.
    async fn run_all(self, statements: &[Statement], mode: IntMode) -> Outcome<Vec<ResultText>> {
        let mut steps = Steps::default();
        for (index, statement) in (0..).zip(statements) {
            let condition = match index {
                0 => in_transaction_condition(),
                _ => ok_in_transaction_condition(index - 1),
            };
            steps.push(statement.into(), Some(condition));
        }
        let result = self.run(steps, true).await?;
        statement_results(&result, 0, statements.len(), mode)
    }

    /// Runs a script of several statements without arguments.
    async fn sequence(self, script: &str, keep_stream: bool) -> Outcome<()> {
        // Statements before the one that failed may have been committed.
        self.send(Request::Sequence { sql: script }, keep_stream)
            .await
            .map(drop)
            .map_err(|failure| failure.with_retryable(false))
    }

    /// Runs a script in the transaction that is open.
    async fn continue_sequence(self, script: &str) -> Outcome<()> {
        // Statements before the one that failed may have been run.
        self.send_in_transaction(Request::Sequence { sql: script })
            .await
            .map(drop)
            .map_err(|failure| failure.with_retryable(false))
    }

    async fn run(self, steps: Steps<'_>, keep_stream: bool) -> Outcome<BatchResult> {
        let batch = Batch { steps: steps.0 };
        match self.send(Request::Batch { batch }, keep_stream).await? {
            StreamResponse::Batch(result) => Ok(result),
            _ => Err(missing_result()),
        }
    }
}

/// The steps of a batch; each may depend on one before it.
#[derive(Default)]
struct Steps<'a>(Vec<Step<'a>>);

impl<'a> Steps<'a> {
    fn len(&self) -> u32 {
        self.0.len() as u32
    }

    fn push(&mut self, stmt: Stmt<'a>, condition: Option<Condition>) -> u32 {
        self.0.push(Step { condition, stmt });
        self.len() - 1
    }

    /// Adds a transaction: each statement runs only if the one before succeeded, and what is not committed
    /// is rolled back, unless the transaction that was open is another's.
    fn with_transaction(
        mut self,
        mode: TransactionMode,
        statements: &'a [Statement],
    ) -> TransactionSteps<'a> {
        let before = self.len().checked_sub(1);
        let condition = before.map(|step| Condition::Ok { step });
        let begin = self.push(Stmt::without_args(mode.begin_sql()), condition);
        let mut last = begin;
        for statement in statements {
            last = self.push(statement.into(), Some(ok_in_transaction_condition(last)));
        }
        let commit = self.push(
            Stmt::without_args("COMMIT"),
            Some(ok_in_transaction_condition(last)),
        );
        let not_committed = Condition::Not {
            cond: Box::new(Condition::Ok { step: commit }),
        };
        let rollback = Condition::And {
            conds: vec![Condition::Ok { step: begin }, not_committed],
        };
        self.push(Stmt::without_args("ROLLBACK"), Some(rollback));
        TransactionSteps {
            steps: self,
            begin,
            commit,
        }
    }
}

/// The steps of a batch with a transaction in them, and where it begins and ends.
struct TransactionSteps<'a> {
    steps: Steps<'a>,
    begin: u32,
    commit: u32,
}

/// Not once the transaction has been rolled back: a statement would then commit by itself.
fn in_transaction_condition() -> Condition {
    Condition::Not {
        cond: Box::new(Condition::IsAutocommit),
    }
}

fn ok_in_transaction_condition(step: u32) -> Condition {
    Condition::And {
        conds: vec![Condition::Ok { step }, in_transaction_condition()],
    }
}

fn step_error(result: &BatchResult, step: u32) -> Option<Failure> {
    let error = result.step_errors.get(step as usize)?.as_ref()?;
    Some(server_failure(error))
}

fn statement_results(
    result: &BatchResult,
    first: u32,
    count: usize,
    mode: IntMode,
) -> Outcome<Vec<ResultText>> {
    let read = |index: usize| {
        let step = first as usize + index;
        if let Some(failure) = step_error(result, step as u32) {
            return Err(failure.with_detail("statementIndex", index));
        }
        match result.step_results.get(step) {
            Some(Some(answer)) => Ok(result_text(answer, mode)),
            _ => Err(transaction_closed()
                .with_delivery(Delivery::Answered)
                .with_detail("statementIndex", index)),
        }
    };
    (0..count).map(read).collect()
}

fn result_text(result: &StatementResult, mode: IntMode) -> ResultText {
    let described = result.columns.iter().map(|column| {
        let (name, declared) = (column.name.as_deref(), column.decltype.as_deref());
        (name.unwrap_or_default(), declared.unwrap_or_default())
    });
    let mut writer = ResultWriter::new(mode, described);
    for value in &result.values {
        match value {
            rows::Value::Null => writer.null(),
            rows::Value::Integer(value) => writer.integer(*value),
            rows::Value::Real(value) => writer.real(*value),
            rows::Value::Text(value) => writer.text(value),
            rows::Value::Blob(value) => writer.blob(value),
        }
    }
    writer.finish(result.length, result.affected, result.rowid)
}
