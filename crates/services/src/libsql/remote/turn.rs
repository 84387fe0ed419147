//! A place in the order of a stream's requests.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use moorline_core::error::Outcome;
use tokio::sync::OwnedMutexGuard;

use super::{RemoteConnection, pipeline::StreamResponse, request::Request, stream::Stream};
use crate::libsql::error::{closed_failure, transaction_closed};

type LockFuture = Pin<Box<dyn Future<Output = OwnedMutexGuard<Stream>> + Send>>;

/// A place in the order of a stream's requests, which are sent in the order in which their turns were taken, whichever of
/// their tasks runs first.
pub(in crate::libsql) struct Turn {
    connection: Arc<RemoteConnection>,
    stream: LockedStream,
}

enum LockedStream {
    Now(OwnedMutexGuard<Stream>),
    Later(LockFuture),
}

impl Turn {
    /// Takes the next turn.
    pub(in crate::libsql) fn take(connection: Arc<RemoteConnection>) -> Self {
        let mut lock: LockFuture = Box::pin(Arc::clone(&connection.stream).lock_owned());
        // The lock has an order from the first poll on.
        let stream = match lock.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(stream) => LockedStream::Now(stream),
            Poll::Pending => LockedStream::Later(lock),
        };
        Self { connection, stream }
    }

    /// Sends `request` when it is its turn.
    pub(super) async fn send(
        self,
        request: Request<'_>,
        keep_stream: bool,
    ) -> Outcome<StreamResponse> {
        self.send_if(request, keep_stream, false).await
    }

    /// Sends `request` when it is its turn, if a transaction is open then.
    pub(super) async fn send_in_transaction(self, request: Request<'_>) -> Outcome<StreamResponse> {
        self.send_if(request, true, true).await
    }

    async fn send_if(
        self,
        request: Request<'_>,
        keep_stream: bool,
        needs_transaction: bool,
    ) -> Outcome<StreamResponse> {
        let connection = self.connection;
        let work = async {
            let mut stream = match self.stream {
                LockedStream::Now(stream) => stream,
                LockedStream::Later(lock) => lock.await,
            };
            if needs_transaction && !stream.in_transaction() {
                return Err(transaction_closed());
            }
            let outcome = stream.send(request, keep_stream).await;
            let in_transaction = stream.in_transaction();
            connection
                .in_transaction
                .store(in_transaction, Ordering::Release);
            outcome
        };
        tokio::select! {
            outcome = work => outcome,
            () = connection.closing.cancelled() => Err(closed_failure("the connection was closed")),
        }
    }
}
