//! The sessions of a tunnel and their channels: who gets one, who waits, and how many sessions there should be.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::reconnection::delay;

/// A session that was empty for so long is closed, unless it is the only one.
const IDLE_TIME: Duration = Duration::from_mins(1);
/// Sessions that are opened at once: sshd refuses connections while ten have not authenticated (`MaxStartups`).
const MAX_OPENING: usize = 5;
/// The delay after a further session could not be opened, which doubles with each that cannot.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The bounds of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// The channels of one session, at least 1.
    pub max_channels: u32,
    /// The sessions, at least 1.
    pub max_sessions: u32,
}

/// The number of a session, which no other of the tunnel ever has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

/// A place in the line for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelTicket(u64);

/// The answer to a request for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelRequest {
    /// A channel of this session.
    Granted(SessionId),
    /// Wait for [`SessionLedger::next_grant`].
    Wait(ChannelTicket),
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Sessions that are open.
    pub open: usize,
    /// Sessions that are being opened.
    pub opening: usize,
    /// Channels that are open or being opened.
    pub channels: usize,
    /// Requests for a channel that wait.
    pub waiting: usize,
}

/// A session that is being opened, or open.
#[derive(Clone, Copy, Debug)]
struct Entry {
    id: SessionId,
    is_open: bool,
    channels: u32,
    empty_since: Option<Instant>,
}

/// The books of a tunnel.
#[derive(Clone, Debug)]
pub struct SessionLedger {
    limits: SessionLimits,
    /// In the order in which they were begun.
    sessions: Vec<Entry>,
    waiters: VecDeque<ChannelTicket>,
    begun: u64,
    issued: u64,
    /// The further sessions that could not be opened since one could, and when the next may be tried.
    failures: u32,
    retry_at: Option<Instant>,
}

impl SessionLedger {
    /// A ledger without sessions.
    pub const fn new(limits: SessionLimits) -> Self {
        Self {
            limits,
            sessions: Vec::new(),
            waiters: VecDeque::new(),
            begun: 0,
            issued: 0,
            failures: 0,
            retry_at: None,
        }
    }

    /// Asks for a channel. Nobody overtakes those who wait.
    pub fn request(&mut self) -> ChannelRequest {
        if self.waiters.is_empty()
            && let Some(id) = self.take_channel()
        {
            return ChannelRequest::Granted(id);
        }
        let ticket = ChannelTicket(self.issued);
        self.issued += 1;
        self.waiters.push_back(ticket);
        ChannelRequest::Wait(ticket)
    }

    /// The channel that a waiter gets now, oldest first; ask again until `None`, after each call that changes something.
    pub fn next_grant(&mut self) -> Option<(ChannelTicket, SessionId)> {
        let ticket = *self.waiters.front()?;
        let id = self.take_channel()?;
        self.waiters.pop_front();
        Some((ticket, id))
    }

    /// A waiter leaves the line; `false` when it had left already.
    pub fn leave(&mut self, ticket: ChannelTicket) -> bool {
        // Tickets only grow, and are only appended.
        let found = self.waiters.binary_search(&ticket);
        found.is_ok_and(|index| self.waiters.remove(index).is_some())
    }

    /// All waiters leave the line, oldest first.
    pub fn clear_waiters(&mut self) -> Vec<ChannelTicket> {
        self.waiters.drain(..).collect()
    }

    /// A channel was closed, or not opened. Those of sessions that are gone are gone with them.
    pub fn release(&mut self, id: SessionId, now: Instant) {
        if let Some(entry) = self.entry(id) {
            entry.channels = entry.channels.saturating_sub(1);
            if entry.channels == 0 {
                entry.empty_since = Some(now);
            }
        }
    }

    /// Begins a session, whatever waits.
    pub fn begin_session(&mut self) -> SessionId {
        let id = SessionId(self.begun);
        self.begun += 1;
        self.sessions.push(Entry {
            id,
            is_open: false,
            channels: 0,
            empty_since: None,
        });
        id
    }

    /// Begins a further session, if one is open and those that are being opened are too few for all who wait; ask again until
    /// `None`.
    pub fn begin_further_session(&mut self, now: Instant) -> Option<SessionId> {
        self.retry_at = self.retry_at.filter(|at| *at > now);
        let SessionCounts { open, opening, .. } = self.counts();
        let is_wanted = open > 0 && self.is_crowded();
        let is_allowed = open + opening < self.limits.max_sessions as usize
            && opening < MAX_OPENING
            && self.retry_at.is_none();
        (is_wanted && is_allowed).then(|| self.begin_session())
    }

    /// A session is open; `false` when nobody wants it any more.
    #[must_use = "a session that nobody wants must be closed"]
    pub fn on_opened(&mut self, id: SessionId, now: Instant) -> bool {
        let Some(entry) = self.entry(id) else {
            return false;
        };
        entry.is_open = true;
        entry.empty_since = Some(now);
        (self.failures, self.retry_at) = (0, None);
        true
    }

    /// A session could not be opened. The next further one is tried after a pause; `false` when it was forgotten before.
    pub fn on_open_failed(&mut self, id: SessionId, now: Instant, rng: &mut fastrand::Rng) -> bool {
        if !self.remove(id) {
            return false;
        }
        self.failures += 1;
        self.retry_at = Some(now + delay(RETRY_DELAY, self.failures, rng));
        true
    }

    /// A session is over; `false` when it was none of the ledger's.
    pub fn on_lost(&mut self, id: SessionId) -> bool {
        self.remove(id)
    }

    /// Forgets the sessions that are being opened.
    pub fn forget_opening(&mut self) {
        self.sessions.retain(|entry| entry.is_open);
        (self.failures, self.retry_at) = (0, None);
    }

    /// Takes the sessions out that have been empty for a minute, all but one of the open ones.
    #[must_use = "each of these sessions must be closed"]
    pub fn sweep(&mut self, now: Instant) -> Vec<SessionId> {
        let mut surplus = self.counts().open.saturating_sub(1);
        let mut swept = Vec::new();
        // The youngest go first, since the oldest ones get the channels.
        for entry in self.sessions.iter().rev() {
            let is_idle = entry.is_open && entry.idle_end().is_some_and(|end| end <= now);
            if is_idle && surplus > 0 {
                surplus -= 1;
                swept.push(entry.id);
            }
        }
        self.sessions.retain(|entry| !swept.contains(&entry.id));
        swept
    }

    /// When [`Self::sweep`] or [`Self::begin_further_session`] has something to do.
    pub fn next_due(&self) -> Option<Instant> {
        let idle_ends = self.sessions.iter().filter_map(Entry::idle_end);
        let next_sweep = if self.counts().open > 1 {
            idle_ends.min()
        } else {
            None
        };
        let next_retry = self.retry_at.filter(|_| !self.waiters.is_empty());
        next_sweep.into_iter().chain(next_retry).min()
    }

    /// Whether more wait than the sessions that are being opened will have room for.
    pub fn is_crowded(&self) -> bool {
        let opening = self.sessions.iter().filter(|entry| !entry.is_open).count();
        self.waiters.len() > opening * self.limits.max_channels as usize
    }

    /// How many there are of each.
    pub fn counts(&self) -> SessionCounts {
        let open = self.sessions.iter().filter(|entry| entry.is_open).count();
        let channels = self.sessions.iter().map(|entry| entry.channels as usize);
        SessionCounts {
            open,
            opening: self.sessions.len() - open,
            channels: channels.sum(),
            waiting: self.waiters.len(),
        }
    }

    /// Takes a channel of the oldest session that has room, so that the youngest become empty.
    fn take_channel(&mut self) -> Option<SessionId> {
        let most = self.limits.max_channels;
        let has_room = |entry: &&mut Entry| entry.is_open && entry.channels < most;
        let entry = self.sessions.iter_mut().find(has_room)?;
        entry.channels += 1;
        entry.empty_since = None;
        Some(entry.id)
    }

    fn entry(&mut self, id: SessionId) -> Option<&mut Entry> {
        self.sessions.iter_mut().find(|entry| entry.id == id)
    }

    fn remove(&mut self, id: SessionId) -> bool {
        let before = self.sessions.len();
        self.sessions.retain(|entry| entry.id != id);
        self.sessions.len() < before
    }
}

impl Entry {
    fn idle_end(&self) -> Option<Instant> {
        Some(self.empty_since? + IDLE_TIME)
    }
}
