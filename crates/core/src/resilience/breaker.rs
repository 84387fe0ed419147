//! The circuit breaker: refuses calls to a failing service, and probes its recovery.
//!
//! Each change of state begins a new generation. A permit remembers its generation, so a call that comes back late
//! cannot close, re-open or keep open a breaker that has moved on since.

use std::time::{Duration, Instant};

pub use super::snapshot::{Change, CircuitState, Snapshot, Totals};
use super::{outcome::AttemptOutcome, window::Window};

/// When a closed breaker opens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trip {
    /// After this many failures without a success between them.
    Consecutive {
        /// At least 1.
        failures: u32,
    },
    /// When this share of the calls within a window failed.
    Ratio {
        /// 0 to 1.
        ratio: f64,
        /// The fewest calls within the window that can open it.
        min_calls: u32,
        /// The time for which a call counts.
        window: Duration,
    },
}

/// The options of a breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerConfig {
    /// When it opens.
    pub trip: Trip,
    /// The time it stays open before it admits probes.
    pub reset_timeout: Duration,
    /// Each failed probe doubles the open time up to this; equal to `reset_timeout`, it stays the same.
    pub max_reset_timeout: Duration,
    /// The number of successful probes that close it; at least 1.
    pub success_threshold: u32,
    /// The number of probes that may run at once; at least 1.
    pub half_open_max_calls: u32,
    /// A probe that takes longer counts as failed, so a lost one cannot keep the breaker half-open.
    pub probe_timeout: Duration,
}

/// The permission to make one call. Return it with [`Breaker::record`] or [`Breaker::release`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a permit that is not handed back blocks a probe until its timeout"]
pub struct Permit {
    generation: u64,
    probe: Option<u64>,
}

/// The refusal by an open breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitOpen {
    /// The time at which it may admit a call again; unknown for one that was opened to stay open.
    pub retry_at: Option<Instant>,
}

/// Changes kept for a caller that does not collect them.
const MAX_CHANGES: usize = 16;

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    generation: u64,
    failures: u64,
    /// Only in ratio mode.
    window: Option<Box<Window>>,
    /// The open time, grown by failed probes.
    open_for: Duration,
    /// The probes that are out, oldest first. They outlive the generation that sent them, so that re-opening
    /// does not let more run at once than are allowed.
    probes: Vec<Probe>,
    next_probe: u64,
    last_failure: Option<Instant>,
    totals: Totals,
    changes: Vec<Change>,
}

#[derive(Debug)]
enum State {
    Closed,
    /// `None`: opened to stay open.
    Open(Option<Instant>),
    /// With the probes that succeeded.
    HalfOpen(u32),
}

#[derive(Debug)]
struct Probe {
    id: u64,
    generation: u64,
    started: Instant,
}

impl State {
    const fn name(&self) -> CircuitState {
        match self {
            Self::Closed => CircuitState::Closed,
            Self::Open(_) => CircuitState::Open,
            Self::HalfOpen(_) => CircuitState::HalfOpen,
        }
    }
}

impl Breaker {
    /// A closed breaker.
    pub fn new(config: BreakerConfig) -> Self {
        let window = match config.trip {
            Trip::Consecutive { .. } => None,
            Trip::Ratio { window, .. } => Some(Box::new(Window::new(window))),
        };
        Self {
            config,
            state: State::Closed,
            generation: 0,
            failures: 0,
            window,
            open_for: config.reset_timeout,
            probes: Vec::new(),
            next_probe: 0,
            last_failure: None,
            totals: Totals::default(),
            changes: Vec::new(),
        }
    }

    /// Its options.
    pub const fn config(&self) -> &BreakerConfig {
        &self.config
    }

    /// The state, as of the last call that asked.
    pub const fn state(&self) -> CircuitState {
        self.state.name()
    }

    /// Asks for the permission to make a call.
    pub fn admit(&mut self, now: Instant) -> Result<Permit, CircuitOpen> {
        let generation = self.generation;
        if matches!(self.state, State::Closed) {
            let probe = None;
            return Ok(Permit { generation, probe });
        }
        self.expire_probes(now);
        self.check(now)?;
        if matches!(self.state, State::Open(_)) {
            self.half_open(now);
        }
        self.next_probe += 1;
        let (id, generation) = (self.next_probe, self.generation);
        self.probes.push(Probe {
            id,
            generation,
            started: now,
        });
        Ok(Permit {
            generation,
            probe: Some(id),
        })
    }

    /// Refuses a call that would be refused at `now`, before it waits elsewhere; [`Self::admit`] comes after.
    pub fn check(&mut self, now: Instant) -> Result<(), CircuitOpen> {
        let refused = self.refusal(now);
        self.totals.refused += u64::from(refused.is_some());
        refused.map_or(Ok(()), Err)
    }

    /// Whether a call would be refused at `now`; asking counts nothing.
    pub fn refusal(&self, now: Instant) -> Option<CircuitOpen> {
        match self.state {
            State::Closed => None,
            State::Open(until) if until.is_none_or(|until| now < until) => {
                Some(CircuitOpen { retry_at: until })
            }
            State::Open(_) | State::HalfOpen(_) => {
                let full = self.probes.len() >= self.config.half_open_max_calls as usize;
                let frees_at = self.probes.first()?.started + self.config.probe_timeout;
                (full && now < frees_at).then_some(CircuitOpen {
                    retry_at: Some(frees_at),
                })
            }
        }
    }

    /// Returns a permit with the outcome of its call.
    pub fn record(&mut self, permit: Permit, outcome: AttemptOutcome, now: Instant) {
        let weight = match outcome {
            AttemptOutcome::Failure(failure) if failure.weight == 0 => return self.release(permit),
            AttemptOutcome::Failure(failure) => failure.weight,
            AttemptOutcome::Success => 0,
        };
        self.totals.requests += 1;
        *if weight == 0 {
            &mut self.totals.successes
        } else {
            &mut self.totals.failures
        } += 1;
        let generation = permit.generation;
        self.release(permit);
        if generation != self.generation {
            return;
        }
        if weight > 0 {
            self.last_failure = Some(now);
        }
        match &mut self.state {
            State::Closed => self.count(weight, now),
            State::HalfOpen(_) if weight > 0 => {
                self.failures += u64::from(weight);
                self.open_longer(now);
            }
            State::HalfOpen(successes) => {
                *successes += 1;
                if *successes >= self.config.success_threshold {
                    self.close(now);
                }
            }
            State::Open(_) => {}
        }
    }

    /// Returns a permit without an outcome: the call never ran, or was cancelled.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a permit is handed back once"
    )]
    pub fn release(&mut self, permit: Permit) {
        if permit.probe.is_some() {
            self.probes.retain(|probe| Some(probe.id) != permit.probe);
        }
    }

    /// Opens it as if it had tripped: after the reset time it lets probes through.
    pub fn open(&mut self, now: Instant) {
        self.transition(State::Open(Some(now + self.open_for)), now);
    }

    /// Opens it until it is closed by a call of [`Self::close`].
    pub fn isolate(&mut self, now: Instant) {
        self.transition(State::Open(None), now);
    }

    /// Admits probes from now on.
    pub fn half_open(&mut self, now: Instant) {
        self.transition(State::HalfOpen(0), now);
    }

    /// Closes it and forgets the failures.
    pub fn close(&mut self, now: Instant) {
        self.failures = 0;
        self.open_for = self.config.reset_timeout;
        if let Some(window) = &mut self.window {
            window.clear();
        }
        self.transition(State::Closed, now);
    }

    /// Closes it and forgets also when it last failed.
    pub fn reset(&mut self, now: Instant) {
        self.close(now);
        self.last_failure = None;
    }

    /// The changes of state since they were last taken, oldest first.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Whether there are changes to take.
    pub const fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The whole state.
    pub const fn snapshot(&self) -> Snapshot {
        let (next_attempt, successes) = match &self.state {
            State::Closed => (None, 0),
            State::Open(until) => (*until, 0),
            State::HalfOpen(successes) => (None, *successes),
        };
        Snapshot {
            state: self.state(),
            failures: self.failures,
            successes,
            last_failure: self.last_failure,
            next_attempt,
            totals: self.totals,
        }
    }

    /// One more counted call while closed.
    fn count(&mut self, weight: u32, now: Instant) {
        let tripped = match (self.config.trip, &mut self.window) {
            (
                Trip::Ratio {
                    ratio, min_calls, ..
                },
                Some(window),
            ) => {
                // A failure that weighs three is three failed calls.
                window.add(now, u64::from(weight.max(1)), u64::from(weight));
                let (calls, failed) = window.sums(now);
                self.failures = failed;
                weight > 0 && calls >= u64::from(min_calls) && failed as f64 >= ratio * calls as f64
            }
            (Trip::Consecutive { failures }, _) if weight > 0 => {
                self.failures += u64::from(weight);
                self.failures >= u64::from(failures)
            }
            _ => {
                self.failures = 0;
                false
            }
        };
        if tripped {
            self.open(now);
        }
    }

    /// Re-opens after a failed probe, for longer where that is asked for.
    fn open_longer(&mut self, now: Instant) {
        self.open_for = self
            .open_for
            .saturating_mul(2)
            .min(self.config.max_reset_timeout)
            .max(self.config.reset_timeout);
        self.open(now);
    }

    /// A probe that has not come back in time has failed at that moment, whenever it is noticed.
    fn expire_probes(&mut self, now: Instant) {
        while let Some(oldest) = self.probes.first() {
            let expired = oldest.started + self.config.probe_timeout;
            if now < expired {
                return;
            }
            let current = oldest.generation == self.generation;
            self.probes.remove(0);
            if current {
                self.last_failure = Some(expired);
                self.open_longer(expired);
            }
        }
    }

    fn transition(&mut self, to: State, now: Instant) {
        let from = self.state();
        self.state = to;
        self.generation += 1;
        let to = self.state();
        if from == to {
            return;
        }
        self.totals.changes += 1;
        if self.changes.len() == MAX_CHANGES {
            self.changes.remove(0);
        }
        self.changes.push(Change { from, to, at: now });
    }
}
