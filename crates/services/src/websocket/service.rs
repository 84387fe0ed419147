//! A WebSocket as its user sees it.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use bytes::Bytes;
use moorline_core::{
    error::{Delivery, Failure, Outcome},
    limit::Limit,
};
use tokio::{sync::oneshot, time::timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::Control;
use tokio_util::sync::CancellationToken;

use super::{
    batch::Batch,
    config::Config,
    connect::{self, Opened},
    driver::{Closed, Driver},
    error::{PING_TIMEOUT, SERVICE, closed, ping_timed_out, send_timed_out, unread},
    permessage_deflate::Agreement,
    send_queue::{Message, Pushed, SendQueue, undelivered},
    shared::Shared,
};
use moorline_net::{
    dial::Dialer,
    receive_queue::{ReceiveQueue, Wakeup},
};

/// What connections are made from.
pub struct WebSocketClient {
    config: Arc<Config>,
    dialer: Arc<Dialer>,
}

/// One connection. Dropping it ends it without a close frame.
pub struct Socket {
    shared: Arc<Shared>,
    config: Arc<Config>,
    protocol: String,
    compression: Option<Agreement>,
}

/// What became of the messages that were pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// All are written.
    Done,
    /// Some wait, or will never be: [`Socket::written`] tells.
    Pending,
}

impl WebSocketClient {
    /// Nothing is reached before [`Self::connect`].
    pub fn new(config: Config) -> Self {
        Self {
            dialer: Dialer::new(config.dial.clone()),
            config: Arc::new(config),
        }
    }

    /// A new connection, paused: it gives nothing out before [`Socket::resume`].
    pub async fn connect(
        &self,
        make_wakeup: impl FnOnce(&Weak<ReceiveQueue<Batch, Closed>>) -> Arc<dyn Wakeup>,
        cancel: &CancellationToken,
    ) -> Outcome<Socket> {
        let opened = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Failure::aborted().during(SERVICE, "connect")),
            opened = connect::open(&self.config, &self.dialer) => opened?,
        };
        let receive_queue = ReceiveQueue::new(self.config.receive_queue, make_wakeup);
        Ok(Socket::start(&self.config, opened, receive_queue))
    }
}

impl Socket {
    fn start(
        config: &Arc<Config>,
        opened: Opened,
        receive_queue: Arc<ReceiveQueue<Batch, Closed>>,
    ) -> Self {
        let compress = opened.compression.is_some();
        let queue = SendQueue::new(config.send_queue, compress);
        // Compressing is not the sender's work.
        let socket = opened.wire.shared().filter(|_| !compress);
        let shared = Arc::new(Shared::new(receive_queue, queue, socket));
        let socket = Self {
            shared: Arc::clone(&shared),
            config: Arc::clone(config),
            protocol: opened.protocol,
            compression: opened.compression,
        };
        let driver = Driver::new(
            config,
            opened.wire,
            opened.early,
            opened.compression,
            shared,
        );
        tokio::spawn(driver);
        socket
    }

    /// The sub-protocol that the server chose, or nothing.
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// What was agreed about compression.
    pub fn compression(&self) -> Option<Agreement> {
        self.compression
    }

    /// Accepts a message at once; false when it must wait, or never will be accepted ([`Self::send`] tells).
    pub fn push(&self, bytes: &[u8], text: bool) -> bool {
        let mut out = self.shared.out();
        if out.refusal.is_some() {
            return false;
        }
        if out.queue.push(bytes, text) == Pushed::Accepted {
            return true;
        }
        out.write_now();
        out.queue.push(bytes, text) == Pushed::Accepted
    }

    /// Writes what was pushed, as far as the system takes it.
    pub fn flush(&self) -> Flushed {
        let mut out = self.shared.out();
        out.write_now();
        if out.queue.is_empty() {
            return Flushed::Done;
        }
        drop(out);
        self.shared.wake();
        Flushed::Pending
    }

    /// Waits until all that was pushed before is written.
    pub async fn written(&self) -> Outcome<()> {
        let told = {
            let mut out = self.shared.out();
            if let (Some(refusal), true, false) = (&out.refusal, out.ended, out.queue.is_empty()) {
                return Err(undelivered(refusal, Delivery::Unknown));
            }
            let (waiter, told) = oneshot::channel();
            out.queue.when_written(waiter);
            told
        };
        self.settled(
            told,
            None,
            self.config.send_timeout,
            &CancellationToken::new(),
        )
        .await
    }

    /// Queues a message in its turn, and waits until it is written. Called, it has its place at once; the future
    /// only waits.
    pub fn send(
        self: &Arc<Self>,
        bytes: Vec<u8>,
        text: bool,
        timeout: Option<Limit<Duration>>,
        cancel: CancellationToken,
    ) -> impl Future<Output = Outcome<()>> + Send + 'static {
        let queued = self.queue(bytes.into(), text);
        let socket = Arc::clone(self);
        async move {
            let (told, ticket) = queued?;
            let timeout = timeout.unwrap_or(socket.config.send_timeout);
            socket.settled(told, Some(ticket), timeout, &cancel).await
        }
    }

    fn queue(
        &self,
        bytes: Bytes,
        text: bool,
    ) -> Outcome<(oneshot::Receiver<Result<(), Delivery>>, u64)> {
        let (waiter, told) = oneshot::channel();
        let ticket = {
            let mut out = self.shared.out();
            if let Some(refusal) = &out.refusal {
                return Err(undelivered(refusal, Delivery::None));
            }
            let ticket = out.queue.push_waiting(Message { bytes, text }, waiter);
            out.write_now();
            ticket
        };
        self.shared.wake();
        Ok((told, ticket))
    }

    async fn settled(
        &self,
        told: oneshot::Receiver<Result<(), Delivery>>,
        ticket: Option<u64>,
        limit: Limit<Duration>,
        cancel: &CancellationToken,
    ) -> Outcome<()> {
        let late = async {
            match limit.get() {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let told = tokio::select! {
            biased;
            told = told => told,
            () = cancel.cancelled() => {
                let delivery = self.give_up(ticket);
                return Err(Failure::aborted().with_delivery(delivery).during(SERVICE, "send"));
            }
            () = late => {
                let delivery = self.give_up(ticket);
                return Err(send_timed_out(limit.get().unwrap_or_default(), delivery));
            }
        };
        match told {
            Ok(Ok(())) => Ok(()),
            Ok(Err(delivery)) => Err(self.shared.undelivered(delivery)),
            Err(_) => Err(self.shared.undelivered(Delivery::Unknown)),
        }
    }

    fn give_up(&self, ticket: Option<u64>) -> Delivery {
        let taken_back = ticket.is_some_and(|ticket| self.shared.out().queue.take_back(ticket));
        if taken_back {
            Delivery::None
        } else {
            Delivery::Unknown
        }
    }

    /// Sends a ping and waits for its answer: the time in between.
    pub async fn ping(&self, limit: Duration, cancel: &CancellationToken) -> Outcome<Duration> {
        let started = Instant::now();
        let told = {
            let mut out = self.shared.out();
            if let Some(refusal) = &out.refusal {
                return Err(refusal.clone().during(SERVICE, "ping"));
            }
            let (number, told) = self.shared.pings().next();
            out.queue.push_control(Control::Ping, &number.to_be_bytes());
            out.write_now();
            told
        };
        self.shared.wake();
        let told = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Failure::aborted().during(SERVICE, "ping")),
            told = timeout(limit, told) => told,
        };
        match told {
            Ok(Ok(())) => Ok(started.elapsed()),
            Ok(Err(_)) => Err(self
                .shared
                .undelivered(Delivery::Unknown)
                .during(SERVICE, "ping")),
            Err(_) => {
                let configured = limit == self.config.ping_timeout;
                let option = if configured {
                    PING_TIMEOUT
                } else {
                    "timeoutMs"
                };
                Err(if self.shared.receive_queue.has_room() {
                    ping_timed_out(limit, option)
                } else {
                    unread(limit, option)
                })
            }
        }
    }

    /// Closes: what was accepted is written, then the close frame, and the server has `closeTimeoutMs` for all of
    /// it and its answer. Resolves when it is over, however that was.
    pub async fn close(&self, code: u16, reason: String) {
        {
            let mut out = self.shared.out();
            if out.refusal.is_none() {
                out.refusal = Some(closed(code));
                out.close = Some((code, reason));
            }
        }
        self.shared.wake();
        self.shared.over.cancelled().await;
    }

    /// Ends it now, without a close frame.
    pub fn terminate(&self) {
        self.shared.terminate();
    }

    /// Gives out what comes, from now on.
    pub fn resume(&self) {
        self.shared.receive_queue.resume();
    }

    /// Gives out nothing; when the inbox is full, nothing more is received either.
    pub fn pause(&self) {
        self.shared.receive_queue.pause();
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.terminate();
    }
}
