//! The client and the socket: their public operations.

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
    connect::{self, OpenConnection},
    driver::{CloseEvent, Driver},
    error::{
        PING_TIMEOUT, SERVICE, closed_failure, messages_unread, ping_timed_out, send_timed_out,
    },
    permessage_deflate::Agreement,
    send_queue::{Message, PushResult, SendQueue, undelivered_failure},
    shared::Shared,
};
use moorline_net::{
    dial::Dialer,
    receive_queue::{ReceiveQueue, Wakeup},
};

/// The client: the configuration of connections.
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

/// The state of the messages that were pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushResult {
    /// All are written.
    Done,
    /// Some are not written; [`Socket::wait_until_written`] gives the outcome.
    Pending,
}

impl WebSocketClient {
    /// A client; it connects to nothing before [`Self::connect`].
    pub fn new(config: Config) -> Self {
        Self {
            dialer: Dialer::new(config.dial.clone()),
            config: Arc::new(config),
        }
    }

    /// Opens a connection. It is paused: it delivers nothing before [`Socket::resume`].
    pub async fn connect(
        &self,
        make_wakeup: impl FnOnce(&Weak<ReceiveQueue<Batch, CloseEvent>>) -> Arc<dyn Wakeup>,
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
        opened: OpenConnection,
        receive_queue: Arc<ReceiveQueue<Batch, CloseEvent>>,
    ) -> Self {
        let compress = opened.compression.is_some();
        let queue = SendQueue::new(config.send_queue, compress);
        // With compression the driver writes, since the sender must not compress.
        let socket = opened.stream.shared().filter(|_| !compress);
        let shared = Arc::new(Shared::new(receive_queue, queue, socket));
        let socket = Self {
            shared: Arc::clone(&shared),
            config: Arc::clone(config),
            protocol: opened.protocol,
            compression: opened.compression,
        };
        let driver = Driver::new(
            config,
            opened.stream,
            opened.leading_bytes,
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

    /// The agreement about compression.
    pub fn compression(&self) -> Option<Agreement> {
        self.compression
    }

    /// Accepts a message if it can do so at once; where it returns false, [`Self::send`] waits or gives the failure.
    pub fn push(&self, bytes: &[u8], is_text: bool) -> bool {
        let mut send = self.shared.send_state();
        if send.refusal.is_some() {
            return false;
        }
        if send.queue.push(bytes, is_text) == PushResult::Accepted {
            return true;
        }
        send.write_now();
        send.queue.push(bytes, is_text) == PushResult::Accepted
    }

    /// Writes what was pushed, as far as the system takes it.
    pub fn flush(&self) -> FlushResult {
        let mut send = self.shared.send_state();
        send.write_now();
        if send.queue.is_empty() {
            return FlushResult::Done;
        }
        drop(send);
        self.shared.wake();
        FlushResult::Pending
    }

    /// Waits until all that was pushed before is written.
    pub async fn wait_until_written(&self) -> Outcome<()> {
        let written = {
            let mut send = self.shared.send_state();
            if let (Some(refusal), true, false) =
                (&send.refusal, send.write_ended, send.queue.is_empty())
            {
                return Err(undelivered_failure(refusal, Delivery::Unknown));
            }
            let (delivery_sender, written) = oneshot::channel();
            send.queue.notify_when_written(delivery_sender);
            written
        };
        self.wait_written(
            written,
            None,
            self.config.send_timeout,
            &CancellationToken::new(),
        )
        .await
    }

    /// Queues a message and waits until it is written. The call takes the place in the queue; the future only waits.
    pub fn send(
        self: &Arc<Self>,
        bytes: Vec<u8>,
        is_text: bool,
        timeout: Option<Limit<Duration>>,
        cancel: CancellationToken,
    ) -> impl Future<Output = Outcome<()>> + Send + 'static {
        let enqueued = self.enqueue(bytes.into(), is_text);
        let socket = Arc::clone(self);
        async move {
            let (written, ticket) = enqueued?;
            let timeout = timeout.unwrap_or(socket.config.send_timeout);
            socket
                .wait_written(written, Some(ticket), timeout, &cancel)
                .await
        }
    }

    fn enqueue(
        &self,
        bytes: Bytes,
        is_text: bool,
    ) -> Outcome<(oneshot::Receiver<Result<(), Delivery>>, u64)> {
        let (delivery_sender, written) = oneshot::channel();
        let ticket = {
            let mut send = self.shared.send_state();
            if let Some(refusal) = &send.refusal {
                return Err(undelivered_failure(refusal, Delivery::None));
            }
            let ticket = send
                .queue
                .push_pending(Message { bytes, is_text }, delivery_sender);
            send.write_now();
            ticket
        };
        self.shared.wake();
        Ok((written, ticket))
    }

    async fn wait_written(
        &self,
        written: oneshot::Receiver<Result<(), Delivery>>,
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
        let written = tokio::select! {
            biased;
            written = written => written,
            () = cancel.cancelled() => {
                let delivery = self.cancel_send(ticket);
                return Err(Failure::aborted().with_delivery(delivery).during(SERVICE, "send"));
            }
            () = late => {
                let delivery = self.cancel_send(ticket);
                return Err(send_timed_out(limit.get().unwrap_or_default(), delivery));
            }
        };
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(delivery)) => Err(self.shared.undelivered_failure(delivery)),
            Err(_) => Err(self.shared.undelivered_failure(Delivery::Unknown)),
        }
    }

    fn cancel_send(&self, ticket: Option<u64>) -> Delivery {
        let cancelled = ticket.is_some_and(|ticket| self.shared.send_state().queue.cancel(ticket));
        if cancelled {
            Delivery::None
        } else {
            Delivery::Unknown
        }
    }

    /// Sends a ping and waits for its pong; returns the round-trip time.
    pub async fn ping(&self, limit: Duration, cancel: &CancellationToken) -> Outcome<Duration> {
        let started = Instant::now();
        let pong = {
            let mut send = self.shared.send_state();
            if let Some(refusal) = &send.refusal {
                return Err(refusal.clone().during(SERVICE, "ping"));
            }
            let (number, pong) = self.shared.pings().register();
            send.queue
                .push_control(Control::Ping, &number.to_be_bytes());
            send.write_now();
            pong
        };
        self.shared.wake();
        let pong = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Failure::aborted().during(SERVICE, "ping")),
            pong = timeout(limit, pong) => pong,
        };
        match pong {
            Ok(Ok(())) => Ok(started.elapsed()),
            Ok(Err(_)) => Err(self
                .shared
                .undelivered_failure(Delivery::Unknown)
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
                    messages_unread(limit, option)
                })
            }
        }
    }

    /// Closes: writes the accepted messages and the close frame, and waits for the server's; `closeTimeoutMs` limits
    /// all of it. Resolves when the connection is over, in whatever way it ended.
    pub async fn close(&self, code: u16, reason: String) {
        {
            let mut send = self.shared.send_state();
            if send.refusal.is_none() {
                send.refusal = Some(closed_failure(code));
                send.close = Some((code, reason));
            }
        }
        self.shared.wake();
        self.shared.termination.cancelled().await;
    }

    /// Ends the connection now, without a close frame.
    pub fn terminate(&self) {
        self.shared.terminate();
    }

    /// Delivers received messages from now on.
    pub fn resume(&self) {
        self.shared.receive_queue.resume();
    }

    /// Stops delivery; when the receive queue is full, reading stops as well.
    pub fn pause(&self) {
        self.shared.receive_queue.pause();
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.terminate();
    }
}
