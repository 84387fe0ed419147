//! A rate limit: at most so many in any window, or a token bucket.
//!
//! Who has to wait gets a place in line at once, so waiting is first come, first served, and no token can be
//! taken twice.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How fast one may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// At most `max` in any stretch of time of that length, however they come.
    Window {
        /// How many; at least 1.
        max: u32,
        /// The length of the stretch.
        window: Duration,
    },
    /// A token bucket: `burst` at once after a pause, then one in each `interval`.
    Bucket {
        /// The time one token takes to come back.
        interval: Duration,
        /// How many tokens it holds; at least 1.
        burst: u32,
    },
}

impl Rate {
    /// At most `count` in any `window`. A fraction cannot be kept with a burst: then they go evenly spaced.
    pub fn window(count: f64, window: Duration) -> Self {
        if count >= 1.0 && count.fract() == 0.0 {
            let max = count as u32;
            return Self::Window { max, window };
        }
        Self::Window {
            max: 1,
            window: Self::interval_of(count, window),
        }
    }

    /// The interval of `count` tokens in each `window`. Rounded up, so that the rate is never exceeded.
    pub fn interval_of(count: f64, window: Duration) -> Duration {
        let nanos = (window.as_secs_f64() * 1e9 / count).ceil();
        Duration::from_nanos(nanos.max(1.0) as u64)
    }
}

/// A rate, and who may wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimiterOptions {
    /// The rate.
    pub rate: Rate,
    /// How many may wait.
    pub max_queue: u32,
    /// How long one may wait.
    pub max_wait: Duration,
}

/// The answer to a request for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Go now.
    Go,
    /// A token is set aside for you at this moment: ask for it then, or hand the [`Reservation`] back.
    At(Reservation),
    /// Too many are waiting, or it would take too long; a token is free at the earliest after this.
    Refused(Duration),
}

/// A token set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// When it may be used.
    pub due: Instant,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The number of its entry in the window.
    Window(u64),
    /// The bucket's state right after, by which it is recognised as the last in line.
    Bucket(Instant),
}

/// The limiter.
#[derive(Clone, Debug)]
pub struct Limiter {
    options: LimiterOptions,
    /// How many have a token set aside that they have not used.
    waiting: u32,
    /// Of a bucket: when it will be full again.
    full_at: Option<Instant>,
    passed: Passed,
}

/// Who went, or will go, within the last window: a moment each, in their order.
#[derive(Clone, Debug, Default)]
struct Passed {
    moments: VecDeque<Instant>,
    /// The number of the first of them.
    first: u64,
}

impl Limiter {
    /// A limiter under which nobody has gone yet.
    pub fn new(options: LimiterOptions) -> Self {
        Self {
            options,
            waiting: 0,
            full_at: None,
            passed: Passed::default(),
        }
    }

    /// Its options.
    pub const fn options(&self) -> &LimiterOptions {
        &self.options
    }

    /// Takes a token, or sets one aside.
    pub fn acquire(&mut self, now: Instant) -> Token {
        let (due, after) = match self.options.rate {
            Rate::Window { max, window } => (self.passed.next(max, window, now), None),
            Rate::Bucket { interval, burst } => {
                let full_at = self.full_at.map_or(now, |at| at.max(now));
                let reserve = interval.saturating_mul(burst.saturating_sub(1));
                let wait = (full_at - now).saturating_sub(reserve);
                (now + wait, Some(full_at + interval))
            }
        };
        let wait = due - now;
        let must_wait = !wait.is_zero();
        if must_wait && (wait > self.options.max_wait || self.waiting >= self.options.max_queue) {
            return Token::Refused(wait);
        }
        let place = match after {
            None => Place::Window(self.passed.push(due)),
            Some(after) => {
                self.full_at = Some(after);
                Place::Bucket(after)
            }
        };
        if !must_wait {
            return Token::Go;
        }
        self.waiting += 1;
        Token::At(Reservation { due, place })
    }

    /// Uses a token that was set aside, at its moment or later. Who comes late moves those behind: then they are told how
    /// much longer to wait.
    pub fn claim(&mut self, reservation: &mut Reservation, now: Instant) -> Result<(), Duration> {
        if let (Rate::Window { max, window }, Place::Window(number)) =
            (self.options.rate, reservation.place)
        {
            let (number, free) = self.passed.claim(number, max, window, now);
            if free > now {
                *reservation = Reservation {
                    due: free,
                    place: Place::Window(number),
                };
                return Err(free - now);
            }
        }
        self.waiting = self.waiting.saturating_sub(1);
        Ok(())
    }

    /// Hands a token back that will not be used. Only the last in line can be: moving the others forward would
    /// let two go at the same moment.
    pub fn give_back(&mut self, reservation: Reservation) {
        self.waiting = self.waiting.saturating_sub(1);
        match (self.options.rate, reservation.place) {
            (_, Place::Window(number)) => self.passed.take_last(number),
            (Rate::Bucket { interval, .. }, Place::Bucket(after))
                if self.full_at == Some(after) =>
            {
                self.full_at = after.checked_sub(interval);
            }
            _ => {}
        }
    }
}

impl Passed {
    /// Forgets those that lie a window back. They hold nobody up.
    fn forget(&mut self, window: Duration, now: Instant) {
        while self.moments.front().is_some_and(|at| *at + window <= now) {
            self.moments.pop_front();
            self.first += 1;
        }
    }

    /// When the next one may go.
    fn next(&mut self, max: u32, window: Duration, now: Instant) -> Instant {
        self.forget(window, now);
        let number = self.first + self.moments.len() as u64;
        self.free(number, max, window, now)
    }

    /// When an entry may go: a window after the one that is `max` places before it.
    fn free(&self, number: u64, max: u32, window: Duration, now: Instant) -> Instant {
        let before = number.checked_sub(u64::from(max));
        before
            .and_then(|number| self.index(number))
            .map_or(now, |index| (self.moments[index] + window).max(now))
    }

    /// The number of an entry that would go now, and when it may; when that is now, it has gone.
    fn claim(&mut self, number: u64, max: u32, window: Duration, now: Instant) -> (u64, Instant) {
        self.forget(window, now);
        let Some(index) = self.index(number) else {
            // It slept for longer than a window, and others have gone in its place: it is one that comes only now.
            let free = self.next(max, window, now);
            return (self.push(free), free);
        };
        let free = self.free(number, max, window, now);
        self.moments[index] = free;
        // They stay in their order, or one that was due before and sleeps on would hide behind this one.
        for later in self.moments.iter_mut().skip(index + 1) {
            if *later >= free {
                break;
            }
            *later = free;
        }
        (number, free)
    }

    fn index(&self, number: u64) -> Option<usize> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (index < self.moments.len()).then_some(index)
    }

    fn push(&mut self, at: Instant) -> u64 {
        self.moments.push_back(at);
        self.first + self.moments.len() as u64 - 1
    }

    fn take_last(&mut self, number: u64) {
        if self
            .index(number)
            .is_some_and(|index| index + 1 == self.moments.len())
        {
            self.moments.pop_back();
        }
    }
}
