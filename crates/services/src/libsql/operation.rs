//! Operations of a connection and their results.

use crate::libsql::{
    result::ResultText,
    statement::{Statement, TransactionMode},
};

/// An operation of a connection.
pub enum Operation {
    /// One statement.
    Execute(Statement),
    /// Statements in a transaction of their own: all, or none.
    Batch(TransactionMode, Vec<Statement>),
    /// Statements in the transaction that is open.
    Continue(Vec<Statement>),
    /// As `Batch`, with foreign keys off around it.
    Migrate(Vec<Statement>),
    /// A script of several statements.
    Sequence(String),
    /// A script in the transaction that is open.
    ContinueSequence(String),
}

impl Operation {
    /// Its name in errors.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Execute(_) => "execute",
            Self::Batch(..) | Self::Continue(_) => "batch",
            Self::Migrate(_) => "migrate",
            Self::Sequence(_) | Self::ContinueSequence(_) => "executeMultiple",
        }
    }
}

/// The results of an operation's statements, in order.
pub type Results = Vec<ResultText>;
