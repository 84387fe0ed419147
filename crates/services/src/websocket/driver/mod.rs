//! The task of one connection: reads, writes, answers pings, and notices the end.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use moorline_core::error::{Failure, Kind};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite::protocol::frame::coding::Control as ControlCode;

mod closing;

pub use closing::CloseEvent;

use super::{
    compressor::Compressor,
    config::Config,
    deflate::Inflater,
    error::{closed_failure, connection_ended, connection_lost, peer_silent, unanswered_close},
    heartbeat::{Heartbeat, HeartbeatAction},
    permessage_deflate::Agreement,
    protocol_error::ProtocolError,
    receiver::{Control, ReceivedFrames, Receiver},
    shared::Shared,
    stream::SocketStream,
};
use moorline_net::receive_queue::Buffer;

/// The most bytes of one read; each thread has one buffer of this size for all its connections.
const READ_BYTES: usize = 64 * 1024;
/// The most bytes of one write, which holds the lock that senders wait for.
const WRITE_BYTES: usize = 64 * 1024;
/// The number of steps after which the task yields.
const MAX_STEPS_PER_POLL: usize = 32;
/// The sleep of the timer where no deadline is set.
const NO_DEADLINE_SLEEP: Duration = Duration::from_hours(1);
/// The close code when there was no close frame, and when it had no code.
const NO_CLOSE_FRAME: u16 = 1006;
const NO_CODE: u16 = 1005;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The task of one connection; it runs until both sides have closed.
pub(super) struct Driver {
    stream: SocketStream,
    shared: Arc<Shared>,
    receiver: Receiver,
    received: ReceivedFrames,
    compressor: Option<Compressor>,
    /// Received bytes that are not parsed yet.
    unparsed: Vec<u8>,
    /// Whether they can be parsed further before the next read.
    can_parse_more: bool,
    needs_flush: bool,
    /// Writing failed; what was received before is still read.
    write_error: Option<io::Error>,
    /// Whether there was nothing to read in this step.
    read_pending: bool,
    heartbeat: Heartbeat,
    ping_timeout: Duration,
    close_timeout: Duration,
    /// The end of closing or lingering.
    deadline: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    close_sent: bool,
    close_received: Option<(Option<u16>, String)>,
    /// The protocol error of the server, and the number of takes at which its earlier messages were taken.
    protocol_error: Option<(ProtocolError, Option<u64>)>,
    /// The end of the connection once the close frame about a protocol error is written.
    close_result: Option<CloseEvent>,
    /// Whether the end was reported and only the end of the server's side is awaited.
    lingering: bool,
}

impl Driver {
    pub(super) fn new(
        config: &Config,
        stream: SocketStream,
        leading_bytes: Vec<u8>,
        compression: Option<Agreement>,
        shared: Arc<Shared>,
    ) -> Self {
        let now = Instant::now();
        let threshold = config.compression.map_or(0, |it| it.threshold);
        Self {
            stream,
            shared,
            receiver: Receiver::new(config.max_message, compression.as_ref().map(Inflater::new)),
            received: ReceivedFrames::default(),
            compressor: compression.map(|agreement| Compressor::new(&agreement, threshold)),
            can_parse_more: !leading_bytes.is_empty(),
            unparsed: leading_bytes,
            needs_flush: false,
            write_error: None,
            read_pending: false,
            heartbeat: Heartbeat::new(config.ping_interval, config.ping_timeout, now.into_std()),
            ping_timeout: config.ping_timeout,
            close_timeout: config.close_timeout,
            deadline: None,
            timer: Box::pin(sleep_until(now + NO_DEADLINE_SLEEP)),
            close_sent: false,
            close_received: None,
            protocol_error: None,
            close_result: None,
            lingering: false,
        }
    }

    /// One step; true when it made progress.
    fn step(&mut self, context: &mut Context<'_>) -> Result<bool, CloseEvent> {
        self.send_requested_close();
        let mut progress = self
            .compressor
            .as_mut()
            .is_some_and(|compressor| compressor.step(&self.shared));
        progress |= self.write(context);
        self.read_pending = false;
        progress |= self.read(context)?;
        self.finish_if_closed()?;
        progress |= self.tick(context)?;
        Ok(progress)
    }

    fn write(&mut self, context: &mut Context<'_>) -> bool {
        if self.write_error.is_some() {
            return false;
        }
        let mut progress = false;
        let mut send = self.shared.send_state();
        let bytes = send.queue.bytes();
        let bytes = &bytes[..bytes.len().min(WRITE_BYTES)];
        if !bytes.is_empty() {
            match self.stream.poll_write(context, bytes) {
                Poll::Ready(Ok(wrote)) if wrote > 0 => {
                    send.queue.advance(wrote);
                    self.needs_flush = true;
                    progress = true;
                }
                Poll::Ready(Ok(_)) => self.write_error = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Err(error)) => self.write_error = Some(error),
                Poll::Pending => send.queue.on_blocked(),
            }
        }
        if self.needs_flush && self.write_error.is_none() {
            match self.stream.poll_flush(context) {
                Poll::Ready(Ok(())) => self.needs_flush = false,
                Poll::Ready(Err(error)) => self.write_error = Some(error),
                Poll::Pending => {}
            }
        }
        if let Some(error) = &self.write_error {
            // Messages received before are still delivered, but a sender must not wait for room.
            send.refusal.get_or_insert_with(|| connection_lost(error));
        }
        progress
    }

    fn read(&mut self, context: &mut Context<'_>) -> Result<bool, CloseEvent> {
        if let Some((error, take_count)) = self.protocol_error {
            return Ok(self.drain_before_error_close(error, take_count));
        }
        if self.close_received.is_some() || self.close_result.is_some() {
            return Ok(false);
        }
        if !self.shared.receive_queue.has_room() {
            self.heartbeat.on_paused();
            return Ok(false);
        }
        let mut buffer = BUFFER.with(RefCell::take);
        let read = self.read_into(&mut buffer, context);
        BUFFER.with(|kept| kept.replace(buffer));
        let progress = read?;
        if progress {
            self.dispatch();
        }
        Ok(progress)
    }

    /// Reads once and parses the bytes.
    fn read_into(
        &mut self,
        buffer: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Result<bool, CloseEvent> {
        let kept = self.unparsed.len();
        if buffer.len() < kept + READ_BYTES {
            buffer.resize(kept + READ_BYTES, 0);
        }
        buffer[..kept].copy_from_slice(&self.unparsed);
        let mut end = kept;
        if !self.can_parse_more {
            match self
                .stream
                .poll_read(context, &mut buffer[kept..kept + READ_BYTES])
            {
                Poll::Pending => {
                    self.read_pending = true;
                    return Ok(false);
                }
                Poll::Ready(Ok(0)) => return Err(abnormal_close(self.end_failure())),
                Poll::Ready(Ok(read)) => end += read,
                Poll::Ready(Err(error)) => return Err(abnormal_close(connection_lost(&error))),
            }
            self.heartbeat.on_activity();
        }
        match self.receiver.feed(&buffer[..end], &mut self.received) {
            Ok(fed) => {
                self.unparsed.clear();
                self.unparsed.extend_from_slice(&buffer[fed.consumed..end]);
                self.can_parse_more = fed.can_parse_more;
            }
            Err(error) => {
                let deadline = Instant::now() + self.close_timeout;
                self.deadline.get_or_insert(deadline);
                self.protocol_error = Some((error, None));
            }
        }
        Ok(true)
    }

    /// The failure for the end of the server's side.
    fn end_failure(&mut self) -> Failure {
        self.write_error
            .take()
            .map_or_else(connection_ended, |error| connection_lost(&error))
    }

    /// Dispatches control frames and queues messages for JavaScript.
    fn dispatch(&mut self) {
        for control in std::mem::take(&mut self.received.controls) {
            match control {
                Control::Ping(payload) => self.shared.send_state().queue.push_pong(&payload),
                Control::Pong(payload) => self.shared.pings().on_pong(&payload),
                Control::Close(code, reason) => self.answer_close(code, reason),
            }
        }
        // After the pongs: a reply to a message must not overtake the pong of an earlier ping.
        if !self.received.batch.is_empty() {
            let received = &mut self.received.batch;
            self.shared
                .receive_queue
                .put(|batch| batch.append(received));
        }
    }

    /// Sends due pings and checks the deadlines.
    fn tick(&mut self, context: &mut Context<'_>) -> Result<bool, CloseEvent> {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            let end = self.take_known_end(false);
            return Err(end.unwrap_or_else(|| abnormal_close(unanswered_close(self.close_timeout))));
        }
        let peer_read_count = self.shared.send_state().queue.peer_read_count();
        let next = match self.heartbeat.poll(now.into_std(), peer_read_count) {
            HeartbeatAction::Dead => return Err(abnormal_close(peer_silent(self.ping_timeout))),
            HeartbeatAction::Ping => {
                self.shared
                    .send_state()
                    .queue
                    .push_control(ControlCode::Ping, b"");
                return Ok(true);
            }
            HeartbeatAction::Wait(next) => next.map(Instant::from_std),
        };
        let next = match (next, self.deadline) {
            (Some(next), Some(deadline)) => next.min(deadline),
            (next, deadline) => next.or(deadline).unwrap_or(now + NO_DEADLINE_SLEEP),
        };
        Ok(self.wait_until(next, context))
    }

    /// Sets the timer; true when it has elapsed meanwhile.
    fn wait_until(&mut self, next: Instant, context: &mut Context<'_>) -> bool {
        // Resetting the timer costs more than one early wake-up.
        if self.timer.deadline() > next || self.timer.is_elapsed() {
            self.timer.as_mut().reset(next);
        }
        self.timer.as_mut().poll(context).is_ready()
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        // Registered before the state is read, so that no change is missed.
        driver
            .shared
            .receive_queue
            .waker()
            .register(context.waker());
        for _ in 0..MAX_STEPS_PER_POLL {
            if driver.shared.is_terminated() {
                driver.end(abnormal_close(closed_failure(NO_CLOSE_FRAME)));
                return Poll::Ready(());
            }
            if driver.lingering {
                return if driver.linger(context) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                };
            }
            match driver.step(context) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(end) => driver.end(end),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.lingering {
            // Dropped by a panic: waiters must not wait for ever.
            let failure = Failure::new(
                Kind::Internal,
                "the connection was ended by a defect in moorline",
            );
            self.end(abnormal_close(failure));
        }
    }
}

fn abnormal_close(failure: Failure) -> CloseEvent {
    CloseEvent {
        code: NO_CLOSE_FRAME,
        reason: String::new(),
        clean: false,
        failure: Some(failure),
    }
}
