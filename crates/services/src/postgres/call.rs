//! One statement of a caller's, from its beginning to its outcome.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    limit::{Limit, TimeLimit},
};
use tokio::{sync::oneshot, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    connection::{Connection, Ticket},
    driver::TransactionStatus,
    metrics::ConnectionSeries,
    result::{ResultText, ValueTypes},
    statement::{Answer, Statement, Value},
    statement_cache::NAME_PREFIX,
};

/// The option that bounds a statement.
const QUERY_TIMEOUT: &str = "queryTimeoutMs";
/// The code of a prepared statement that the session of the server does not have.
const LOST_STATEMENT: &str = "26000";

/// A statement that outlives the call that gave it.
#[derive(Clone, Debug, Default)]
pub struct OwnedStatement {
    /// The text.
    pub text: String,
    /// The values; `None` sends the text alone.
    pub values: Option<Vec<OwnedValue>>,
    /// The name by which it is prepared once for all times that it runs on a connection.
    pub name: Option<String>,
}

/// A value of it.
#[derive(Clone, Debug)]
pub enum OwnedValue {
    /// NULL.
    Null,
    /// In the text format.
    Text(String),
    /// In the binary format.
    Bytes(Vec<u8>),
}

impl OwnedStatement {
    /// Its values, as they are sent: a statement with a name has some, if only none.
    pub(super) fn borrow_values(&self) -> Option<Vec<Value<'_>>> {
        let values = self.values.as_ref();
        let values = values.map(|values| values.iter().map(OwnedValue::borrow).collect());
        values.or_else(|| self.name.as_ref().map(|_| Vec::new()))
    }

    /// The statement, with these of its values.
    pub(super) fn borrow<'a>(&'a self, values: Option<&'a [Value<'a>]>) -> Statement<'a> {
        Statement {
            text: &self.text,
            values,
            is_prepared: self.name.is_some(),
        }
    }
}

impl OwnedValue {
    fn borrow(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

/// A statement, and how it is run.
pub(super) struct StatementCall {
    pub(super) statement: OwnedStatement,
    pub(super) types: ValueTypes,
    /// Its time, from when it is sent.
    pub(super) limit: Limit<Duration>,
    /// Ends the call.
    pub(super) cancel: CancellationToken,
    /// The limit for borrowing a connection, where it borrows one.
    pub(super) connection_limit: TimeLimit,
    /// Whether the connection is used again after it.
    pub(super) is_pooling: bool,
    /// Where it is counted.
    pub(super) series: Arc<ConnectionSeries>,
}

type Results = Outcome<Vec<ResultText>>;

impl StatementCall {
    /// Hands it over.
    pub(super) fn send(&self, connection: Arc<Connection>) -> Outcome<Running> {
        let began = Instant::now();
        let (sender, receiver) = oneshot::channel();
        let reply = |(outcome, _): Answer| drop(sender.send(outcome));
        let ticket = self.with(|statement| connection.run(statement, self.types, reply))?;
        Ok(Running {
            connection,
            began,
            ticket,
            receiver,
        })
    }

    /// The same, where nothing else runs on the connection.
    fn send_if_idle(&self, connection: Arc<Connection>) -> Option<Running> {
        let (sender, receiver) = oneshot::channel();
        let reply = |(outcome, _): Answer| drop(sender.send(outcome));
        let ticket = self.with(|statement| connection.run_if_idle(statement, self.types, reply))?;
        Some(Running {
            connection,
            began: Instant::now(),
            ticket,
            receiver,
        })
    }

    fn with<T>(&self, use_statement: impl FnOnce(&Statement<'_>) -> T) -> T {
        let values = self.statement.borrow_values();
        use_statement(&self.statement.borrow(values.as_deref()))
    }

    /// Whether the session of the server is another one than it was prepared in.
    fn is_elsewhere(&self, failure: &Failure) -> bool {
        self.statement.name.is_some()
            && failure.code == LOST_STATEMENT
            && failure.message.contains(NAME_PREFIX)
    }

    /// Whether the server refuses to run it as it was parsed: outside of a transaction it is parsed anew, once.
    fn is_outdated(&self, failure: &Failure) -> bool {
        let routine = failure
            .detail
            .get("server")
            .map(|fields| &fields["routine"]);
        self.statement.name.is_some()
            && failure.code == "0A000"
            && routine.is_some_and(|routine| routine == "RevalidateCachedQuery")
    }
}

/// A statement that was handed over.
pub(super) struct Running {
    connection: Arc<Connection>,
    began: Instant,
    ticket: Ticket,
    receiver: oneshot::Receiver<Results>,
}

impl Running {
    /// Holds what its caller sends after it back from when `cancel` fires.
    pub(super) fn give_up_by(&self, cancel: &CancellationToken) {
        self.connection.give_up_by(&self.ticket, cancel);
    }

    /// Its outcome, which is counted.
    pub(super) async fn end(self, call: &StatementCall) -> Results {
        let (connection, began) = (Arc::clone(&self.connection), self.began);
        let outcome = self.run(call).await;
        call.series
            .on_statement(connection.server(), began, &outcome);
        outcome
    }

    /// Its outcome. One that has to be parsed anew is, where it is the last that was sent.
    async fn run(self, call: &StatementCall) -> Results {
        let given_up = give_up(call.limit, &call.cancel);
        let mut given_up = pin!(given_up);
        let connection = Arc::clone(&self.connection);
        let failure = match self.until(given_up.as_mut()).await {
            Err(failure) if call.is_outdated(&failure) => failure,
            Err(failure) if call.is_elsewhere(&failure) => {
                connection.on_lost_statement();
                failure
            }
            outcome => return outcome,
        };
        connection.statements().forget(&call.statement.text);
        let is_outside = connection.transaction_status() == TransactionStatus::Idle;
        let again = is_outside.then(|| call.send_if_idle(connection)).flatten();
        match again {
            Some(again) => again.until(given_up).await,
            None => Err(failure),
        }
    }

    /// Its outcome, unless it is given up. Then the server is asked to cancel it; the caller hears at once, and nobody else gets
    /// the connection before the server has answered.
    async fn until(mut self, given_up: Pin<&mut impl Future<Output = Failure>>) -> Results {
        let given_up = tokio::select! {
            biased;
            outcome = &mut self.receiver => return outcome.unwrap_or_else(|_| Err(Failure::defect())),
            given_up = given_up => given_up,
        };
        self.connection.cancel(&self.ticket);
        // What was not sent is known to have had no effect.
        let delivery = match self.receiver.try_recv() {
            Ok(Err(failure)) => failure.delivery,
            _ => Delivery::Unknown,
        };
        Err(given_up.with_delivery(delivery))
    }
}

/// Waits for the end of the time, or of the caller's interest.
async fn give_up(limit: Limit<Duration>, cancel: &CancellationToken) -> Failure {
    let cancelled = async {
        cancel.cancelled().await;
        Failure::aborted()
    };
    let Limit::At(after) = limit else {
        return cancelled.await;
    };
    timeout(after, cancelled).await.unwrap_or_else(|_| {
        let message = format!("The statement took longer than {}ms", after.as_millis());
        Failure::timed_out(Kind::Timeout, message, QUERY_TIMEOUT)
    })
}
