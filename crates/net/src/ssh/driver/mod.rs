//! The task of a session: it reads, writes, exchanges keys anew, keeps alive, and serves all channels.

mod channels;
mod keep_alive;
mod shared;
#[cfg(test)]
mod tests;

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use moorline_core::error::{Delivery, Failure, Kind};
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep, sleep},
};

use self::{
    channels::Channels,
    keep_alive::{KeepAlive, KeepAliveAction},
};
pub(crate) use self::{
    channels::lost_before_open,
    shared::{OpenRequest, SessionShared},
};
use super::{
    connection::Connection,
    error::SessionError,
    message::{
        CHANNEL_CLOSE, CHANNEL_DATA, CHANNEL_EOF, CHANNEL_EXTENDED_DATA, CHANNEL_FAILURE,
        CHANNEL_OPEN, CHANNEL_OPEN_CONFIRMATION, CHANNEL_OPEN_FAILURE, CHANNEL_REQUEST,
        CHANNEL_SUCCESS, CHANNEL_WINDOW_ADJUST, DISCONNECT_BY_APPLICATION,
        DISCONNECT_PROTOCOL_ERROR, GLOBAL_REQUEST, REQUEST_FAILURE, REQUEST_SUCCESS, UNIMPLEMENTED,
        disconnect,
    },
    transport::Packet,
    wire::{Reader, put_string},
};
use crate::dial::ByteStream;

/// Data of channels are added to what is to be written up to this.
const ENOUGH_UNSENT_BYTES: usize = 256 * 1024;
/// A server that asks and does not read is not read from beyond this.
const MAX_UNSENT_BYTES: usize = 1 << 20;
/// Reads before the other tasks of the runtime have their turn.
const MAX_READS: usize = 8;
/// The time for a DISCONNECT to be written.
const DISCONNECT_TIME: Duration = Duration::from_secs(1);
/// A shorter interval of keep-alives is taken for this.
const MIN_INTERVAL: Duration = Duration::from_millis(10);
/// RFC 4254, section 5.1.
const OPEN_ADMINISTRATIVELY_PROHIBITED: u32 = 1;

/// The future that drives a session until it is over.
pub(crate) struct Driver<S: ByteStream> {
    connection: Connection<S>,
    channels: Channels,
    shared: Arc<SessionShared>,
    keep_alive: KeepAlive,
    tick: Pin<Box<Sleep>>,
    is_abandoned: bool,
    /// Whether others have had their turn since something was to be sent.
    has_yielded: bool,
    /// Whether a DISCONNECT is to be written, once nothing else is.
    ending: Option<bool>,
    /// What is told once it is written.
    closed_by_us: Option<Failure>,
}

impl<S: ByteStream> Driver<S> {
    pub(crate) fn new(connection: Connection<S>, shared: Arc<SessionShared>) -> Self {
        let config = &connection.config;
        Self {
            channels: Channels::new(Arc::clone(&shared), config.window_bytes),
            keep_alive: KeepAlive::new(config.keep_alive_count),
            tick: Box::pin(sleep(config.keep_alive_interval)),
            is_abandoned: false,
            has_yielded: false,
            ending: None,
            closed_by_us: None,
            shared,
            connection,
        }
    }

    fn poll_session(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SessionError>> {
        self.shared.register(context.waker());
        for _ in 0..MAX_READS {
            self.run_commands()?;
            // Those who are about to write have their turn first, so that one system call takes all of it.
            if self.channels.has_ready() && !mem::replace(&mut self.has_yielded, true) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.has_yielded = false;
            while self.tick.as_mut().poll(context).is_ready() {
                self.on_tick()?;
            }
            self.handle_packets()?;
            if self.connection.should_rekey(Instant::now()) {
                self.connection.begin_exchange()?;
            }
            self.channels
                .send(&mut self.connection, ENOUGH_UNSENT_BYTES)?;
            let is_written = self.connection.transport.poll_send(context).is_ready();
            self.count();
            if self.is_abandoned && self.channels.is_empty() {
                return Poll::Ready(Err(SessionError::Refused(closed_failure())));
            }
            if is_written && self.channels.has_ready() && !self.connection.is_holding() {
                continue;
            }
            if self.connection.transport.writer.unsent().len() > MAX_UNSENT_BYTES {
                return Poll::Pending;
            }
            match self.connection.transport.poll_fill(context) {
                Poll::Ready(filled) => filled?,
                Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn count(&self) {
        let counters = &self.shared.counters;
        let transport = &self.connection.transport;
        let received = &counters.received_bytes;
        received.store(transport.reader.bytes, Ordering::Relaxed);
        let sent = &counters.sent_bytes;
        sent.store(transport.writer.bytes, Ordering::Relaxed);
        let exchanges = &counters.key_exchanges;
        exchanges.store(self.connection.rekeys, Ordering::Relaxed);
    }

    fn run_commands(&mut self) -> Result<(), SessionError> {
        let commands = self.shared.take_commands();
        self.is_abandoned |= commands.abandon;
        self.channels.queue(commands.ready);
        for request in commands.opens {
            self.channels.open(&mut self.connection, request)?;
        }
        for sender in commands.pings {
            self.ping(Some(sender))?;
        }
        if commands.disconnect {
            Err(SessionError::Refused(closed_failure()))
        } else {
            Ok(())
        }
    }

    fn on_tick(&mut self) -> Result<(), SessionError> {
        let interval = self.connection.config.keep_alive_interval.max(MIN_INTERVAL);
        self.tick.as_mut().reset(Instant::now() + interval);
        let exchange = self
            .connection
            .is_exchanging()
            .then_some(self.connection.rekeys);
        let received = self.connection.transport.reader.bytes;
        if self.keep_alive.on_tick(received, exchange) == KeepAliveAction::Lost {
            let message = "the SSH server does not answer any more";
            let lost = Failure::new(Kind::Disconnected, message).with_code("ETIMEDOUT");
            return Err(SessionError::Refused(lost));
        }
        self.channels.end_lingering(&mut self.connection)?;
        self.ping(None)
    }

    /// Asks for something that no server does, since the refusal is an answer, too.
    fn ping(&mut self, sender: Option<oneshot::Sender<Duration>>) -> Result<(), SessionError> {
        let sequence_number = (!self.connection.is_holding())
            .then(|| self.connection.transport.writer.sequence_number());
        let mut request = vec![GLOBAL_REQUEST];
        put_string(&mut request, b"keepalive@openssh.com");
        request.push(1);
        self.connection.send(&request)?;
        let now = Instant::now();
        self.keep_alive.on_sent(now, sequence_number, sender);
        Ok(())
    }

    fn handle_packets(&mut self) -> Result<(), SessionError> {
        while let Some(packet) = self.connection.next_packet()? {
            self.handle(packet)?;
        }
        Ok(())
    }

    fn handle(&mut self, packet: Packet) -> Result<(), SessionError> {
        let number = packet.payload.first().copied().unwrap_or_default();
        let channels = &mut self.channels;
        if number == CHANNEL_DATA {
            return channels.on_data(packet.payload);
        }
        let connection = &mut self.connection;
        let mut reader = Reader::new(packet.payload.get(1..).unwrap_or_default());
        let reader = &mut reader;
        match number {
            CHANNEL_WINDOW_ADJUST => channels.on_window_adjust(reader),
            CHANNEL_EXTENDED_DATA => channels.on_extended_data(reader),
            CHANNEL_EOF => channels.on_eof(reader),
            CHANNEL_CLOSE => channels.on_close(connection, reader),
            CHANNEL_OPEN_CONFIRMATION => channels.on_confirmation(reader),
            CHANNEL_OPEN_FAILURE => channels.on_open_failure(reader),
            CHANNEL_REQUEST => channels.on_request(connection, reader),
            CHANNEL_SUCCESS | CHANNEL_FAILURE => Ok(()),
            CHANNEL_OPEN => self.refuse_open(reader),
            GLOBAL_REQUEST => self.refuse_request(reader),
            REQUEST_SUCCESS | REQUEST_FAILURE => {
                let round_trip = self.keep_alive.on_reply(Instant::now());
                self.keep_round_trip(round_trip);
                Ok(())
            }
            UNIMPLEMENTED => {
                let sequence = reader.uint32()?;
                let round_trip = self.keep_alive.on_unimplemented(sequence, Instant::now());
                self.keep_round_trip(round_trip);
                Ok(())
            }
            _ => self.connection.refuse(&packet),
        }
    }

    fn keep_round_trip(&self, round_trip: Option<Duration>) {
        if let Some(round_trip) = round_trip {
            let nanoseconds = u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX);
            let kept = &self.shared.counters.round_trip_ns;
            kept.store(nanoseconds.max(1), Ordering::Relaxed);
        }
    }

    /// A server opens no channels to us: nothing was asked to be forwarded.
    fn refuse_open(&mut self, reader: &mut Reader<'_>) -> Result<(), SessionError> {
        reader.string()?;
        let mut refusal = vec![CHANNEL_OPEN_FAILURE];
        refusal.extend(reader.uint32()?.to_be_bytes());
        refusal.extend(OPEN_ADMINISTRATIVELY_PROHIBITED.to_be_bytes());
        put_string(&mut refusal, b"not asked for");
        put_string(&mut refusal, b"");
        self.connection.send(&refusal)
    }

    fn refuse_request(&mut self, reader: &mut Reader<'_>) -> Result<(), SessionError> {
        reader.string()?;
        if reader.boolean()? {
            self.connection.send(&[REQUEST_FAILURE])
        } else {
            Ok(())
        }
    }

    /// Tells everybody, and leaves a DISCONNECT to be written where there is one. Who disconnects is told when that is done.
    fn begin_end(&mut self, error: SessionError) {
        let is_ours =
            matches!(&error, SessionError::Refused(failure) if failure.kind == Kind::Closed);
        let message = match error.disconnect_text() {
            _ if is_ours => Some(disconnect(DISCONNECT_BY_APPLICATION, "closed")),
            text => text.map(|text| disconnect(DISCONNECT_PROTOCOL_ERROR, text)),
        };
        let failure = error.into_failure();
        self.channels.end(&failure);
        self.tick.as_mut().reset(Instant::now() + DISCONNECT_TIME);
        self.ending = Some(match message {
            Some(message) => self.connection.send(&message).is_ok(),
            None => false,
        });
        if is_ours {
            self.closed_by_us = Some(failure);
        } else {
            self.end(failure);
        }
    }

    fn end(&mut self, failure: Failure) {
        self.channels.end(&failure);
        let lost = lost_before_open(&failure);
        let commands = self.shared.end(failure);
        for request in commands.opens {
            let _ = request.sender.send(Err(lost.clone()));
        }
    }

    fn poll_end(&mut self, context: &mut Context<'_>, has_message: bool) -> Poll<()> {
        let transport = &mut self.connection.transport;
        let is_done = match has_message.then(|| transport.poll_send(context)) {
            Some(Poll::Ready(())) => transport.poll_shutdown(context).is_ready(),
            Some(Poll::Pending) => false,
            None => true,
        };
        if !is_done && self.tick.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        if let Some(failure) = self.closed_by_us.take() {
            self.end(failure);
        }
        Poll::Ready(())
    }
}

impl<S: ByteStream> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.ending.is_none() {
            match this.poll_session(context) {
                Poll::Ready(Err(error)) => this.begin_end(error),
                Poll::Ready(Ok(())) | Poll::Pending => return Poll::Pending,
            }
        }
        this.poll_end(context, this.ending.unwrap_or_default())
    }
}

impl<S: ByteStream> Drop for Driver<S> {
    /// The runtime, or a defect, may end the task.
    fn drop(&mut self) {
        if self.shared.failure().is_none() {
            let failure = self.closed_by_us.take().unwrap_or_else(Failure::defect);
            self.end(failure);
        }
    }
}

fn closed_failure() -> Failure {
    Failure::new(Kind::Closed, "the SSH session was closed").with_delivery(Delivery::Unknown)
}
