//! The end of a connection: close handshake, protocol error, or loss.

use std::task::{Context, Poll};

use moorline_core::error::Failure;
use tokio::time::Instant;

use super::{Driver, MAX_STEPS_PER_POLL, NO_CODE, abnormal_close};
use crate::websocket::{
    error::{closed_failure, connection_lost, protocol_failure},
    protocol_error::ProtocolError,
};

/// The end of a connection.
#[derive(Clone, Debug)]
pub struct CloseEvent {
    /// The close code: the server's, or ours when the server broke the protocol; 1005 when the close frame had
    /// none, 1006 when there was no close frame.
    pub code: u16,
    /// The server's reason.
    pub reason: String,
    /// Whether both sides sent a close frame.
    pub clean: bool,
    /// The failure that ended it, when it was not closed.
    pub failure: Option<Failure>,
}

impl Driver {
    /// Sends the requested close frame after all accepted messages.
    pub(super) fn send_requested_close(&mut self) {
        if self.close_sent {
            return;
        }
        let mut send = self.shared.send_state();
        let Some((code, reason)) = &send.close else {
            return;
        };
        let deadline = Instant::now() + self.close_timeout;
        self.deadline.get_or_insert(deadline);
        if send.queue.all_framed() {
            let payload = close_payload(Some(*code), reason);
            send.queue.push_close(&payload);
            self.close_sent = true;
        }
    }

    /// Returns the end as an error when the closing handshake is complete, or when nothing can be written nor read.
    pub(super) fn finish_if_closed(&mut self) -> Result<(), CloseEvent> {
        let written = self.close_sent && self.shared.send_state().queue.bytes().is_empty();
        if !written && self.write_error.is_none() {
            return Ok(());
        }
        let known = self.take_known_end(written);
        match (known, &self.write_error) {
            (Some(end), _) => Err(end),
            (None, Some(error)) if self.read_pending => Err(abnormal_close(connection_lost(error))),
            _ => Ok(()),
        }
    }

    /// The close event, if the reason of the end is known.
    pub(super) fn take_known_end(&mut self, clean: bool) -> Option<CloseEvent> {
        if let Some((code, reason)) = self.close_received.take() {
            return Some(CloseEvent {
                code: code.unwrap_or(NO_CODE),
                reason,
                clean,
                failure: None,
            });
        }
        let protocol_error = self.protocol_error.take();
        let protocol_error = protocol_error.map(|(error, _)| protocol_error_close(error));
        self.close_result.take().or(protocol_error)
    }

    /// Delays the close frame of a protocol error until the reader has taken the messages before it, and could reply.
    pub(super) fn drain_before_error_close(
        &mut self,
        error: ProtocolError,
        take_count: Option<u64>,
    ) -> bool {
        let Some(now) = self.shared.receive_queue.take_count_when_empty() else {
            return false;
        };
        match take_count {
            None => {
                if !self.shared.receive_queue.notify_anyway() {
                    return self.send_error_close(error);
                }
                // The reader replies after it has taken the messages, so only its next take proves that it could.
                self.protocol_error = Some((error, Some(now)));
                true
            }
            Some(before) if now > before => self.send_error_close(error),
            Some(_) => false,
        }
    }

    /// Answers the server's close frame with its own code; nothing more is accepted for sending.
    pub(super) fn answer_close(&mut self, code: Option<u16>, reason: String) {
        let mut send = self.shared.send_state();
        send.refusal
            .get_or_insert_with(|| closed_failure(code.unwrap_or(NO_CODE)));
        if !self.close_sent {
            send.queue.push_close(&close_payload(code, ""));
            self.close_sent = true;
        }
        let deadline = Instant::now() + self.close_timeout;
        self.deadline.get_or_insert(deadline);
        self.close_received = Some((code, reason));
    }

    /// Sends the close frame of a protocol error after the frames in the queue; nothing more is read.
    fn send_error_close(&mut self, error: ProtocolError) -> bool {
        let mut send = self.shared.send_state();
        send.refusal.get_or_insert_with(|| protocol_failure(error));
        if !self.close_sent {
            let payload = close_payload(Some(error.close_code), error.message);
            send.queue.push_close(&payload);
            self.close_sent = true;
        }
        self.protocol_error = None;
        self.close_result = Some(protocol_error_close(error));
        true
    }

    /// Ends the connection for its user: queues, pings and the receive queue.
    pub(super) fn end(&mut self, end: CloseEvent) {
        if std::mem::replace(&mut self.lingering, true) {
            return;
        }
        self.deadline = Some(Instant::now() + self.close_timeout);
        {
            let mut send = self.shared.send_state();
            let refusal = end
                .failure
                .clone()
                .unwrap_or_else(|| closed_failure(end.code));
            // An earlier refusal is the reason of the end.
            send.refusal.get_or_insert(refusal);
            send.write_ended = true;
            send.socket = None;
            // A close frame that is not written by now will not be.
            self.close_sent &= send.queue.bytes().is_empty();
            send.queue.end();
        }
        self.shared.pings().end();
        self.shared.receive_queue.end(end);
        self.shared.termination.cancel();
    }

    /// Reads until the server ends the connection, since ending it first could drop our close frame on the way. True
    /// when it is over.
    pub(super) fn linger(&mut self, context: &mut Context<'_>) -> bool {
        if !self.close_sent || self.write_error.is_some() {
            return true;
        }
        let _ = self.stream.poll_flush(context);
        let mut sink = [0; 4096];
        for _ in 0..MAX_STEPS_PER_POLL {
            match self.stream.poll_read(context, &mut sink) {
                Poll::Ready(Ok(read)) if read > 0 => {}
                Poll::Ready(_) => return true,
                Poll::Pending => {
                    let deadline = self.deadline.unwrap_or_else(Instant::now);
                    return self.wait_until(deadline, context);
                }
            }
        }
        context.waker().wake_by_ref();
        false
    }
}

/// The end of a connection on which the server violated the protocol.
fn protocol_error_close(error: ProtocolError) -> CloseEvent {
    CloseEvent {
        code: error.close_code,
        reason: String::new(),
        clean: false,
        failure: Some(protocol_failure(error)),
    }
}

fn close_payload(code: Option<u16>, reason: &str) -> Vec<u8> {
    let Some(code) = code else {
        return Vec::new();
    };
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    payload
}
