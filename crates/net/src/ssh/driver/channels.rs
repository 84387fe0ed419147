//! The channels of a session: what the server says of them, and what is sent for them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
};

use moorline_core::error::{Delivery, Failure, Kind, Outcome};
use tokio::sync::oneshot;

use super::shared::{OpenRequest, SessionShared};
use crate::{
    dial::ByteStream,
    ssh::{
        channel::{Channel, ChannelShared, ChannelTarget, MAX_DATA_BYTES},
        connection::Connection,
        error::SessionError,
        message::{
            CHANNEL_CLOSE, CHANNEL_DATA, CHANNEL_EOF, CHANNEL_FAILURE, CHANNEL_WINDOW_ADJUST,
        },
        wire::Reader,
    },
};

/// A channel, from CHANNEL_OPEN until both sides have sent CHANNEL_CLOSE.
struct Entry {
    shared: Arc<ChannelShared>,
    /// Who waits for the server's answer, and what for.
    opening: Option<(ChannelTarget, oneshot::Sender<Outcome<Channel>>)>,
    /// The server's number for it.
    remote_id: u32,
    /// What the server may still send.
    receive_window: u32,
    /// What it still takes.
    send_window: u32,
    max_packet: u32,
    has_sent_eof: bool,
    has_sent_close: bool,
    /// It was dropped, and still had data to send at the last tick.
    is_lingering: bool,
}

/// All channels, by our number.
pub(super) struct Channels {
    entries: HashMap<u32, Entry>,
    /// How many of them the server has not answered about.
    opening: usize,
    next_id: u32,
    window: u32,
    /// Those that are to be looked at, each once.
    ready: VecDeque<u32>,
    session: Arc<SessionShared>,
}

impl Channels {
    pub(super) fn new(session: Arc<SessionShared>, window: u32) -> Self {
        Self {
            entries: HashMap::new(),
            opening: 0,
            next_id: 0,
            window,
            ready: VecDeque::new(),
            session,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn queue(&mut self, ids: Vec<u32>) {
        self.ready.extend(ids);
    }

    /// Sends CHANNEL_OPEN, unless nobody waits for it any more.
    pub(super) fn open<S: ByteStream>(
        &mut self,
        connection: &mut Connection<S>,
        request: OpenRequest,
    ) -> Result<(), SessionError> {
        let OpenRequest { target, sender } = request;
        if sender.is_closed() {
            return Ok(());
        }
        while self.entries.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        connection.send(&target.encode_open(id, self.window))?;
        let entry = Entry {
            shared: Arc::new(ChannelShared::new(id, self.window)),
            opening: Some((target, sender)),
            remote_id: 0,
            receive_window: self.window,
            send_window: 0,
            max_packet: 0,
            has_sent_eof: false,
            has_sent_close: false,
            is_lingering: false,
        };
        self.entries.insert(id, entry);
        self.opening += 1;
        self.count();
        Ok(())
    }

    fn count(&self) {
        let counters = &self.session.counters;
        let opening = &counters.opening_channels;
        opening.store(self.opening, Ordering::Relaxed);
        let open = self.entries.len() - self.opening;
        counters.open_channels.store(open, Ordering::Relaxed);
    }

    /// The channel that a message is for, which was read but for its number.
    fn recipient(&mut self, reader: &mut Reader<'_>) -> Result<(u32, &mut Entry), SessionError> {
        let id = reader.uint32()?;
        match self.entries.get_mut(&id) {
            Some(entry) => Ok((id, entry)),
            None => Err(SessionError::violation(
                "it sent a message for a channel that does not exist",
            )),
        }
    }

    fn opened(&mut self, reader: &mut Reader<'_>) -> Result<(u32, &mut Entry), SessionError> {
        match self.recipient(reader)? {
            (id, entry) if entry.opening.is_none() => Ok((id, entry)),
            _ => Err(SessionError::violation(
                "it sent a message for a channel that it has not opened",
            )),
        }
    }

    pub(super) fn on_confirmation(&mut self, reader: &mut Reader<'_>) -> Result<(), SessionError> {
        let session = Arc::clone(&self.session);
        let (_, entry) = self.recipient(reader)?;
        entry.remote_id = reader.uint32()?;
        entry.send_window = reader.uint32()?;
        entry.max_packet = reader.uint32()?.min(MAX_DATA_BYTES);
        if entry.max_packet == 0 {
            return Err(SessionError::violation(
                "it opened a channel that takes no packets",
            ));
        }
        let Some((_, sender)) = entry.opening.take() else {
            return Err(SessionError::violation("it opened a channel twice"));
        };
        let shared = Arc::clone(&entry.shared);
        // Who has given up drops it, and dropping closes it.
        drop(sender.send(Ok(Channel::new(shared, session))));
        self.opening -= 1;
        self.count();
        Ok(())
    }

    pub(super) fn on_open_failure(&mut self, reader: &mut Reader<'_>) -> Result<(), SessionError> {
        let (id, entry) = self.recipient(reader)?;
        let Some((target, _)) = &entry.opening else {
            return Err(SessionError::violation(
                "it refused a channel that it had opened",
            ));
        };
        let failure = target.refusal(reader)?;
        if let Some((_, sender)) = entry.opening.take() {
            let _ = sender.send(Err(failure));
        }
        self.entries.remove(&id);
        self.opening -= 1;
        self.count();
        Ok(())
    }

    pub(super) fn on_window_adjust(&mut self, reader: &mut Reader<'_>) -> Result<(), SessionError> {
        let (id, entry) = self.opened(reader)?;
        entry.send_window = entry
            .send_window
            .checked_add(reader.uint32()?)
            .ok_or_else(|| SessionError::violation("it opened a window too far"))?;
        if entry.shared.lock().queue() {
            self.ready.push_back(id);
        }
        Ok(())
    }

    /// Hands data to their channel.
    pub(super) fn on_data(&mut self, payload: Vec<u8>) -> Result<(), SessionError> {
        let mut reader = Reader::new(payload.get(1..).unwrap_or_default());
        let (_, entry) = self.opened(&mut reader)?;
        let length = reader.string()?.len();
        entry.receive_data(length)?;
        entry.shared.count_received(length);
        let start = payload.len() - length - reader.rest().len();
        let mut payload = payload;
        payload.truncate(start + length);
        entry.shared.lock().receive(payload, start);
        Ok(())
    }

    /// Data of another type than the channel's own, which no target has: read and dropped.
    pub(super) fn on_extended_data(&mut self, reader: &mut Reader<'_>) -> Result<(), SessionError> {
        let (id, entry) = self.opened(reader)?;
        // The type.
        reader.uint32()?;
        let length = reader.string()?.len();
        entry.receive_data(length)?;
        if entry.shared.lock().consume(length) {
            self.ready.push_back(id);
        }
        Ok(())
    }

    pub(super) fn on_eof(&mut self, reader: &mut Reader<'_>) -> Result<(), SessionError> {
        let (_, entry) = self.opened(reader)?;
        entry.shared.lock().on_eof();
        Ok(())
    }

    pub(super) fn on_close<S: ByteStream>(
        &mut self,
        connection: &mut Connection<S>,
        reader: &mut Reader<'_>,
    ) -> Result<(), SessionError> {
        let (id, entry) = self.opened(reader)?;
        entry.shared.lock().on_close();
        entry.send_close(connection)?;
        self.entries.remove(&id);
        self.count();
        Ok(())
    }

    /// A request about a channel, as one for the status of a command: there is none that we do.
    pub(super) fn on_request<S: ByteStream>(
        &mut self,
        connection: &mut Connection<S>,
        reader: &mut Reader<'_>,
    ) -> Result<(), SessionError> {
        let (_, entry) = self.opened(reader)?;
        reader.string()?;
        if reader.boolean()? && !entry.has_sent_close {
            entry.send_number(connection, CHANNEL_FAILURE)?;
        }
        Ok(())
    }

    /// Sends what channels have to send, a packet of each in turn, until there is enough for now.
    pub(super) fn send<S: ByteStream>(
        &mut self,
        connection: &mut Connection<S>,
        enough: usize,
    ) -> Result<(), SessionError> {
        while !connection.is_holding() && connection.transport.writer.unsent().len() < enough {
            let Some(id) = self.ready.pop_front() else {
                return Ok(());
            };
            if let Some(entry) = self.entries.get_mut(&id)
                && entry.send_due(connection)?
            {
                self.ready.push_back(id);
            }
        }
        Ok(())
    }

    /// Whether [`Channels::send`] has something to do.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Closes channels that were dropped an interval ago, and whose data the server does not take.
    pub(super) fn end_lingering<S: ByteStream>(
        &mut self,
        connection: &mut Connection<S>,
    ) -> Result<(), SessionError> {
        for entry in self.entries.values_mut() {
            if entry.opening.is_some() || entry.has_sent_close {
                continue;
            }
            let is_dropped = entry.shared.lock().is_abandoned();
            if is_dropped && entry.is_lingering {
                entry.send_close(connection)?;
            }
            entry.is_lingering = is_dropped;
        }
        Ok(())
    }

    /// The session is over, for all.
    pub(super) fn end(&mut self, failure: &Failure) {
        for (_, entry) in self.entries.drain() {
            entry.shared.lock().on_session_end(failure);
            if let Some((_, sender)) = entry.opening {
                let _ = sender.send(Err(lost_before_open(failure)));
            }
        }
        self.ready.clear();
        self.opening = 0;
        self.count();
    }
}

impl Entry {
    /// Counts data against the window.
    fn receive_data(&mut self, length: usize) -> Result<(), SessionError> {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.receive_window = self.receive_window.checked_sub(length).ok_or_else(|| {
            SessionError::violation("it sent more data than a channel's window allows")
        })?;
        Ok(())
    }

    /// Sends what is due, at most a packet of data; `true` when there is more that may be sent.
    fn send_due<S: ByteStream>(
        &mut self,
        connection: &mut Connection<S>,
    ) -> Result<bool, SessionError> {
        if self.has_sent_close || self.opening.is_some() {
            return Ok(false);
        }
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let due = state.take_due();
        if due.adjust > 0 {
            self.receive_window = self.receive_window.saturating_add(due.adjust);
            let remote_id = self.remote_id;
            connection.transport.writer.put(|out| {
                out.push(CHANNEL_WINDOW_ADJUST);
                out.extend(remote_id.to_be_bytes());
                out.extend(due.adjust.to_be_bytes());
            })?;
        }
        let allowed = self.send_window.min(self.max_packet) as usize;
        let count = due.unsent.min(allowed);
        if count > 0 && !self.has_sent_eof {
            let remote_id = self.remote_id;
            let data = state.unsent(count);
            connection.transport.writer.put(|out| {
                out.push(CHANNEL_DATA);
                out.extend(remote_id.to_be_bytes());
                out.extend((count as u32).to_be_bytes());
                out.extend_from_slice(data);
            })?;
            state.advance(count);
            self.send_window -= count as u32;
            shared.count_sent(count);
        }
        if due.unsent > count {
            return Ok(self.send_window > 0 && state.queue());
        }
        drop(state);
        if (due.is_shut_down || due.is_dropped) && !self.has_sent_eof {
            self.has_sent_eof = true;
            self.send_number(connection, CHANNEL_EOF)?;
        }
        if due.is_dropped {
            self.send_close(connection)?;
        }
        Ok(false)
    }

    fn send_close<S: ByteStream>(
        &mut self,
        connection: &mut Connection<S>,
    ) -> Result<(), SessionError> {
        if std::mem::replace(&mut self.has_sent_close, true) {
            return Ok(());
        }
        self.send_number(connection, CHANNEL_CLOSE)
    }

    /// Sends a message that has nothing but the channel's number.
    fn send_number<S: ByteStream>(
        &self,
        connection: &mut Connection<S>,
        message: u8,
    ) -> Result<(), SessionError> {
        let mut out = vec![message];
        out.extend(self.remote_id.to_be_bytes());
        connection.send(&out)
    }
}

/// The failure of a channel that was not opened before the session was over.
pub(crate) fn lost_before_open(failure: &Failure) -> Failure {
    let message = format!("no channel was opened, since {}", failure.message);
    Failure::new(Kind::Connect, message)
        .with_code("ECONNRESET")
        .with_delivery(Delivery::None)
        .with_cause(failure.message.clone(), Some(failure.code.to_string()))
}
