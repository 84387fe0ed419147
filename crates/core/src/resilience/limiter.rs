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

/// When one who is before in line sleeps on, whoever is behind asks again after this.
const OVERSLEPT: Duration = Duration::from_millis(1);

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

/// Who went within the last window, and who will go, in the order in which they came.
#[derive(Clone, Debug, Default)]
struct Passed {
    turns: VecDeque<Turn>,
    /// The number of the first of them.
    first: u64,
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    /// It is set aside, from that moment on.
    Waiting(Instant),
    /// It was at that moment.
    Used(Instant),
    GivenBack,
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
            None => Place::Window(self.passed.push(if must_wait {
                Turn::Waiting(due)
            } else {
                Turn::Used(now)
            })),
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

    /// Uses a token that was set aside. Who comes late moves those behind, and who gives a turn back lets them come earlier:
    /// whoever asks before their moment is told how much longer to wait.
    pub fn claim(&mut self, reservation: &mut Reservation, now: Instant) -> Result<(), Duration> {
        if let (Rate::Window { max, window }, Place::Window(number)) =
            (self.options.rate, reservation.place)
        {
            reservation.due = self.passed.claim(number, max, window, now);
        }
        if reservation.due > now {
            return Err(reservation.due - now);
        }
        self.waiting = self.waiting.saturating_sub(1);
        Ok(())
    }

    /// Hands a token back that will not be used. Of a bucket only the last in line can be: moving the others forward would
    /// let two go at the same moment.
    pub fn give_back(&mut self, reservation: Reservation) {
        self.waiting = self.waiting.saturating_sub(1);
        match (self.options.rate, reservation.place) {
            (_, Place::Window(number)) => self.passed.give_back(number),
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
    /// When the next one may go. Forgets those that lie a window back.
    fn next(&mut self, max: u32, window: Duration, now: Instant) -> Instant {
        let is_past = |turn: &mut Turn| match *turn {
            Turn::Waiting(_) => false,
            Turn::Used(at) => at + window <= now,
            Turn::GivenBack => true,
        };
        while self.turns.pop_front_if(is_past).is_some() {
            self.first += 1;
        }
        let number = self.first + self.turns.len() as u64;
        self.free(number, max, window, now)
    }

    /// When a turn may be: a window after the one that is `max` places before it, which may be late itself. In place of one
    /// that was given back stands the one before that.
    fn free(&self, number: u64, max: u32, window: Duration, now: Instant) -> Instant {
        let mut before = number;
        while let Some(index) = before
            .checked_sub(u64::from(max))
            .and_then(|number| self.index(number))
        {
            match self.turns[index] {
                Turn::Waiting(at) => return at.max(now) + window,
                Turn::Used(at) => return (at + window).max(now),
                Turn::GivenBack => before -= u64::from(max),
            }
        }
        now
    }

    /// When a turn that comes now may be, which is behind those that came before; when that is now, it is used.
    fn claim(&mut self, number: u64, max: u32, window: Duration, now: Instant) -> Instant {
        let mut at = self.free(number, max, window, now);
        if let Some(index) = self.index(number) {
            let mut before = self.turns.range(..index).rev();
            if let Some(Turn::Waiting(first)) = before.find(|turn| !matches!(turn, Turn::GivenBack))
            {
                at = at.max(*first).max(now + OVERSLEPT);
            }
            self.turns[index] = if at <= now {
                Turn::Used(now)
            } else {
                Turn::Waiting(at)
            };
        }
        at
    }

    fn index(&self, number: u64) -> Option<usize> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (index < self.turns.len()).then_some(index)
    }

    fn push(&mut self, turn: Turn) -> u64 {
        self.turns.push_back(turn);
        self.first + self.turns.len() as u64 - 1
    }

    fn give_back(&mut self, number: u64) {
        match self.index(number) {
            Some(index) if index + 1 == self.turns.len() => {
                self.turns.pop_back();
            }
            Some(index) => self.turns[index] = Turn::GivenBack,
            None => {}
        }
    }
}
