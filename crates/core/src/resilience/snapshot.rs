//! The snapshot of a breaker: state, counters, changes.

use std::time::Instant;

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Calls pass.
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls pass, to find out.
    HalfOpen,
}

impl CircuitState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The string users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state before.
    pub from: CircuitState,
    /// The state after.
    pub to: CircuitState,
    /// When.
    pub at: Instant,
}

/// The counters behind the metrics, which never go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls that were counted, as success or failure.
    pub requests: u64,
    /// The successes among them.
    pub successes: u64,
    /// The failures among them.
    pub failures: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Changes of state.
    pub changes: u64,
}

/// The whole state, for those who show it. It says `Open` until a call asks, even past the reset time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The state.
    pub state: CircuitState,
    /// Failures that count towards opening (in ratio mode: within the window); when open, those that opened it.
    pub failures: u64,
    /// Probes that succeeded so far; zero unless half-open.
    pub successes: u32,
    /// The last failure that counted.
    pub last_failure: Option<Instant>,
    /// When an open breaker lets a probe through.
    pub next_attempt: Option<Instant>,
    /// The counters.
    pub totals: Totals,
}
