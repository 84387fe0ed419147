//! What a server says on a connection without being asked, until somebody takes it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::{Context, Poll},
};

use moorline_core::sync::lock;
use moorline_net::receive_queue::{Buffer, ReceiveQueue, Wakeup};

use super::error::ServerMessage;

/// The bytes that wait at most; beyond them nothing is read from the connection.
const MAX_BYTES: usize = 256 * 1024;
/// The messages that are taken at once at most.
const MAX_BATCH: usize = 500;
/// What a message takes beside its text.
const MESSAGE_BYTES: usize = 64;

/// A message that nobody has asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A notice.
    Notice(ServerMessage),
    /// A notification.
    Notification {
        /// The server process that has sent it.
        process_id: i32,
        /// The channel.
        channel: String,
        /// Its text.
        payload: String,
    },
    /// A parameter of the session has this value from now on.
    Parameter {
        /// Its name.
        name: String,
        /// The value.
        value: String,
    },
}

impl Message {
    fn bytes(&self) -> usize {
        let text = match self {
            Self::Notice(notice) => {
                let fields = notice.fields.iter().map(|(_, text)| text.len());
                notice.message.len() + fields.sum::<usize>()
            }
            Self::Notification {
                channel, payload, ..
            } => channel.len() + payload.len(),
            Self::Parameter { name, value } => name.len() + value.len(),
        };
        MESSAGE_BYTES + text
    }
}

/// The messages of a connection in their order.
#[derive(Debug, Default)]
pub struct Messages {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Buffer for Messages {
    type Batch = Vec<Message>;
    fn take(&mut self) -> Vec<Message> {
        let count = self.messages.len().min(MAX_BATCH);
        let batch: Vec<_> = self.messages.drain(..count).collect();
        self.bytes -= batch.iter().map(Message::bytes).sum::<usize>();
        batch
    }
    fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
    fn cost(&self) -> usize {
        self.bytes
    }
}

/// The queue of a connection's messages.
pub type MessageQueue = ReceiveQueue<Messages, ()>;

/// Where the messages of a connection go: nowhere, or into a queue.
#[derive(Default)]
pub(super) struct Subscription(Mutex<Option<Arc<MessageQueue>>>);

impl Subscription {
    /// Sends messages into a queue from now on, in place of the one before.
    pub(super) fn begin(
        &self,
        make_wakeup: impl FnOnce(&Weak<MessageQueue>) -> Arc<dyn Wakeup>,
    ) -> Arc<MessageQueue> {
        let queue = ReceiveQueue::new(MAX_BYTES, make_wakeup);
        queue.resume();
        self.set(Some(Arc::clone(&queue)));
        queue
    }

    /// Sends them nowhere.
    pub(super) fn end(&self) {
        self.set(None);
    }

    fn set(&self, queue: Option<Arc<MessageQueue>>) {
        let before = std::mem::replace(&mut *self.queue(), queue);
        if let Some(before) = before {
            before.detach();
            // Nobody empties it any more.
            before.waker().wake();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Option<Arc<MessageQueue>>> {
        lock(&self.0)
    }

    /// Adds a message, where somebody wants it; it is made only then.
    pub(super) fn put(&self, make: impl FnOnce() -> Option<Message>) {
        let queue = self.queue().clone();
        let Some((queue, message)) = queue.and_then(|queue| Some((queue, make()?))) else {
            return;
        };
        queue.put(|messages| {
            messages.bytes += message.bytes();
            messages.messages.push_back(message);
        });
    }

    /// Ready when more may be received.
    pub(super) fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let Some(queue) = self.queue().clone() else {
            return Poll::Ready(());
        };
        queue.waker().register(context.waker());
        if queue.has_room() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{FutureExt, future::poll_fn};

    use super::*;

    #[derive(Default)]
    struct Notifications(AtomicUsize);

    impl Wakeup for Notifications {
        fn notify(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn parameter(bytes: usize) -> Message {
        Message::Parameter {
            name: String::new(),
            value: "x".repeat(bytes),
        }
    }

    async fn room(subscription: &Subscription) {
        poll_fn(|context| subscription.poll_room(context)).await;
    }

    #[test]
    fn without_a_reader_messages_are_not_even_made() {
        let subscription = Subscription::default();
        subscription.put(|| unreachable!());
        assert!(room(&subscription).now_or_never().is_some());
    }

    #[test]
    fn a_full_queue_has_room_when_it_is_read_or_given_up() {
        let subscription = Subscription::default();
        let notifications = Arc::<Notifications>::default();
        let listener = Arc::clone(&notifications);
        let queue = subscription.begin(|_| listener);
        for _ in 0..=MAX_BATCH {
            assert!(room(&subscription).now_or_never().is_some());
            subscription.put(|| Some(parameter(1)));
        }
        subscription.put(|| Some(parameter(MAX_BYTES)));
        assert!(room(&subscription).now_or_never().is_none());
        assert_eq!(notifications.0.load(Ordering::Relaxed), 1);
        assert_eq!(queue.take().unwrap().0.len(), MAX_BATCH);
        assert!(room(&subscription).now_or_never().is_none());
        let mut waiting = std::pin::pin!(room(&subscription));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(
            queue.take().unwrap().0,
            [parameter(1), parameter(MAX_BYTES)]
        );
        assert!(waiting.now_or_never().is_some());

        subscription.put(|| Some(parameter(MAX_BYTES)));
        let mut waiting = std::pin::pin!(room(&subscription));
        assert!(waiting.as_mut().now_or_never().is_none());
        subscription.end();
        assert!(waiting.now_or_never().is_some());
    }
}
