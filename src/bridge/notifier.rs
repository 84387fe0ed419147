//! The wake-up of JavaScript for a queue of received messages.

use std::sync::{Arc, Weak};

use moorline_net::receive_queue::{Buffer, ReceiveQueue, Wakeup};

use super::{Callback, Value};

/// A batch taken out of a queue, and the end when that has come.
pub(crate) type Received<P, E> = (P, Option<E>);

/// The listener of a queue: it calls `listener` with what `encode` makes of all that is there by then.
pub(crate) fn notifier<C, E>(
    listener: Callback,
    encode: fn(Received<C::Batch, E>) -> Value,
) -> impl FnOnce(&Weak<ReceiveQueue<C, E>>) -> Arc<dyn Wakeup>
where
    C: Buffer + Send + 'static,
    E: Send + 'static,
{
    move |queue| {
        Arc::new(Notifier {
            listener,
            queue: Weak::clone(queue),
            encode,
        })
    }
}

/// The queue holds it, so it does not hold the queue.
struct Notifier<C: Buffer, E> {
    listener: Callback,
    queue: Weak<ReceiveQueue<C, E>>,
    encode: fn(Received<C::Batch, E>) -> Value,
}

impl<C, E> Wakeup for Notifier<C, E>
where
    C: Buffer + Send + 'static,
    E: Send + 'static,
{
    fn notify(&self) {
        let (queue, encode) = (Weak::clone(&self.queue), self.encode);
        let received = move || {
            let received = queue.upgrade().and_then(|queue| queue.take());
            received.map_or(Value::Undefined, encode)
        };
        self.listener.deliver(Value::Later(Box::new(received)));
    }
}
