//! What all sides of a tunnel share, and the tasks that carry out its decisions.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use moorline_core::{
    error::{Failure, Outcome},
    ssh::SessionId,
    sync::lock,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    config::TunnelConfig,
    connector::SessionConnector,
    events::{TunnelEvent, TunnelListener},
    local_forward::{self, LocalForward},
    metrics::TunnelMetrics,
    state::{Attempt, Effects, Request, State},
    stream::{Permit, QueuedRequest, TunnelStream},
};
use crate::{
    dial::NO_TIMEOUT,
    ssh::{ChannelTarget, Session},
};

/// What is shared.
pub(super) struct TunnelInner {
    pub(super) config: Arc<TunnelConfig>,
    pub(super) connector: SessionConnector,
    pub(super) listener: Option<Arc<dyn TunnelListener>>,
    pub(super) runtime: Handle,
    pub(super) metrics: TunnelMetrics,
    /// Room for the sockets of the local port that wait for a channel.
    pub(super) waiting_sockets: Arc<Semaphore>,
    state: Mutex<State>,
    /// Wakes the supervisor before its time.
    wakeup: Notify,
    /// The notification that somebody waits for a channel.
    pub(super) queued: Notify,
    /// The owner has dropped the tunnel.
    ended: CancellationToken,
}

impl TunnelInner {
    pub(super) fn new(
        config: Arc<TunnelConfig>,
        connector: SessionConnector,
        listener: Option<Arc<dyn TunnelListener>>,
        runtime: Handle,
    ) -> Self {
        Self {
            state: Mutex::new(State::new(&config)),
            config,
            connector,
            listener,
            runtime,
            metrics: TunnelMetrics::default(),
            waiting_sockets: local_forward::waiting_room(),
            wakeup: Notify::new(),
            queued: Notify::new(),
            ended: CancellationToken::new(),
        }
    }

    pub(super) fn emit(&self, event: TunnelEvent) {
        if let Some(listener) = &self.listener {
            listener.on_event(event);
        }
    }

    /// Reads the state.
    pub(super) fn read<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        read(&lock(&self.state))
    }

    /// Changes the state, and does what follows from it: the only way to change it. Nothing of it waits.
    pub(super) fn update<R>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State, &mut Effects, Instant) -> R,
    ) -> R {
        let mut effects = Effects::default();
        let now = Instant::now();
        let mut state = lock(&self.state);
        let result = change(&mut state, &mut effects, now);
        state.settle(&mut effects, now);
        let is_sooner = state
            .next_due()
            .is_some_and(|due| state.next_wakeup.is_none_or(|next| due < next));
        let begins = !effects.attempts.is_empty() && !state.is_supervised;
        state.is_supervised |= begins;
        drop(state);
        if begins {
            self.runtime.spawn(supervise(Arc::clone(self)));
        }
        if is_sooner {
            self.wakeup.notify_one();
        }
        self.apply(effects);
        result
    }

    fn apply(self: &Arc<Self>, effects: Effects) {
        for attempt in effects.attempts {
            self.runtime.spawn(run_attempt(Arc::clone(self), attempt));
        }
        if !effects.closing.is_empty() {
            self.runtime.spawn(close_sessions(effects.closing));
        }
        if effects.is_check_due {
            self.runtime.spawn(check(Arc::clone(self)));
        }
        for (waiter, id, session) in effects.grants {
            // Who has just left drops it, and it is given to the next.
            let _ = waiter.send(Ok(Permit::new(Arc::clone(self), id, session)));
        }
        for (waiter, failure) in effects.refused {
            let _ = waiter.send(Err(failure));
        }
        for event in effects.events {
            self.emit(event);
        }
        // After the events, so that they are known to who waited.
        for (waiter, outcome) in effects.connects {
            let _ = waiter.send(outcome);
        }
    }

    /// Opens a channel. The caller sets the time limit.
    pub(super) async fn open(self: &Arc<Self>, target: &ChannelTarget) -> Outcome<TunnelStream> {
        let mut may_repeat = true;
        loop {
            let permit = self.permit().await?;
            match permit.session.open(target.clone()).await {
                Ok(channel) => return Ok(TunnelStream::new(channel, permit)),
                // It was lost before it was asked, or while: there was no channel, so another session is asked.
                Err(_) if may_repeat && !permit.session.is_open() => may_repeat = false,
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn permit(self: &Arc<Self>) -> Outcome<Permit> {
        let request = self.update(|state, effects, _| state.request(effects))?;
        match request {
            Request::Granted(id, session) => Ok(Permit::new(Arc::clone(self), id, session)),
            Request::Queued(ticket, receiver) => {
                self.queued.notify_waiters();
                QueuedRequest::new(Arc::clone(self), ticket, receiver)
                    .outcome()
                    .await
            }
        }
    }

    /// Ends all that is open; the task that waits for it.
    pub(super) fn disconnect(self: &Arc<Self>) -> JoinHandle<()> {
        let (sessions, freed) = self.update(|state, effects, _| {
            state.disconnect(effects);
            (
                std::mem::take(&mut effects.closing),
                state.local.freed.clone(),
            )
        });
        self.runtime.spawn(async move {
            close_sessions(sessions).await;
            if let Some(freed) = freed {
                freed.cancelled().await;
            }
        })
    }

    /// The owner has dropped the tunnel.
    pub(super) fn end(self: &Arc<Self>) {
        self.ended.cancel();
        self.disconnect();
        self.metrics.publish(self);
    }

    /// Opens the local port, if there is to be one and it is not open.
    async fn open_local(self: &Arc<Self>) -> Outcome<Option<LocalForward>> {
        let (Some(port), Some(remote)) = (self.config.local_port, self.config.remote.clone())
        else {
            return Ok(None);
        };
        let (is_open, known, freed) = self.read(|state| {
            let local = &state.local;
            (local.forward.is_some(), local.port, local.freed.clone())
        });
        if is_open {
            return Ok(None);
        }
        if let Some(freed) = freed {
            freed.cancelled().await;
        }
        let port = known.unwrap_or(port);
        let inner = Arc::clone(self);
        let opened = LocalForward::open(inner, port, remote).await;
        opened
            .map(Some)
            .map_err(|failure| failure.during("ssh", "listen"))
    }
}

/// Opens a session, and with the first one the local port.
async fn run_attempt(inner: Arc<TunnelInner>, attempt: Attempt) {
    let cancelled = attempt.cancelled.clone();
    let opening = async {
        let emit = |event| inner.emit(event);
        let session = inner.connector.open(&emit).await?;
        let is_outage = inner.read(|state| state.reconnection.attempt() > 0);
        let local = if attempt.is_first {
            inner.open_local().await
        } else {
            Ok(None)
        };
        match local {
            Ok(local) => Ok((session, local)),
            // What goes through the tunnel without a port goes on.
            Err(failure) if is_outage => {
                inner.emit(TunnelEvent::LocalPortFailed(failure));
                Ok((session, None))
            }
            Err(failure) => Err(failure),
        }
    };
    let opened = tokio::select! {
        biased;
        () = cancelled.cancelled() => return,
        opened = opening => opened,
    };
    match opened {
        Ok((session, local)) => on_opened(&inner, &attempt, session, local),
        Err(failure) => inner.update(|state, effects, now| {
            state.on_open_failed(&attempt, failure.during("ssh", "connect"), effects, now);
        }),
    }
}

fn on_opened(
    inner: &Arc<TunnelInner>,
    attempt: &Attempt,
    session: Session,
    local: Option<LocalForward>,
) {
    let session = Arc::new(session);
    let closed = session.closed();
    let is_wanted = inner.update(|state, effects, now| {
        let is_wanted = state.on_opened(attempt, Arc::clone(&session), effects, now);
        if let Some(forward) = local {
            state.keep_local(forward);
        }
        is_wanted
    });
    if is_wanted {
        let id = attempt.id;
        inner
            .runtime
            .spawn(watch_session(Arc::clone(inner), id, closed));
    }
}

async fn watch_session(
    inner: Arc<TunnelInner>,
    id: SessionId,
    closed: impl Future<Output = Failure>,
) {
    let failure = closed.await.during("ssh", "session");
    inner.update(|state, effects, now| state.on_session_ended(id, failure, effects, now));
}

async fn close_sessions(sessions: Vec<Arc<Session>>) {
    join_all(sessions.iter().map(|session| session.disconnect())).await;
}

/// Measures a round trip of each session, which keeps it, and opens the local port if it could not be opened.
async fn check(inner: Arc<TunnelInner>) {
    let sessions: Vec<_> = inner.read(|state| state.sessions.values().cloned().collect());
    let limit = inner.config.reconnect.check_interval.get();
    let pings = join_all(sessions.iter().map(|session| session.ping()));
    // One that does not answer is found out by its keep-alives.
    let answered = timeout(limit.unwrap_or(NO_TIMEOUT), pings).await;
    let measured = answered.ok().into_iter().flatten().filter_map(Outcome::ok);
    inner.emit(TunnelEvent::Checked {
        round_trip: measured.max(),
    });
    match inner.open_local().await {
        Ok(None) => {}
        Ok(Some(forward)) => inner.update(|state, _, _| state.keep_local(forward)),
        Err(failure) => inner.emit(TunnelEvent::LocalPortFailed(failure)),
    }
}

/// Does what is due, until the owner drops the tunnel.
async fn supervise(inner: Arc<TunnelInner>) {
    loop {
        inner.update(|state, effects, now| {
            // It is awake.
            state.next_wakeup = Some(now);
            state.run_due(effects, now);
        });
        let due = inner.update(|state, _, _| {
            state.next_wakeup = state.next_due();
            state.next_wakeup
        });
        let sleeping = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = inner.ended.cancelled() => return,
            () = inner.wakeup.notified() => {}
            () = sleeping => {}
        }
    }
}
