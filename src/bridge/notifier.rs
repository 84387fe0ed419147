//! The wake-up of JavaScript for a queue of received messages.

use std::sync::{Arc, Weak};

use moorline_net::receive_queue::{Buffer, ReceiveQueue, Wakeup};

use super::{Callback, Value};

/// A batch taken out of a queue, and the end when that has come.
pub(crate) type Received<P, E> = (P, Option<E>);

/// The listener of a queue: it calls `listener` with what `encode` makes of all that is there by then.
pub(crate) fn notifier<C, E, F>(
    listener: Callback,
    encode: F,
) -> impl FnOnce(&Weak<ReceiveQueue<C, E>>) -> Arc<dyn Wakeup>
where
    C: Buffer + Send + 'static,
    E: Send + 'static,
    F: Encode<C::Batch, E>,
{
    move |queue| {
        Arc::new(Notifier {
            listener,
            queue: Weak::clone(queue),
            encode,
        })
    }
}

/// Makes a value of what was received, on the JavaScript thread.
pub(crate) trait Encode<P, E>:
    Fn(Received<P, E>) -> Value + Clone + Send + Sync + 'static
{
}

impl<P, E, F: Fn(Received<P, E>) -> Value + Clone + Send + Sync + 'static> Encode<P, E> for F {}

/// The queue holds it, so it does not hold the queue.
struct Notifier<C, E, F> {
    listener: Callback,
    queue: Weak<ReceiveQueue<C, E>>,
    encode: F,
}

impl<C, E, F> Wakeup for Notifier<C, E, F>
where
    C: Buffer + Send + 'static,
    E: Send + 'static,
    F: Encode<C::Batch, E>,
{
    fn notify(&self) {
        let (queue, encode) = (Weak::clone(&self.queue), self.encode.clone());
        let received = move || {
            let received = queue.upgrade().and_then(|queue| queue.take());
            received.map_or(Value::Undefined, encode)
        };
        self.listener.deliver(Value::Later(Box::new(received)));
    }
}
