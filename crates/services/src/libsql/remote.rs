//! A connection to a remote server: statements and transactions over a stream.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use libsql::Value;
use libsql_hrana::proto::{
    Batch, BatchCond, BatchCondList, BatchResult, BatchStep, BatchStreamReq, ExecuteStreamReq,
    NamedArg, SequenceStreamReq, Stmt, StmtResult, StreamRequest, StreamResponse, Value as Wire,
};
use moorline_core::error::{Delivery, Failure, Kind, Outcome};
use tokio::sync::Mutex;

use super::{
    result::{IntMode, ResultText, ResultWriter},
    statement::{Args, Statement, TransactionMode},
    stream::{RemoteTarget, Stream, missing_result, server_failure},
};

/// A remote connection. Nothing is sent before the first statement.
pub struct RemoteConnection {
    // Its owner runs one operation at a time; the lock is never contended.
    stream: Mutex<Stream>,
    in_transaction: AtomicBool,
}

impl RemoteConnection {
    /// A connection that dials with its first statement.
    pub fn new(target: RemoteTarget) -> Self {
        Self {
            stream: Mutex::new(Stream::new(target)),
            in_transaction: AtomicBool::new(false),
        }
    }

    /// Whether a transaction was open after the last operation.
    pub fn in_transaction(&self) -> bool {
        self.in_transaction.load(Ordering::Acquire)
    }

    async fn send(&self, request: StreamRequest, keep: bool) -> Outcome<StreamResponse> {
        let mut stream = self.stream.lock().await;
        let outcome = stream.send(request, keep).await;
        self.in_transaction
            .store(stream.in_transaction(), Ordering::Release);
        outcome
    }

    /// Runs one statement.
    pub async fn execute(
        &self,
        statement: &Statement,
        mode: IntMode,
        keep: bool,
    ) -> Outcome<ResultText> {
        let stmt = wire_statement(statement);
        match self
            .send(StreamRequest::Execute(ExecuteStreamReq { stmt }), keep)
            .await?
        {
            StreamResponse::Execute(answer) => Ok(result_text(&answer.result, mode)),
            _ => Err(missing_result()),
        }
    }

    /// Runs `statements` in a transaction of their own, in one round trip: all of them, or none.
    pub async fn batch(
        &self,
        mode: TransactionMode,
        statements: &[Statement],
        int_mode: IntMode,
        keep: bool,
    ) -> Outcome<Vec<ResultText>> {
        let mut steps = Steps::default();
        let begin = steps.push(Stmt::new(mode.begin(), false), None);
        let first = steps.push_chain(begin, statements);
        let last = steps.len() - 1;
        let commit = steps.push(Stmt::new("COMMIT", false), Some(ok_in_transaction(last)));
        let rollback = BatchCond::Not {
            cond: Box::new(BatchCond::Ok { step: commit }),
        };
        steps.push(Stmt::new("ROLLBACK", false), Some(rollback));
        let result = self.run(steps, keep).await?;
        step_error(&result, begin).map_or(Ok(()), Err)?;
        let results = statement_results(&result, first, statements.len(), int_mode)?;
        step_error(&result, commit).map_or(Ok(results), Err)
    }

    /// Runs `statements` one after the other in the open transaction; a failure names its index.
    pub async fn run_all(
        &self,
        statements: &[Statement],
        mode: IntMode,
    ) -> Outcome<Vec<ResultText>> {
        let mut steps = Steps::default();
        for (index, statement) in (0..).zip(statements) {
            let condition = match index {
                0 => in_transaction(),
                _ => ok_in_transaction(index - 1),
            };
            steps.push(wire_statement(statement), Some(condition));
        }
        let result = self.run(steps, true).await?;
        statement_results(&result, 0, statements.len(), mode)
    }

    /// As [`Self::batch`], with foreign keys off around it.
    pub async fn migrate(
        &self,
        statements: &[Statement],
        mode: IntMode,
    ) -> Outcome<Vec<ResultText>> {
        let off = Statement::plain("PRAGMA foreign_keys = off");
        let on = Statement::plain("PRAGMA foreign_keys = on");
        self.execute(&off, mode, true).await?;
        let outcome = self
            .batch(TransactionMode::Deferred, statements, mode, true)
            .await;
        self.execute(&on, mode, true).await?;
        outcome
    }

    /// Runs a script of several statements without arguments.
    pub async fn sequence(&self, script: &str, keep: bool) -> Outcome<()> {
        let request = SequenceStreamReq {
            sql: Some(script.to_owned()),
            sql_id: None,
            replication_index: None,
        };
        self.send(StreamRequest::Sequence(request), keep)
            .await
            .map(drop)
    }

    async fn run(&self, steps: Steps, keep: bool) -> Outcome<BatchResult> {
        let batch = Batch {
            steps: steps.0,
            replication_index: None,
        };
        match self
            .send(StreamRequest::Batch(BatchStreamReq { batch }), keep)
            .await?
        {
            StreamResponse::Batch(answer) => Ok(answer.result),
            _ => Err(missing_result()),
        }
    }

    /// Ends the stream.
    pub async fn close(&self) {
        self.stream.lock().await.close().await;
    }
}

/// The steps of a batch; each may depend on one before it.
#[derive(Default)]
struct Steps(Vec<BatchStep>);

impl Steps {
    fn len(&self) -> u32 {
        self.0.len() as u32
    }

    fn push(&mut self, stmt: Stmt, condition: Option<BatchCond>) -> u32 {
        self.0.push(BatchStep { condition, stmt });
        self.len() - 1
    }

    /// Adds statements that each run only if the one before succeeded; gives the index of the first.
    fn push_chain(&mut self, after: u32, statements: &[Statement]) -> u32 {
        let mut previous = after;
        for statement in statements {
            let condition = ok_in_transaction(previous);
            previous = self.push(wire_statement(statement), Some(condition));
        }
        after + 1
    }
}

/// Not once the transaction has been rolled back: a statement would then commit by itself.
fn in_transaction() -> BatchCond {
    BatchCond::Not {
        cond: Box::new(BatchCond::IsAutocommit {}),
    }
}

fn ok_in_transaction(step: u32) -> BatchCond {
    BatchCond::And(BatchCondList {
        conds: vec![BatchCond::Ok { step }, in_transaction()],
    })
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
            _ => Err(Failure::new(
                Kind::Rejected,
                "TRANSACTION_CLOSED: the statement was not run, because the transaction had been rolled back",
            )
            .with_code("TRANSACTION_CLOSED")
            .with_delivery(Delivery::Answered)
            .with_detail("statementIndex", index)),
        }
    };
    (0..count).map(read).collect()
}

fn wire_statement(statement: &Statement) -> Stmt {
    let mut stmt = Stmt::new(statement.sql.as_str(), true);
    match &statement.args {
        Args::Positional(values) => stmt.args = values.iter().map(wire_value).collect(),
        Args::Named(values) => {
            let named = |(name, value): &(String, Value)| NamedArg {
                name: name.clone(),
                value: wire_value(value),
            };
            stmt.named_args = values.iter().map(named).collect();
        }
    }
    stmt
}

fn wire_value(value: &Value) -> Wire {
    match value {
        Value::Null => Wire::Null,
        Value::Integer(value) => Wire::Integer { value: *value },
        Value::Real(value) => Wire::Float { value: *value },
        Value::Text(text) => Wire::Text {
            value: Arc::from(text.as_str()),
        },
        Value::Blob(bytes) => Wire::Blob {
            value: Bytes::copy_from_slice(bytes),
        },
    }
}

fn result_text(result: &StmtResult, mode: IntMode) -> ResultText {
    let names = result
        .cols
        .iter()
        .map(|col| col.name.clone().unwrap_or_default());
    let types = result
        .cols
        .iter()
        .map(|col| col.decltype.clone().unwrap_or_default());
    let mut writer = ResultWriter::new(mode, names.collect(), types.collect());
    for value in result.rows.iter().flat_map(|row| &row.values) {
        match value {
            Wire::None | Wire::Null => writer.null(),
            Wire::Integer { value } => writer.integer(*value),
            Wire::Float { value } => writer.real(*value),
            Wire::Text { value } => writer.text(value),
            Wire::Blob { value } => writer.blob(value),
        }
    }
    writer.finish(
        result.rows.len(),
        result.affected_row_count,
        result.last_insert_rowid,
    )
}
