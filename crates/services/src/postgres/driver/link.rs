//! What the users of a connection do with it, while its driver runs.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{Driver, Listener, Request, RequestId, TransactionStatus, Withdrawal, shared::Shared};

/// A connection whose driver runs. Clones are the same connection.
#[derive(Clone)]
pub(in crate::postgres) struct Link(pub(super) Arc<Shared>);

impl Link {
    /// A connection over `stream`, on which the user has logged in, and what drives it. `received` is what came after that.
    pub(in crate::postgres) fn new<S: AsyncRead + AsyncWrite + Unpin>(
        stream: S,
        received: BytesMut,
        listener: Arc<dyn Listener>,
    ) -> (Self, Driver<S>) {
        let shared = Arc::new(Shared::default());
        let driver = Driver {
            stream,
            shared: Arc::clone(&shared),
            listener,
            received,
            outgoing: BytesMut::new(),
            reply: BytesMut::new(),
            answering: None,
            fatal: None,
            may_be_crowded: false,
        };
        (Self(shared), driver)
    }

    /// Hands a request over.
    pub(in crate::postgres) fn submit(&self, request: Request) -> RequestId {
        self.0.submit(request)
    }

    /// Hands a request over where nothing is to be answered.
    pub(in crate::postgres) fn submit_if_idle(&self, request: Request) -> Option<RequestId> {
        self.0.submit_if_idle(request)
    }

    /// Waits until a request that was withdrawn can be cancelled at the server; false when it was answered before.
    pub(in crate::postgres) async fn turn(&self, id: RequestId) -> bool {
        self.0.turn(id).await
    }

    /// Takes back a request that is no longer wanted, as far as that can be done here.
    pub(in crate::postgres) fn withdraw(&self, id: RequestId) -> Withdrawal {
        self.0.withdraw(id)
    }

    /// Keeps what comes after a request back from when `given_up` fires.
    pub(in crate::postgres) fn give_up_by(&self, id: RequestId, given_up: &CancellationToken) {
        self.0.give_up_by(id, given_up);
    }

    /// Ready when a request was answered, after [`Link::turn`], or the connection is over.
    pub(in crate::postgres) async fn answered(&self, id: RequestId) {
        self.0.answered(id).await;
    }

    /// Sends again what is handed over, after [`Link::turn`].
    pub(in crate::postgres) fn release(&self) {
        self.0.release();
    }

    /// The state of the transaction after the last answer.
    pub(in crate::postgres) fn status(&self) -> TransactionStatus {
        self.0.state().status
    }

    /// Whether it is over, or about to be.
    pub(in crate::postgres) fn is_over(&self) -> bool {
        self.0.state().is_over()
    }

    /// Whether the server has refused to write.
    pub(in crate::postgres) fn was_refused_writing(&self) -> bool {
        self.0.state().was_refused_writing
    }

    /// Whether nothing is to be answered.
    pub(in crate::postgres) fn is_idle(&self) -> bool {
        self.0.state().is_idle()
    }

    /// Ends it at once; what was not answered is lost.
    pub(in crate::postgres) fn cut(&self) {
        self.0.state().is_cut = true;
        self.0.waker.wake();
    }

    /// Ends it once everything is answered.
    pub(in crate::postgres) fn close(&self) {
        self.0.state().is_closing = true;
        self.0.waker.wake();
    }
}
