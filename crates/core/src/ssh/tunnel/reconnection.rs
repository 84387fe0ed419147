//! Connecting, and reconnecting after the loss of a tunnel's last session.

use std::{
    mem,
    time::{Duration, Instant},
};

use crate::{
    error::{Failure, Kind},
    limit::Limit,
    resilience::retry::{Backoff, Jitter, RetryPolicy},
};

/// The longest delay between two attempts.
const MAX_DELAY: Duration = Duration::from_secs(30);
/// A tunnel that is lost again sooner than this was not healed: its attempts count on, so that a server that accepts a
/// session and ends it is not asked without a pause.
const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// How often, and how fast, a lost tunnel is connected again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconnectPolicy {
    /// The attempts of an outage after the first, which is made at once.
    pub max_retries: u32,
    /// The delay before the second attempt, which doubles from there; each is spread over zero to itself.
    pub retry_delay: Duration,
    /// The time between two checks of a tunnel.
    pub check_interval: Limit<Duration>,
}

/// Who needs the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The user wants it to be connected.
    Connect,
    /// A channel is to be opened.
    Channel,
}

/// What is to be done about a need.
#[derive(Clone, Debug, PartialEq)]
pub enum NeedDecision {
    /// Nothing: the tunnel is up.
    Ready,
    /// Begin an attempt; the need waits for it.
    Begin,
    /// Wait for the attempt that is under way or due.
    Wait,
    /// Fail.
    Refuse(Failure),
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptFailed {
    /// The next attempt is due after this delay.
    Retry(Duration),
    /// There is none: it was not an attempt of an outage, or its refusal was told of before. Who waits fails.
    Fail,
    /// All attempts of the outage were made, so many of them. Who waits fails.
    Exhausted(u32),
    /// A repeat cannot help: the host or the user was refused. Who waits fails.
    Refused,
}

/// What follows the loss of the last session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Begin an attempt.
    Begin,
    /// The next attempt is due after this delay.
    Retry(Duration),
    /// The tunnel was lost again and again; so many attempts were made.
    Exhausted(u32),
    /// Nothing: it was not up.
    Ignore,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Begin an attempt.
    Attempt,
    /// Measure a round trip.
    Check,
}

/// The end of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The attempts that it took.
    pub attempts: u32,
    /// How long the tunnel was down.
    pub after: Duration,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    /// Not connected, and nothing is done about it.
    Idle,
    /// An attempt is under way.
    Connecting,
    /// An attempt is due then.
    Waiting(Instant),
    /// A session is open.
    Up { since: Instant },
    /// All attempts of the outage were made.
    Exhausted,
    /// The host or the user was refused.
    Refused(Failure),
    /// The user has disconnected it.
    Closed,
}

/// The state of a tunnel.
#[derive(Clone, Debug)]
pub struct Reconnection {
    policy: ReconnectPolicy,
    state: State,
    /// When the tunnel was lost, until it is up again.
    lost_at: Option<Instant>,
    /// The attempts of the outage that were begun.
    attempts: u32,
    /// Whether a refusal was told of, with nothing else since then.
    is_refusal_told: bool,
    check_at: Option<Instant>,
}

impl Reconnection {
    /// A tunnel that is not connected.
    pub const fn new(policy: ReconnectPolicy) -> Self {
        Self {
            policy,
            state: State::Idle,
            lost_at: None,
            attempts: 0,
            is_refusal_told: false,
            check_at: None,
        }
    }

    /// Whether a session is open, as far as is known here.
    pub const fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Whether an attempt is under way.
    pub const fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting)
    }

    /// The number of the attempt that is under way or due; 0 outside of outages.
    pub const fn attempt(&self) -> u32 {
        match self.lost_at {
            Some(_) => self.attempts,
            None => 0,
        }
    }

    /// Somebody needs the tunnel.
    pub fn on_need(&mut self, need: Need) -> NeedDecision {
        match &self.state {
            State::Up { .. } => return NeedDecision::Ready,
            State::Connecting | State::Waiting(_) => return NeedDecision::Wait,
            // Of the same credentials once more nothing comes but a ban; only the user knows that something has changed.
            State::Refused(failure) if need == Need::Channel => {
                return NeedDecision::Refuse(failure.clone());
            }
            State::Closed if need == Need::Channel => {
                return NeedDecision::Refuse(closed_failure());
            }
            State::Idle | State::Exhausted | State::Refused(_) | State::Closed => {}
        }
        self.attempts = 0;
        self.begin();
        NeedDecision::Begin
    }

    /// The attempt has led to a session. Says what was healed by it, where something was.
    pub fn on_connected(&mut self, now: Instant) -> Option<Recovery> {
        self.state = State::Up { since: now };
        self.is_refusal_told = false;
        self.check_at = self.next_check(now);
        let Some(lost_at) = self.lost_at.take() else {
            self.attempts = 0;
            return None;
        };
        Some(Recovery {
            attempts: self.attempts,
            after: now.saturating_duration_since(lost_at),
        })
    }

    /// The attempt has failed.
    pub fn on_attempt_failed(
        &mut self,
        failure: &Failure,
        now: Instant,
        rng: &mut fastrand::Rng,
    ) -> AttemptFailed {
        if !self.is_connecting() {
            return AttemptFailed::Fail;
        }
        if is_refusal(failure) {
            self.state = State::Refused(failure.clone());
            self.check_at = None;
            // Once: a listener that connects again whenever it is told of a failure would go round for ever.
            return if mem::replace(&mut self.is_refusal_told, true) {
                AttemptFailed::Fail
            } else {
                AttemptFailed::Refused
            };
        }
        self.is_refusal_told = false;
        if self.lost_at.is_none() {
            self.state = State::Idle;
            return AttemptFailed::Fail;
        }
        match self.retry(now, rng) {
            Some(delay) => AttemptFailed::Retry(delay),
            None => AttemptFailed::Exhausted(self.attempts),
        }
    }

    /// The last session was lost.
    pub fn on_lost(&mut self, now: Instant, rng: &mut fastrand::Rng) -> Lost {
        let State::Up { since } = self.state else {
            return Lost::Ignore;
        };
        self.lost_at = Some(now);
        let is_settled = now.saturating_duration_since(since) >= SETTLED_AFTER;
        if is_settled || self.attempts == 0 {
            self.attempts = 0;
            self.begin();
            return Lost::Begin;
        }
        match self.retry(now, rng) {
            Some(delay) => Lost::Retry(delay),
            None => Lost::Exhausted(self.attempts),
        }
    }

    /// The user has disconnected the tunnel; `false` when that was so already, or it was never connected.
    pub fn on_disconnect(&mut self) -> bool {
        let was_in_use = !matches!(self.state, State::Idle | State::Closed);
        *self = Self {
            state: State::Closed,
            ..Self::new(self.policy)
        };
        was_in_use
    }

    /// Takes what is due, until nothing is.
    pub fn take_due(&mut self, now: Instant) -> Option<Due> {
        if matches!(self.state, State::Waiting(at) if at <= now) {
            self.begin();
            return Some(Due::Attempt);
        }
        if self.check_at.is_none_or(|at| at > now) {
            return None;
        }
        self.check_at = self.next_check(now);
        match self.state {
            State::Up { .. } => Some(Due::Check),
            State::Exhausted => {
                self.attempts = 0;
                self.begin();
                Some(Due::Attempt)
            }
            _ => None,
        }
    }

    /// When [`Self::take_due`] has something.
    pub fn next_due(&self) -> Option<Instant> {
        let retry_at = match self.state {
            State::Waiting(at) => Some(at),
            _ => None,
        };
        retry_at.into_iter().chain(self.check_at).min()
    }

    fn begin(&mut self) {
        self.state = State::Connecting;
        self.attempts += 1;
    }

    /// The delay until the next attempt; `None` when all were made.
    fn retry(&mut self, now: Instant, rng: &mut fastrand::Rng) -> Option<Duration> {
        if self.attempts > self.policy.max_retries {
            self.state = State::Exhausted;
            return None;
        }
        let delay = delay(self.policy.retry_delay, self.attempts, rng);
        self.state = State::Waiting(now + delay);
        Some(delay)
    }

    fn next_check(&self, now: Instant) -> Option<Instant> {
        Some(now + self.policy.check_interval.get()?)
    }
}

/// The delay before a retry (from 1), with full jitter.
pub(super) fn delay(base: Duration, retry: u32, rng: &mut fastrand::Rng) -> Duration {
    let policy = RetryPolicy {
        max_retries: u32::MAX,
        base_delay: base,
        max_delay: MAX_DELAY.max(base),
        backoff: Backoff::Exponential { factor: 2.0 },
        jitter: Jitter::Full,
        max_retry_after: Duration::ZERO,
        cut_retry_after: true,
    };
    policy.delay(retry, rng)
}

/// Whether an attempt failed for what no repeat of it changes: the host's key, the user's credentials, a file that is
/// missing.
fn is_refusal(failure: &Failure) -> bool {
    failure.kind == Kind::Auth
}

/// The failure of who needs a tunnel that the user has disconnected.
fn closed_failure() -> Failure {
    Failure::new(
        Kind::Closed,
        "the SSH tunnel is disconnected; connect() connects it",
    )
    .with_attempts(0)
}
