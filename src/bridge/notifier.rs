//! The bell of an inbox: it wakes JavaScript, which then gets all that has come by that time.

use std::sync::{Arc, Weak};

use moorline_net::receive_queue::{Buffer, ReceiveQueue, Wakeup};

use super::{Callback, Value};

/// What is taken out of an inbox, and the end when that has come.
pub(crate) type Taken<P, E> = (P, Option<E>);

/// A bell on which `listener` is called with what `told` makes of all that is there.
pub(crate) fn bell<C, E>(
    listener: Callback,
    told: fn(Taken<C::Batch, E>) -> Value,
) -> impl FnOnce(&Weak<ReceiveQueue<C, E>>) -> Arc<dyn Wakeup>
where
    C: Buffer + Send + 'static,
    E: Send + 'static,
{
    move |inbox| {
        Arc::new(Notifier {
            listener,
            inbox: Weak::clone(inbox),
            told,
        })
    }
}

/// The inbox holds it, so it does not hold the inbox.
struct Notifier<C: Buffer, E> {
    listener: Callback,
    inbox: Weak<ReceiveQueue<C, E>>,
    told: fn(Taken<C::Batch, E>) -> Value,
}

impl<C, E> Wakeup for Notifier<C, E>
where
    C: Buffer + Send + 'static,
    E: Send + 'static,
{
    fn notify(&self) {
        let (inbox, told) = (Weak::clone(&self.inbox), self.told);
        let taken = move || {
            let taken = inbox.upgrade().and_then(|inbox| inbox.take());
            taken.map_or(Value::Undefined, told)
        };
        self.listener.tell(Value::Later(Box::new(taken)));
    }
}
