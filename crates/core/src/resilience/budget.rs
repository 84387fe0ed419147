//! The retry budget of an upstream: retries add a share to the load, never multiply it.
//!
//! The shape is Finagle's: each call earns a fraction of a retry, and a small reserve per second keeps quiet
//! programs able to retry at all.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use super::window::Window;
use crate::sync::lock;

/// The number of retries that are allowed, relative to the calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudgetConfig {
    /// Retries per call, 0 to 1 (0.2: one retry for five calls).
    pub ratio: f64,
    /// Retries per second that are allowed whatever the number of calls.
    pub reserve_per_second: f64,
    /// The time for which a call counts.
    pub ttl: Duration,
}

/// The counter behind a budget; share it in an `Arc` between everything that talks to one upstream.
#[derive(Debug)]
pub struct RetryBudget {
    config: RetryBudgetConfig,
    /// All calls, and the retries (marked) that were made.
    window: Mutex<Window>,
}

impl RetryBudget {
    /// A budget without calls.
    pub fn new(config: RetryBudgetConfig) -> Self {
        Self {
            config,
            window: Mutex::new(Window::new(config.ttl)),
        }
    }

    /// Notes a call (its first attempt).
    pub fn record_call(&self, now: Instant) {
        self.window().add(now, 1, 0);
    }

    /// Whether one more retry is within the budget; if so it is taken.
    pub fn try_take_retry(&self, now: Instant) -> bool {
        let mut window = self.window();
        let (calls, retries) = window.sums(now);
        let allowed = self.config.ratio * calls as f64
            + self.config.reserve_per_second * self.config.ttl.as_secs_f64();
        let within = (retries + 1) as f64 <= allowed;
        if within {
            window.add(now, 0, 1);
        }
        within
    }

    fn window(&self) -> std::sync::MutexGuard<'_, Window> {
        lock(&self.window)
    }
}
