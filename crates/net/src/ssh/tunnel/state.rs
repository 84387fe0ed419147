//! The state of a tunnel, and what changes of it lead to.

use std::{collections::HashMap, sync::Arc, time::Duration};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    ssh::{
        AttemptFailed, ChannelRequest, ChannelTicket, Due, Lost, Need, NeedDecision, Reconnection,
        SessionId, SessionLedger, TunnelTotals,
    },
};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    config::TunnelConfig, events::TunnelEvent, local_forward::LocalForward, stream::Permit,
};
use crate::ssh::Session;

/// What they are told who waited for a tunnel that was not connected again.
const RETRIES_EXCEEDED: &str = "Failed to reconnect after maximum retries";

/// Who waits for the outcome of connecting.
type ConnectWaiter = oneshot::Sender<Outcome<()>>;
/// Who waits for a channel.
type ChannelWaiter = oneshot::Sender<Outcome<Permit>>;

/// A session that is to be opened.
pub(super) struct Attempt {
    pub(super) id: SessionId,
    /// Whether none is open, so that the tunnel is up by it.
    pub(super) is_first: bool,
    /// Ends the attempt.
    pub(super) cancelled: CancellationToken,
}

/// What is to be done once the lock is released.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) events: Vec<TunnelEvent>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) grants: Vec<(ChannelWaiter, SessionId, Arc<Session>)>,
    pub(super) refused: Vec<(ChannelWaiter, Failure)>,
    pub(super) connects: Vec<(ConnectWaiter, Outcome<()>)>,
    /// Sessions to end.
    pub(super) closing: Vec<Arc<Session>>,
    /// Whether a round trip is to be measured.
    pub(super) is_check_due: bool,
}

/// The local port, over the losses of the tunnel.
#[derive(Default)]
pub(super) struct LocalPort {
    /// The port that was taken first, which is taken again.
    pub(super) port: Option<u16>,
    pub(super) forward: Option<LocalForward>,
    /// Cancelled once the last one has left the port.
    pub(super) freed: Option<CancellationToken>,
}

/// The state behind the lock.
pub(super) struct State {
    pub(super) reconnection: Reconnection,
    pub(super) ledger: SessionLedger,
    pub(super) sessions: HashMap<SessionId, Arc<Session>>,
    waiters: HashMap<ChannelTicket, ChannelWaiter>,
    connects: Vec<ConnectWaiter>,
    /// Ends the attempts that are under way.
    attempts: CancellationToken,
    pub(super) local: LocalPort,
    /// What sessions that are over have carried, and the reconnects.
    pub(super) past: TunnelTotals,
    pub(super) is_supervised: bool,
    /// When the supervisor looks again by itself.
    pub(super) next_wakeup: Option<Instant>,
    rng: fastrand::Rng,
}

impl State {
    pub(super) fn new(config: &TunnelConfig) -> Self {
        Self {
            reconnection: Reconnection::new(config.reconnect),
            ledger: SessionLedger::new(config.limits),
            sessions: HashMap::new(),
            waiters: HashMap::new(),
            connects: Vec::new(),
            attempts: CancellationToken::new(),
            local: LocalPort::default(),
            past: TunnelTotals::default(),
            is_supervised: false,
            next_wakeup: None,
            rng: fastrand::Rng::new(),
        }
    }

    /// The user wants the tunnel to be connected: who is told of the outcome, unless it is known.
    pub(super) fn connect(
        &mut self,
        effects: &mut Effects,
    ) -> Outcome<Option<oneshot::Receiver<Outcome<()>>>> {
        match self.reconnection.on_need(Need::Connect) {
            NeedDecision::Ready => return Ok(None),
            NeedDecision::Refuse(failure) => return Err(failure),
            NeedDecision::Begin => self.begin_first(effects),
            NeedDecision::Wait => {}
        }
        let (sender, receiver) = oneshot::channel();
        self.connects.push(sender);
        Ok(Some(receiver))
    }

    /// Somebody wants a channel: the session that has one, or the place in the line.
    pub(super) fn request(&mut self, effects: &mut Effects) -> Outcome<Request> {
        match self.reconnection.on_need(Need::Channel) {
            NeedDecision::Refuse(failure) => return Err(failure),
            NeedDecision::Begin => self.begin_first(effects),
            NeedDecision::Ready | NeedDecision::Wait => {}
        }
        match self.ledger.request() {
            ChannelRequest::Granted(id) => {
                let session = self.sessions.get(&id).ok_or_else(Failure::defect)?;
                Ok(Request::Granted(id, Arc::clone(session)))
            }
            ChannelRequest::Wait(ticket) => {
                let (sender, receiver) = oneshot::channel();
                self.waiters.insert(ticket, sender);
                Ok(Request::Queued(ticket, receiver))
            }
        }
    }

    /// A waiter has left the line.
    pub(super) fn leave(&mut self, ticket: ChannelTicket) {
        self.ledger.leave(ticket);
        self.waiters.remove(&ticket);
    }

    /// Begins what makes the tunnel up.
    fn begin_first(&mut self, effects: &mut Effects) {
        let id = self.ledger.begin_session();
        effects.attempts.push(self.attempt(id, true));
        // Later ones were told of when they were due.
        if self.reconnection.attempt() == 1 {
            effects.events.push(self.reconnecting(Duration::ZERO));
        }
    }

    fn attempt(&self, id: SessionId, is_first: bool) -> Attempt {
        Attempt {
            id,
            is_first,
            cancelled: self.attempts.clone(),
        }
    }

    /// An attempt has led to a session; `false` when nobody wants it.
    pub(super) fn on_opened(
        &mut self,
        attempt: &Attempt,
        session: Arc<Session>,
        effects: &mut Effects,
        now: Instant,
    ) -> bool {
        if attempt.cancelled.is_cancelled() || !self.ledger.on_opened(attempt.id, now.into_std()) {
            return false;
        }
        self.sessions.insert(attempt.id, session);
        if !attempt.is_first {
            return true;
        }
        effects
            .events
            .push(match self.reconnection.on_connected(now.into_std()) {
                None => TunnelEvent::Open,
                Some(recovery) => {
                    self.past.reconnects += 1;
                    TunnelEvent::Reconnected {
                        attempts: recovery.attempts,
                        after: recovery.after,
                    }
                }
            });
        self.settle_connects(effects, &Ok(()));
        true
    }

    /// An attempt has failed.
    pub(super) fn on_open_failed(
        &mut self,
        attempt: &Attempt,
        failure: Failure,
        effects: &mut Effects,
        now: Instant,
    ) {
        let now = now.into_std();
        if attempt.cancelled.is_cancelled()
            || !self.ledger.on_open_failed(attempt.id, now, &mut self.rng)
        {
            return;
        }
        if !attempt.is_first {
            effects.events.push(TunnelEvent::SessionFailed(failure));
            return;
        }
        let is_outage = self.reconnection.attempt() > 0;
        let next = self
            .reconnection
            .on_attempt_failed(&failure, now, &mut self.rng);
        match next {
            AttemptFailed::Retry(delay) => {
                effects.events.push(self.reconnecting(delay));
                return;
            }
            AttemptFailed::Exhausted(attempts) => {
                return self.give_up(attempts, failure, effects);
            }
            AttemptFailed::Refused if is_outage => {
                effects.events.push(TunnelEvent::Refused(failure.clone()));
            }
            AttemptFailed::Refused | AttemptFailed::Fail => {}
        }
        self.fail_all(&failure, effects);
    }

    /// The event of the attempt that is due after `delay`.
    fn reconnecting(&self, delay: Duration) -> TunnelEvent {
        let is_under_way = self.reconnection.is_connecting();
        TunnelEvent::Reconnecting {
            attempt: self.reconnection.attempt() + u32::from(!is_under_way),
            delay,
        }
    }

    /// A session is over.
    pub(super) fn on_session_ended(
        &mut self,
        id: SessionId,
        failure: Failure,
        effects: &mut Effects,
        now: Instant,
    ) {
        if !self.ledger.on_lost(id) {
            return;
        }
        if let Some(session) = self.sessions.remove(&id) {
            self.count_past(&session);
        }
        let open_sessions = self.sessions.len();
        effects.events.push(TunnelEvent::Lost {
            failure: failure.clone(),
            open_sessions,
        });
        if open_sessions > 0 {
            return;
        }
        self.end_attempts();
        self.close_local();
        match self.reconnection.on_lost(now.into_std(), &mut self.rng) {
            Lost::Begin => self.begin_first(effects),
            Lost::Retry(delay) => effects.events.push(self.reconnecting(delay)),
            Lost::Exhausted(attempts) => self.give_up(attempts, failure, effects),
            Lost::Ignore => {}
        }
    }

    /// The user has disconnected the tunnel, or dropped it.
    pub(super) fn disconnect(&mut self, effects: &mut Effects) {
        if self.reconnection.on_disconnect() {
            effects.events.push(TunnelEvent::Close);
        }
        self.end_attempts();
        self.close_local();
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        self.close_sessions(&ids, effects);
        let message = "the SSH tunnel was disconnected";
        self.fail_all(&Failure::new(Kind::Closed, message), effects);
    }

    /// Begins and closes what is due by the time alone.
    pub(super) fn run_due(&mut self, effects: &mut Effects, now: Instant) {
        let now = now.into_std();
        while let Some(due) = self.reconnection.take_due(now) {
            match due {
                Due::Attempt => self.begin_first(effects),
                Due::Check => effects.is_check_due = true,
            }
        }
        let idle = self.ledger.sweep(now);
        self.close_sessions(&idle, effects);
    }

    /// Gives free channels to who waits, and begins the sessions that are too few.
    pub(super) fn settle(&mut self, effects: &mut Effects, now: Instant) {
        let now = now.into_std();
        while let Some((ticket, id)) = self.ledger.next_grant() {
            match (self.waiters.remove(&ticket), self.sessions.get(&id)) {
                (Some(waiter), Some(session)) => {
                    effects.grants.push((waiter, id, Arc::clone(session)));
                }
                // It has just left.
                _ => self.ledger.release(id, now),
            }
        }
        while let Some(id) = self.ledger.begin_further_session(now) {
            effects.attempts.push(self.attempt(id, false));
        }
    }

    /// When [`Self::run_due`] or [`Self::settle`] has something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = [self.reconnection.next_due(), self.ledger.next_due()];
        due.into_iter().flatten().min().map(Instant::from_std)
    }

    fn close_sessions(&mut self, ids: &[SessionId], effects: &mut Effects) {
        for id in ids {
            self.ledger.on_lost(*id);
            if let Some(session) = self.sessions.remove(id) {
                self.count_past(&session);
                effects.closing.push(session);
            }
        }
    }

    fn count_past(&mut self, session: &Session) {
        let stats = session.stats();
        self.past.received_bytes += stats.received_bytes;
        self.past.sent_bytes += stats.sent_bytes;
    }

    fn end_attempts(&mut self) {
        self.attempts.cancel();
        self.attempts = CancellationToken::new();
        self.ledger.forget_opening();
    }

    /// Keeps the local port that was opened while the tunnel is up, else closes it.
    pub(super) fn keep_local(&mut self, forward: LocalForward) {
        if self.reconnection.is_up() && self.local.forward.is_none() {
            self.local.port = Some(forward.port());
            self.local.forward = Some(forward);
        } else {
            self.local.freed = Some(forward.close());
        }
    }

    fn close_local(&mut self) {
        if let Some(forward) = self.local.forward.take() {
            self.local.freed = Some(forward.close());
        }
    }

    /// All attempts of an outage were made, and `failure` is that of the last one.
    fn give_up(&mut self, attempts: u32, failure: Failure, effects: &mut Effects) {
        let told = failure
            .clone()
            .with_message(RETRIES_EXCEEDED)
            .with_cause(failure.message.as_str(), Some(failure.code.to_string()));
        self.fail_all(&told, effects);
        effects
            .events
            .push(TunnelEvent::RetriesExceeded { attempts, failure });
    }

    /// Nobody waits any more.
    fn fail_all(&mut self, failure: &Failure, effects: &mut Effects) {
        for ticket in self.ledger.clear_waiters() {
            if let Some(waiter) = self.waiters.remove(&ticket) {
                effects.refused.push((waiter, failure.clone()));
            }
        }
        self.settle_connects(effects, &Err(failure.clone()));
    }

    fn settle_connects(&mut self, effects: &mut Effects, outcome: &Outcome<()>) {
        let connects = self.connects.drain(..);
        effects
            .connects
            .extend(connects.map(|sender| (sender, outcome.clone())));
    }
}

/// The answer to who wants a channel.
pub(super) enum Request {
    Granted(SessionId, Arc<Session>),
    Queued(ChannelTicket, oneshot::Receiver<Outcome<Permit>>),
}
