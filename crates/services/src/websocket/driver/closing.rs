//! How a connection ends: by either side, by a breach of the protocol, or by being lost.

use std::task::{Context, Poll};

use moorline_core::error::Failure;
use tokio::time::Instant;

use super::{Driver, NO_CODE, STEPS, broken};
use crate::websocket::{
    error::{closed, lost, violated},
    protocol_error::ProtocolError,
};

/// How a connection ended.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The close code: the server's, or ours when the server broke the protocol; 1005 when the close frame had
    /// none, 1006 when there was no close frame.
    pub code: u16,
    /// The server's reason.
    pub reason: String,
    /// Whether both sides sent a close frame.
    pub clean: bool,
    /// Why it ended, when it was not closed.
    pub failure: Option<Failure>,
}

impl Driver {
    /// Sends the close frame that was asked for, behind all that was accepted.
    pub(super) fn send_requested_close(&mut self) {
        if self.close_sent {
            return;
        }
        let mut out = self.shared.out();
        let Some((code, reason)) = &out.close else {
            return;
        };
        let deadline = Instant::now() + self.close_timeout;
        self.deadline.get_or_insert(deadline);
        if out.queue.all_framed() {
            let payload = close_payload(Some(*code), reason);
            out.queue.push_close(&payload);
            self.close_sent = true;
        }
    }

    /// Whether it is over: the closing handshake is, or nothing can be written and there is nothing to read.
    pub(super) fn finish_if_closed(&mut self) -> Result<(), Closed> {
        let written = self.close_sent && self.shared.out().queue.bytes().is_empty();
        if !written && self.broken.is_none() {
            return Ok(());
        }
        let known = self.known_end(written);
        match (known, &self.broken) {
            (Some(end), _) => Err(end),
            (None, Some(error)) if self.dry => Err(broken(lost(error))),
            _ => Ok(()),
        }
    }

    /// What is known already of how it ends.
    pub(super) fn known_end(&mut self, clean: bool) -> Option<Closed> {
        if let Some((code, reason)) = self.close_received.take() {
            return Some(Closed {
                code: code.unwrap_or(NO_CODE),
                reason,
                clean,
                failure: None,
            });
        }
        let refused = self.refused.take();
        let refused = refused.map(|(violation, _)| judged(violation));
        self.verdict.take().or(refused)
    }

    /// The server broke the protocol, but what came before counts: whoever gets it has the time to take it, and to
    /// answer, before the connection ends.
    pub(super) fn drain_before_error_close(
        &mut self,
        violation: ProtocolError,
        take_count: Option<u64>,
    ) -> bool {
        let Some(now) = self.shared.receive_queue.take_count() else {
            return false;
        };
        match take_count {
            None => {
                if !self.shared.receive_queue.notify_anyway() {
                    return self.refuse(violation);
                }
                // The visit at which the messages were taken is not over when they are; the one after it is.
                self.refused = Some((violation, Some(now)));
                true
            }
            Some(before) if now > before => self.refuse(violation),
            Some(_) => false,
        }
    }

    /// The server closes: nothing more is accepted, and its frame is answered with its own code.
    pub(super) fn answer_close(&mut self, code: Option<u16>, reason: String) {
        let mut out = self.shared.out();
        out.refusal
            .get_or_insert_with(|| closed(code.unwrap_or(NO_CODE)));
        if !self.close_sent {
            out.queue.push_close(&close_payload(code, ""));
            self.close_sent = true;
        }
        let deadline = Instant::now() + self.close_timeout;
        self.deadline.get_or_insert(deadline);
        self.close_received = Some((code, reason));
    }

    /// The server is told what it did, behind all that is a frame already, and left; nothing more is read.
    fn refuse(&mut self, violation: ProtocolError) -> bool {
        let mut out = self.shared.out();
        out.refusal.get_or_insert_with(|| violated(violation));
        if !self.close_sent {
            let payload = close_payload(Some(violation.close_code), violation.message);
            out.queue.push_close(&payload);
            self.close_sent = true;
        }
        self.refused = None;
        self.verdict = Some(judged(violation));
        true
    }

    /// Tells everybody that it is over.
    pub(super) fn end(&mut self, end: Closed) {
        if std::mem::replace(&mut self.lingering, true) {
            return;
        }
        self.deadline = Some(Instant::now() + self.close_timeout);
        {
            let mut out = self.shared.out();
            let refusal = end.failure.clone().unwrap_or_else(|| closed(end.code));
            // Whoever closed knows why already.
            out.refusal.get_or_insert(refusal);
            out.ended = true;
            out.socket = None;
            // What could not be written by now never will be.
            self.close_sent &= out.queue.bytes().is_empty();
            out.queue.end();
        }
        self.shared.pings().end();
        self.shared.receive_queue.end(end);
        self.shared.over.cancel();
    }

    /// Reads until the server ends the connection: ending it first could take our close frame from it. True when
    /// there is nothing more to do.
    pub(super) fn linger(&mut self, context: &mut Context<'_>) -> bool {
        if !self.close_sent || self.broken.is_some() {
            return true;
        }
        let _ = self.wire.poll_flush(context);
        let mut sink = [0; 4096];
        for _ in 0..STEPS {
            match self.wire.poll_read(context, &mut sink) {
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

/// How a connection ends on which the server broke the protocol.
fn judged(violation: ProtocolError) -> Closed {
    Closed {
        code: violation.close_code,
        reason: String::new(),
        clean: false,
        failure: Some(violated(violation)),
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
