//! The state shared by a socket's user and its driver.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

use moorline_core::{
    error::{Delivery, Failure, Kind},
    sync::lock,
};
use tokio::{net::tcp::OwnedWriteHalf, sync::oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    batch::Batch,
    driver::CloseEvent,
    send_queue::{SendQueue, undelivered_failure},
};
use moorline_net::receive_queue::ReceiveQueue;

/// The state shared by the driver and the socket's user.
pub(super) struct Shared {
    pub(super) receive_queue: Arc<ReceiveQueue<Batch, CloseEvent>>,
    send: Mutex<SendState>,
    pings: Mutex<Pings>,
    /// End it, now.
    terminated: AtomicBool,
    /// Fires when it is over, and the user has the end.
    pub(super) termination: CancellationToken,
}

/// The way out.
pub(super) struct SendState {
    pub(super) queue: SendQueue,
    /// The socket, while the sender may write to it.
    pub(super) socket: Option<Arc<OwnedWriteHalf>>,
    /// Code and reason of the close frame that is to be sent.
    pub(super) close: Option<(u16, String)>,
    /// Why nothing is accepted any more.
    pub(super) refusal: Option<Failure>,
    /// Nothing is written any more either.
    pub(super) write_ended: bool,
}

#[derive(Default)]
pub(super) struct Pings {
    sent: u32,
    pong_senders: Vec<(u32, oneshot::Sender<()>)>,
}

impl Shared {
    pub(super) fn new(
        receive_queue: Arc<ReceiveQueue<Batch, CloseEvent>>,
        queue: SendQueue,
        socket: Option<Arc<OwnedWriteHalf>>,
    ) -> Self {
        Self {
            receive_queue,
            send: Mutex::new(SendState {
                queue,
                socket,
                close: None,
                refusal: None,
                write_ended: false,
            }),
            pings: Mutex::default(),
            terminated: AtomicBool::new(false),
            termination: CancellationToken::new(),
        }
    }

    pub(super) fn terminate(&self) {
        self.terminated.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn send_state(&self) -> MutexGuard<'_, SendState> {
        lock(&self.send)
    }

    pub(super) fn pings(&self) -> MutexGuard<'_, Pings> {
        lock(&self.pings)
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.terminated.load(Ordering::Acquire)
    }

    pub(super) fn wake(&self) {
        self.receive_queue.waker().wake();
    }

    /// The failure of what fails with the connection.
    pub(super) fn undelivered_failure(&self, delivery: Delivery) -> Failure {
        self.send_state().refusal.as_ref().map_or_else(
            || {
                Failure::new(
                    Kind::Internal,
                    "the task of the connection was ended by a defect in moorline",
                )
            },
            |refusal| undelivered_failure(refusal, delivery),
        )
    }
}

impl SendState {
    /// Writes as much as the system takes at once, when the sender may do that.
    pub(super) fn write_now(&mut self) {
        let Some(socket) = &self.socket else {
            return;
        };
        while !self.queue.bytes().is_empty() {
            // An error is the driver's to find.
            let Ok(count) = socket.try_write(self.queue.bytes()) else {
                self.queue.on_blocked();
                return;
            };
            self.queue.advance(count);
        }
    }
}

impl Pings {
    pub(super) fn register(&mut self) -> (u32, oneshot::Receiver<()>) {
        let (pong_sender, receiver) = oneshot::channel();
        self.sent = self.sent.wrapping_add(1);
        self.pong_senders
            .retain(|(_, pong_sender)| !pong_sender.is_closed());
        self.pong_senders.push((self.sent, pong_sender));
        (self.sent, receiver)
    }

    /// A pong answers its ping, and all before it.
    pub(super) fn on_pong(&mut self, payload: &[u8]) {
        let Ok(number) = payload.try_into().map(u32::from_be_bytes) else {
            return;
        };
        let Some(index) = self
            .pong_senders
            .iter()
            .position(|(sent, _)| *sent == number)
        else {
            return;
        };
        for (_, pong_sender) in self.pong_senders.drain(..=index) {
            let _ = pong_sender.send(());
        }
    }

    pub(super) fn end(&mut self) {
        self.pong_senders.clear();
    }
}
