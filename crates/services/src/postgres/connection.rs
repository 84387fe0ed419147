//! One connection: what runs on it, and how that is given up.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use moorline_core::{
    error::{Delivery, Failure, Outcome},
    sync::lock,
};
use moorline_net::receive_queue::Wakeup;
use postgres_protocol::message::frontend;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Handle,
    sync::oneshot,
    time::timeout,
};

use tokio_util::sync::CancellationToken;

use super::{
    auth::Session,
    driver::{Link, Listener, Request, RequestId, Response, TransactionStatus, Withdrawal},
    error::{ServerMessage, lost},
    message_queue::{Message, MessageQueue, Subscription},
    negotiation::Way,
    result::{ResultText, ValueTypes},
    session_state::SessionState,
    statement::{Answer, Collector, Statement},
    statement_cache::{Plan, StatementCache},
};

/// The time in which a server that was asked to cancel a request has to say that it was heard, and to answer it.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

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
    subscription: Arc<Subscription>,
    state: Arc<SessionState>,
    ended: CancellationToken,
    runtime: Handle,
}

/// The parameters that the server tells of.
#[derive(Default)]
struct Parameters(Mutex<HashMap<String, String>>);

/// Keeps parameters, and passes on what a server says without being asked.
struct Events {
    parameters: Arc<Parameters>,
    subscription: Arc<Subscription>,
    listener: Arc<dyn ConnectionListener>,
}

impl Listener for Events {
    fn on_notice(&self, body: &[u8]) {
        self.subscription
            .put(|| ServerMessage::parse(body).map(Message::Notice));
    }
    fn on_notification(&self, process_id: i32, channel: &str, payload: &str) {
        self.subscription.put(|| {
            Some(Message::Notification {
                process_id,
                channel: channel.to_owned(),
                payload: payload.to_owned(),
            })
        });
    }
    fn on_parameter(&self, name: &str, value: &str) {
        let (name, value) = (name.to_owned(), value.to_owned());
        lock(&self.parameters.0).insert(name.clone(), value.clone());
        self.subscription
            .put(|| Some(Message::Parameter { name, value }));
    }
    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        self.subscription.poll_room(context)
    }
    fn on_end(&self, failure: Option<&Failure>) {
        self.listener.on_end(failure);
    }
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
        runtime: &Handle,
    ) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let parameters = Arc::new(Parameters::default());
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
            process_id: session.process_id,
            canceller,
            parameters,
            subscription,
            state: Arc::default(),
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
        in_none && self.is_idle() && !self.state.is_changed()
    }

    /// Removes what its borrower has left.
    pub(super) async fn clean(&self) -> Outcome<()> {
        if !self.is_idle() || self.transaction_status() != TransactionStatus::Idle {
            self.run_to_end("ROLLBACK").await?;
        }
        if self.state.is_changed() {
            self.run_to_end("DISCARD ALL").await?;
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

    /// Ends it once everything is answered.
    pub fn close(&self) {
        self.link.close();
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
        let (plan, parsing) = if statement.is_prepared {
            self.state.statements.plan(statement.text)
        } else {
            (Plan::Unnamed, None)
        };
        let bytes = statement.encode(&plan);
        if let (Err(_), Some(parsing)) = (&bytes, &parsing) {
            parsing.take_back();
        }
        self.state.on_statement(statement.text);
        let collector = Collector::new(types, Arc::clone(&self.state), reply);
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

    /// What is prepared on it.
    pub(super) fn statements(&self) -> &StatementCache {
        &self.state.statements
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
                    match timeout(CANCEL_TIMEOUT, canceller.cancel()).await {
                        Ok(Ok(())) => link.release(),
                        // Whether it comes late, and hits the next one, is not known.
                        _ => link.cut(),
                    }
                });
            }
        }
    }
}

/// Asks a server to cancel what a session does.
#[derive(Clone)]
pub(super) struct Canceller {
    pub(super) way: Way,
    pub(super) process_id: i32,
    pub(super) secret_key: i32,
}

impl Canceller {
    /// Asks, and waits until the server has passed it on: from then on it hits nothing that is sent later.
    async fn cancel(&self) -> Outcome<()> {
        let mut stream = self.way.open().await?;
        let mut request = BytesMut::new();
        frontend::cancel_request(self.process_id, self.secret_key, &mut request);
        let asked = async {
            stream.write_all(&request).await?;
            stream.flush().await?;
            // It answers by ending the connection.
            stream.read(&mut [0]).await
        };
        asked.await.map(drop).map_err(|error| lost(Some(&error)))
    }
}
