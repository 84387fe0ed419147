//! A rate limit: a token bucket, kept as one moment in time (the generic cell rate algorithm).
//!
//! Who has to wait gets a place in line at once, so waiting is first come, first served, and no token can be
//! taken twice.

use std::time::{Duration, Instant};

/// A rate and how it may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimiterOptions {
    /// The time one token takes to come back.
    pub interval: Duration,
    /// How many may go at once after a pause; at least 1.
    pub burst: u32,
    /// How many may wait.
    pub max_queue: u32,
    /// How long one may wait.
    pub max_wait: Duration,
}

impl LimiterOptions {
    /// The interval of `count` tokens in each `window`. Rounded up, so that the rate is never exceeded.
    pub fn interval_of(count: f64, window: Duration) -> Duration {
        let nanos = (window.as_secs_f64() * 1e9 / count).ceil();
        Duration::from_nanos(nanos.max(1.0) as u64)
    }
}

/// The answer to a request for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Go now.
    Go,
    /// A token is set aside for you at this moment: go then, or hand the [`Reservation`] back.
    At(Reservation),
    /// Too many are waiting, or it would take too long; a token is free at the earliest after this.
    Refused(Duration),
}

/// A token set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// When it may be used.
    pub due: Instant,
    /// The bucket's state right after, by which it is recognised as the last in line.
    empty_until: Instant,
}

/// The bucket.
#[derive(Clone, Debug)]
pub struct Limiter {
    options: LimiterOptions,
    /// When the bucket will be full again.
    full_at: Option<Instant>,
}

impl Limiter {
    /// A full bucket.
    pub const fn new(options: LimiterOptions) -> Self {
        Self {
            options,
            full_at: None,
        }
    }

    /// Its options.
    pub const fn options(&self) -> &LimiterOptions {
        &self.options
    }

    /// Takes a token, or sets one aside.
    pub fn acquire(&mut self, now: Instant) -> Token {
        let LimiterOptions {
            interval,
            burst,
            max_queue,
            max_wait,
        } = self.options;
        let full_at = self.full_at.map_or(now, |at| at.max(now));
        let backlog = full_at - now;
        let wait = backlog.saturating_sub(interval.saturating_mul(burst.saturating_sub(1)));
        // Tokens are owed one interval apart: a longer wait than the queue has intervals means a full queue.
        if wait > max_wait || wait > interval.saturating_mul(max_queue) {
            return Token::Refused(wait);
        }
        let after = full_at + interval;
        self.full_at = Some(after);
        if wait.is_zero() {
            return Token::Go;
        }
        Token::At(Reservation {
            due: now + wait,
            empty_until: after,
        })
    }

    /// Hands a token back that will not be used. Only the last in line can be: moving the others forward would
    /// let two go at the same moment.
    pub fn give_back(&mut self, reservation: Reservation) {
        if self.full_at == Some(reservation.empty_until) {
            self.full_at = reservation.empty_until.checked_sub(self.options.interval);
        }
    }
}
