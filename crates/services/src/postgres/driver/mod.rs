//! The driver of a connection: writes what is handed over, and gives the answers to those who wait for them, in their order.
//!
//! Requests are written as they come, without waiting for the answers of those before.

mod link;
mod shared;
#[cfg(test)]
mod tests;
mod transaction_status;
mod withdrawal;

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use moorline_core::error::{Failure, Outcome};
use postgres_protocol::message::{
    backend::{
        COPY_IN_RESPONSE_TAG, ERROR_RESPONSE_TAG, NOTICE_RESPONSE_TAG, NOTIFICATION_RESPONSE_TAG,
        PARAMETER_STATUS_TAG, READY_FOR_QUERY_TAG,
    },
    frontend,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use self::shared::Shared;
pub use self::transaction_status::TransactionStatus;
pub(super) use self::{
    link::Link,
    withdrawal::{RequestId, Withdrawal},
};
use super::{
    error::{ServerMessage, lost, protocol_failure},
    frame::{Fields, Frame, Phase, next_frame},
};

/// The number of bytes that one read takes at most.
const READ_BYTES: usize = 32 * 1024;
/// The messages after which others get their turn on the runtime's thread.
const MESSAGES_IN_A_TURN: usize = 2_000;

/// The code of a statement that would write where nothing can be written.
const READ_ONLY: &str = "25006";

/// A request: what is written, and who reads the answer.
pub(super) struct Request {
    pub(super) bytes: BytesMut,
    pub(super) response: Box<dyn Response>,
    /// Whether nothing may be sent after it before it is answered.
    pub(super) is_exclusive: bool,
}

/// Reads the answer to one request. One of the last two calls ends it.
pub(super) trait Response: Send {
    /// A message of the answer. A failure is a violation of the protocol, and ends the connection.
    fn on_message(&mut self, tag: u8, body: Bytes) -> Outcome<()>;
    /// The server waits for the data of a COPY: what is sent to it.
    fn on_copy_in(&mut self) -> Outcome<BytesMut>;
    /// The server has answered with an error.
    fn on_error(&mut self, failure: Failure);
    /// The answer is complete.
    fn on_ready(self: Box<Self>, status: TransactionStatus);
    /// The connection has ended before.
    fn on_lost(self: Box<Self>, failure: Failure);
}

/// A listener for what a server says without being asked.
pub(super) trait Listener: Send + Sync + 'static {
    /// A notice, by the body of its message.
    fn on_notice(&self, body: &[u8]);
    /// A notification, of the server process with this number.
    fn on_notification(&self, process_id: i32, channel: &str, payload: &str);
    /// A parameter has this value now.
    fn on_parameter(&self, name: &str, value: &str);
    /// Ready when more of these may be received.
    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()>;
    /// The connection has ended; without a failure, as it was asked to.
    fn on_end(&self, failure: Option<&Failure>);
}

/// Drives a connection until it ends. Dropped, it cuts it.
pub(super) struct Driver<S> {
    stream: S,
    shared: Arc<Shared>,
    listener: Arc<dyn Listener>,
    received: BytesMut,
    /// Taken from what was handed over, and not written yet.
    outgoing: BytesMut,
    /// Sent before that: it belongs to the request that is answered.
    reply: BytesMut,
    /// Whose answer is being read.
    answering: Option<Box<dyn Response>>,
    /// The error after which the server ends the connection.
    fatal: Option<Failure>,
    /// There may be no room for what the server says without being asked.
    may_be_crowded: bool,
}

/// How a connection ends.
enum End {
    /// As it was asked to.
    Closed,
    Failed(Failure),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<End> {
        self.shared.waker.register(context.waker());
        if self.shared.state().is_cut {
            return Poll::Ready(End::Failed(lost(None)));
        }
        if let Poll::Ready(end) = self.poll_read(context) {
            return Poll::Ready(End::Failed(end));
        }
        match self.poll_write(context) {
            Poll::Ready(Err(error)) => Poll::Ready(End::Failed(self.lost(Some(&error)))),
            Poll::Ready(Ok(())) => Poll::Ready(End::Closed),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Writes what was handed over; ready when the connection is closed.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wrote = false;
        while !self.reply.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.reply))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.reply.advance(written);
            wrote = true;
        }
        loop {
            let mut state = self.shared.state();
            if self.outgoing.is_empty() {
                let sendable = state.sendable();
                if sendable == state.outgoing.len() {
                    std::mem::swap(&mut self.outgoing, &mut state.outgoing);
                } else {
                    self.outgoing = state.outgoing.split_to(sendable);
                }
            }
            if self.outgoing.is_empty() {
                let is_last = state.is_closing && state.exchanges.is_empty();
                drop(state);
                if is_last && self.answering.is_none() {
                    return self.poll_terminate(context);
                }
                if wrote {
                    ready!(Pin::new(&mut self.stream).poll_flush(context))?;
                }
                return Poll::Pending;
            }
            drop(state);
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(written);
            self.shared.state().count_written(written);
            wrote = true;
        }
    }

    /// Says goodbye, as far as the connection takes it at once: the server sees its end anyway.
    fn poll_terminate(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut goodbye = BytesMut::new();
        frontend::terminate(&mut goodbye);
        let _ = Pin::new(&mut self.stream).poll_write(context, &goodbye);
        let _ = Pin::new(&mut self.stream).poll_flush(context);
        Poll::Ready(Ok(()))
    }

    /// Reads what the server sends; ready when the connection is over.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Failure> {
        let mut messages = 0;
        loop {
            loop {
                if self.may_be_crowded {
                    ready!(self.listener.poll_room(context));
                    self.may_be_crowded = false;
                }
                match next_frame(&mut self.received, Phase::Session) {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        if let Err(failure) = self.on_frame(frame) {
                            return Poll::Ready(failure);
                        }
                    }
                    Err(failure) => return Poll::Ready(failure),
                }
                messages += 1;
                if messages == MESSAGES_IN_A_TURN {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            self.received.reserve(READ_BYTES);
            match ready!(poll_read_buf(
                Pin::new(&mut self.stream),
                context,
                &mut self.received
            )) {
                Ok(0) => return Poll::Ready(self.lost(None)),
                Ok(_) => {}
                Err(error) => return Poll::Ready(self.lost(Some(&error))),
            }
        }
    }

    /// The end of the connection: what the server has said of it, if it has.
    fn lost(&mut self, error: Option<&io::Error>) -> Failure {
        self.fatal.take().unwrap_or_else(|| lost(error))
    }

    fn on_frame(&mut self, frame: Frame) -> Outcome<()> {
        match frame.tag {
            NOTICE_RESPONSE_TAG => {
                self.may_be_crowded = true;
                self.listener.on_notice(&frame.body);
                Ok(())
            }
            NOTIFICATION_RESPONSE_TAG => {
                self.may_be_crowded = true;
                let mut fields = Fields(&frame.body);
                let process_id = fields.i32()?;
                let (channel, payload) = (fields.text()?, fields.text()?);
                self.listener.on_notification(process_id, channel, payload);
                fields.finish()
            }
            PARAMETER_STATUS_TAG => {
                self.may_be_crowded = true;
                let mut fields = Fields(&frame.body);
                self.listener.on_parameter(fields.text()?, fields.text()?);
                fields.finish()
            }
            READY_FOR_QUERY_TAG => self.on_ready(&frame.body),
            ERROR_RESPONSE_TAG => self.on_error(&frame.body),
            COPY_IN_RESPONSE_TAG => self.on_copy_in(),
            tag => self.answering()?.on_message(tag, frame.body),
        }
    }

    /// An error after which the server ends the connection is kept: it is the end of whatever is not answered.
    fn on_error(&mut self, body: &[u8]) -> Outcome<()> {
        let failure = match ServerMessage::read(body) {
            Ok(message) => {
                if message.code == READ_ONLY {
                    self.shared.state().was_refused_writing = true;
                }
                if message.ends_connection() {
                    self.fatal = Some(message.into_failure());
                    return Ok(());
                }
                message.into_failure()
            }
            Err(failure) => failure,
        };
        self.answering()?.on_error(failure);
        Ok(())
    }

    /// The server takes what comes next for the data of a COPY.
    fn on_copy_in(&mut self) -> Outcome<()> {
        let reply = self.answering()?.on_copy_in()?;
        if self.shared.state().has_sent_more() {
            return Err(protocol_failure(
                "The server waits for the data of a COPY, behind which statements were sent already",
            ));
        }
        self.reply.extend_from_slice(&reply);
        Ok(())
    }

    /// The request whose answer the next message belongs to.
    fn answering(&mut self) -> Outcome<&mut Box<dyn Response>> {
        if self.answering.is_none() {
            self.answering = self.shared.state().next_answer();
        }
        self.answering
            .as_mut()
            .ok_or_else(|| protocol_failure("The server answered what was not asked"))
    }

    fn on_ready(&mut self, body: &[u8]) -> Outcome<()> {
        let status = match body {
            [letter] => TransactionStatus::from_letter(*letter),
            _ => None,
        };
        let status =
            status.ok_or_else(|| protocol_failure("The server is in a state that is none"))?;
        let mut state = self.shared.state();
        let answered = self.answering.take().or_else(|| state.next_answer());
        self.shared.end_answer(state, status);
        match answered {
            Some(response) => {
                response.on_ready(status);
                Ok(())
            }
            None => Err(protocol_failure("The server answered what was not asked")),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let end = ready!(self.poll_end(context));
        let failure = match end {
            End::Closed => None,
            End::Failed(failure) => Some(failure),
        };
        let answering = self.answering.take();
        let closed = || lost(None);
        self.shared
            .end(answering, &failure.clone().unwrap_or_else(closed));
        self.listener.on_end(failure.as_ref());
        Poll::Ready(())
    }
}

impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        // After its end this finds nobody waiting.
        self.shared.end(self.answering.take(), &lost(None));
    }
}
