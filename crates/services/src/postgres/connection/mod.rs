//! One connection: what runs on it, and how that is given up.

mod cancel;
mod events;

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use moorline_core::{
    error::{Delivery, Failure, Outcome},
    sync::lock,
};
use moorline_net::receive_queue::Wakeup;
use postgres_protocol::escape::escape_literal;
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{sleep, timeout},
};

use tokio_util::sync::CancellationToken;

pub(super) use self::cancel::Canceller;
use self::{
    cancel::{CANCEL_INTERVAL, cancel_until_answered},
    events::{Events, Parameters},
};
use super::{
    address::Server,
    auth::Session,
    driver::{Link, Request, RequestId, Response, TransactionStatus, Withdrawal},
    message_queue::{MessageQueue, Subscription},
    result::{ResultText, ValueTypes},
    service::OwnedStatement,
    session_sharing::{SessionSharing, refuse_session_state},
    session_state::SessionState,
    statement::{Answer, Collector, Statement},
    statement_cache::{Plan, StatementCache},
};

/// The time in which a server that was asked to cancel a request has to say that it was heard, and to answer it.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// The time in which what runs on a connection that is closed has to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// The parameters that the start of a session sets. `DISCARD ALL` resets them to what they were when the session of the server
/// began, which through a pooler was not ours.
const STARTED_WITH: [&str; 3] = ["client_encoding", "DateStyle", "application_name"];

/// The number of the next connection.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A listener for the end of a connection.
pub(super) trait ConnectionListener: Send + Sync + 'static {
    /// The connection has ended; without a failure, as it was asked to.
    fn on_end(&self, failure: Option<&Failure>);
}

/// A connection on which a user has logged in.
pub struct Connection {
    link: Link,
    id: u64,
    process_id: i32,
    canceller: Canceller,
    parameters: Arc<Parameters>,
    /// The values of the parameters that it was started with.
    started_with: Vec<(&'static str, String)>,
    subscription: Arc<Subscription>,
    state: Arc<SessionState>,
    sharing: Arc<SessionSharing>,
    /// The statements of its owner that set the session up; each borrower finds what they did.
    set_up: Mutex<Vec<OwnedStatement>>,
    ended: CancellationToken,
    /// Whether its end is a loss.
    pub(super) is_wanted: Arc<AtomicBool>,
    runtime: Handle,
}

/// A request that can be given up.
pub struct Ticket(RequestId);

impl Connection {
    /// A connection over a stream on which a session has begun; its driver runs on `runtime`.
    pub(super) fn start<S>(
        stream: S,
        received: BytesMut,
        session: Session,
        canceller: Canceller,
        listener: Arc<dyn ConnectionListener>,
        sharing: Arc<SessionSharing>,
        runtime: &Handle,
    ) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let parameters = Arc::new(Parameters::default());
        let started_with = STARTED_WITH.into_iter().filter_map(|name| {
            let (_, value) = session.parameters.iter().find(|(told, _)| told == name)?;
            Some((name, value.clone()))
        });
        let started_with = started_with.collect();
        lock(&parameters.0).extend(session.parameters);
        let subscription = Arc::<Subscription>::default();
        let events = Events {
            parameters: Arc::clone(&parameters),
            subscription: Arc::clone(&subscription),
            listener,
        };
        let (link, driver) = Link::new(stream, received, Arc::new(events));
        let ended = CancellationToken::new();
        let ends = ended.clone().drop_guard();
        runtime.spawn(async move {
            driver.await;
            drop(ends);
        });
        Self {
            link,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            ended,
            is_wanted: Arc::default(),
            process_id: session.process_id,
            canceller,
            parameters,
            started_with,
            subscription,
            state: Arc::default(),
            sharing,
            set_up: Mutex::default(),
            runtime: runtime.clone(),
        }
    }

    /// Its number in this process.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The number of the server process.
    pub const fn process_id(&self) -> i32 {
        self.process_id
    }

    /// The server.
    pub(super) const fn server(&self) -> &Server {
        &self.canceller.way.server
    }

    /// The state of the transaction after the last answer.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.link.status()
    }

    /// The value of a parameter that the server tells of, such as `server_version`.
    pub fn parameter(&self, name: &str) -> Option<String> {
        lock(&self.parameters.0).get(name).cloned()
    }

    /// Has what the server says without being asked put into a queue, in place of the one before, whose reader `make_wakeup` makes.
    /// While that is full, nothing is read from the connection.
    pub fn subscribe(
        &self,
        make_wakeup: impl FnOnce(&Weak<MessageQueue>) -> Arc<dyn Wakeup>,
    ) -> Arc<MessageQueue> {
        self.subscription.begin(make_wakeup)
    }

    /// Has it dropped, as at the beginning.
    pub fn unsubscribe(&self) {
        self.subscription.end();
    }

    /// Whether it has ended, or is about to.
    pub fn is_over(&self) -> bool {
        self.link.is_over()
    }

    /// Whether nothing runs on it.
    pub fn is_idle(&self) -> bool {
        self.link.is_idle()
    }

    /// Whether its borrower has left nothing that the next one must not find.
    pub(super) fn is_clean(&self) -> bool {
        let in_none = self.transaction_status() == TransactionStatus::Idle;
        in_none && self.is_idle() && !self.is_changed()
    }

    /// Whether its borrower has changed its session. One that is shared is nobody's: what is left there was for others to find
    /// already.
    pub(super) fn is_changed(&self) -> bool {
        !self.sharing.is_shared() && self.state.is_changed()
    }

    /// Takes what was done so far for the state that each borrower finds; these are the statements that lead to it.
    pub fn set_up(&self, statements: Vec<OwnedStatement>) {
        *lock(&self.set_up) = statements;
        self.state.reset();
    }

    /// Removes what its borrower has left.
    pub(super) async fn clean(&self) -> Outcome<()> {
        if !self.is_idle() || self.transaction_status() != TransactionStatus::Idle {
            self.run_to_end("ROLLBACK").await?;
        }
        if self.is_changed() {
            self.run_to_end("DISCARD ALL").await?;
            for (name, value) in &self.started_with {
                if self.parameter(name).as_ref() != Some(value) {
                    let value = escape_literal(value);
                    self.run_to_end(&format!("SET {name} = {value}")).await?;
                }
            }
            let statements = lock(&self.set_up).clone();
            for statement in &statements {
                self.run_owned(statement).await?;
            }
            self.state.reset();
        }
        Ok(())
    }

    /// Runs a statement of ours.
    pub(super) async fn run_to_end(&self, text: &str) -> Outcome<Vec<ResultText>> {
        let (sender, receiver) = oneshot::channel();
        self.run(&Statement::of(text), ValueTypes::Text, |(outcome, _)| {
            let _ = sender.send(outcome);
        })?;
        receiver.await.unwrap_or_else(|_| Err(Failure::defect()))
    }

    async fn run_owned(&self, statement: &OwnedStatement) -> Outcome<()> {
        let (sender, receiver) = oneshot::channel();
        let values = statement.borrow_values();
        let borrowed = statement.borrow(values.as_deref());
        self.run(&borrowed, ValueTypes::Text, |(outcome, _)| {
            let _ = sender.send(outcome);
        })?;
        let outcome = receiver.await.unwrap_or_else(|_| Err(Failure::defect()));
        outcome.map(drop)
    }

    /// Ends it once everything is answered.
    pub fn close(&self) {
        self.link.close();
    }

    /// Has the server cancel what still runs, and then cuts it.
    pub(super) async fn stop(&self) {
        if self.is_idle() || self.is_over() {
            return;
        }
        // Each cancellation hits one of the statements that were sent.
        let cancelling = async {
            while !self.is_idle() && self.canceller.cancel().await.is_ok() {
                sleep(CANCEL_INTERVAL).await;
            }
        };
        let _ = timeout(STOP_TIMEOUT, cancelling).await;
        self.cut();
    }

    /// Ends it at once.
    pub(super) fn cut(&self) {
        self.link.cut();
    }

    /// Whether its server has refused to write.
    pub(super) fn was_refused_writing(&self) -> bool {
        self.link.was_refused_writing()
    }

    /// Ready when it has ended.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Runs a statement; what comes of it is given to `reply`. Statements are sent as they come, and answered in their order.
    ///
    /// # Errors
    /// A statement that cannot be sent; then `reply` is not called.
    pub fn run(
        &self,
        statement: &Statement<'_>,
        types: ValueTypes,
        reply: impl FnOnce(Answer) + Send + 'static,
    ) -> Outcome<Ticket> {
        let request = self.request(statement, types, reply)?;
        Ok(Ticket(self.link.submit(request)))
    }

    /// The same, where nothing else is to be answered; else nothing is done.
    pub(super) fn run_if_idle(
        &self,
        statement: &Statement<'_>,
        types: ValueTypes,
        reply: impl FnOnce(Answer) + Send + 'static,
    ) -> Option<Ticket> {
        let request = self.request(statement, types, reply).ok()?;
        self.link.submit_if_idle(request).map(Ticket)
    }

    fn request(
        &self,
        statement: &Statement<'_>,
        types: ValueTypes,
        reply: impl FnOnce(Answer) + Send + 'static,
    ) -> Outcome<Request> {
        let is_shared = self.sharing.is_shared();
        if is_shared {
            let in_none = self.transaction_status() == TransactionStatus::Idle && self.is_idle();
            refuse_session_state(statement.text, !in_none)?;
        }
        let (plan, parsing) = if statement.is_prepared && !is_shared {
            self.state.statements.plan(statement.text)
        } else {
            (Plan::Unnamed, None)
        };
        let bytes = statement.encode(&plan);
        if let (Err(_), Some(parsing)) = (&bytes, &parsing) {
            parsing.take_back();
        }
        let trace = self.state.on_statement(statement.text);
        let collector = Collector::new(types, trace, reply);
        let response: Box<dyn Response> = if statement.is_extended() {
            Box::new(collector.of_extended(parsing))
        } else {
            Box::new(collector)
        };
        Ok(Request {
            bytes: bytes?,
            response,
            is_exclusive: statement.may_copy_in(),
        })
    }

    /// A statement that it had prepared is not there: its sessions are shared with others.
    pub(super) fn on_lost_statement(&self) {
        self.sharing.find();
    }

    /// The statements that are prepared on it.
    pub(super) fn statements(&self) -> &StatementCache {
        &self.state.statements
    }

    /// From when `given_up` fires, nothing is sent after a request until it is answered: who has given it up may send the next one
    /// before [`Self::cancel`] is called.
    pub fn give_up_by(&self, ticket: &Ticket, given_up: &CancellationToken) {
        self.link.give_up_by(ticket.0, given_up);
    }

    /// Cancels a request: takes it back, or has the server cancel it, as soon as that can hit nothing else that is waited for. Its
    /// `reply` is called as ever.
    pub fn cancel(&self, ticket: &Ticket) {
        let id = ticket.0;
        match self.link.withdraw(id) {
            Withdrawal::Unsent(response) => {
                response.on_lost(Failure::aborted().with_delivery(Delivery::None));
            }
            Withdrawal::Answered => {}
            Withdrawal::Sent => {
                let (link, canceller) = (self.link.clone(), self.canceller.clone());
                self.runtime.spawn(async move {
                    if !link.turn(id).await {
                        return;
                    }
                    let cancelling = cancel_until_answered(&link, &canceller, id);
                    match timeout(CANCEL_TIMEOUT, cancelling).await {
                        Ok(Ok(())) => link.release(),
                        // Whether it comes late, and hits the next one, is not known.
                        _ => link.cut(),
                    }
                });
            }
        }
    }
}
