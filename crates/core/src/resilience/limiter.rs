//! The rate limiter: a sliding window, or a token bucket.
//!
//! A call that has to wait gets its place in line at once, so waiting is first come, first served, and no token can be
//! taken twice.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The rate that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// At most `max` in any stretch of time of that length, however they come.
    Window {
        /// The number of calls in a window; at least 1.
        max: u32,
        /// The length of the stretch.
        window: Duration,
    },
    /// A token bucket: `burst` at once after a pause, then one in each `interval`.
    Bucket {
        /// The time one token takes to come back.
        interval: Duration,
        /// The number of tokens it holds; at least 1.
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

/// The pause before a call asks again when one before it in line is late.
const LATE_CLAIM_RETRY: Duration = Duration::from_millis(1);

/// A rate, and who may wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimiterConfig {
    /// The rate.
    pub rate: Rate,
    /// The number of calls that may wait.
    pub max_queue: u32,
    /// The longest wait of a call.
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
    position: Position,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// The number of its entry in the window.
    Window(u64),
    /// The bucket's state right after, by which it is recognised as the last in line.
    Bucket(Instant),
}

/// The limiter.
#[derive(Clone, Debug)]
pub struct Limiter {
    config: LimiterConfig,
    /// The number of calls with a reserved token that is not used yet.
    waiting: u32,
    /// Of a bucket: when it will be full again.
    full_at: Option<Instant>,
    log: WindowLog,
}

/// The calls of the last window and those to come, in the order of their arrival.
#[derive(Clone, Debug, Default)]
struct WindowLog {
    entries: VecDeque<LogEntry>,
    /// The number of the first of them.
    first: u64,
}

#[derive(Clone, Copy, Debug)]
enum LogEntry {
    /// A token set aside, from that moment on.
    Waiting(Instant),
    /// A token used at that moment.
    Used(Instant),
    GivenBack,
}

impl Limiter {
    /// A limiter without a call so far.
    pub fn new(config: LimiterConfig) -> Self {
        Self {
            config,
            waiting: 0,
            full_at: None,
            log: WindowLog::default(),
        }
    }

    /// Its options.
    pub const fn config(&self) -> &LimiterConfig {
        &self.config
    }

    /// Takes a token, or sets one aside.
    pub fn acquire(&mut self, now: Instant) -> Token {
        let (due, after) = match self.config.rate {
            Rate::Window { max, window } => (self.log.next(max, window, now), None),
            Rate::Bucket { interval, burst } => {
                let full_at = self.full_at.map_or(now, |at| at.max(now));
                let reserve = interval.saturating_mul(burst.saturating_sub(1));
                let wait = (full_at - now).saturating_sub(reserve);
                (now + wait, Some(full_at + interval))
            }
        };
        let wait = due - now;
        let must_wait = !wait.is_zero();
        if must_wait && (wait > self.config.max_wait || self.waiting >= self.config.max_queue) {
            return Token::Refused(wait);
        }
        let position = match after {
            None => Position::Window(self.log.push(if must_wait {
                LogEntry::Waiting(due)
            } else {
                LogEntry::Used(now)
            })),
            Some(after) => {
                self.full_at = Some(after);
                Position::Bucket(after)
            }
        };
        if !must_wait {
            return Token::Go;
        }
        self.waiting += 1;
        Token::At(Reservation { due, position })
    }

    /// Uses a token that was set aside. Who comes late moves those behind, and who gives a turn back lets them come
    /// earlier: a claim before its moment is answered with the time that is left.
    pub fn claim(&mut self, reservation: &mut Reservation, now: Instant) -> Result<(), Duration> {
        if let (Rate::Window { max, window }, Position::Window(number)) =
            (self.config.rate, reservation.position)
        {
            reservation.due = self.log.claim(number, max, window, now);
        }
        if reservation.due > now {
            return Err(reservation.due - now);
        }
        self.waiting = self.waiting.saturating_sub(1);
        Ok(())
    }

    /// Hands a token back that will not be used. Of a bucket only the last in line can be: moving the others forward
    /// would let two go at the same moment.
    pub fn give_back(&mut self, reservation: Reservation) {
        self.waiting = self.waiting.saturating_sub(1);
        match (self.config.rate, reservation.position) {
            (_, Position::Window(number)) => self.log.give_back(number),
            (Rate::Bucket { interval, .. }, Position::Bucket(after))
                if self.full_at == Some(after) =>
            {
                self.full_at = after.checked_sub(interval);
            }
            _ => {}
        }
    }
}

impl WindowLog {
    /// When the next one may go. Forgets those that lie a window back.
    fn next(&mut self, max: u32, window: Duration, now: Instant) -> Instant {
        let is_past = |entry: &mut LogEntry| match *entry {
            LogEntry::Waiting(_) => false,
            LogEntry::Used(at) => at + window <= now,
            LogEntry::GivenBack => true,
        };
        while self.entries.pop_front_if(is_past).is_some() {
            self.first += 1;
        }
        let number = self.first + self.entries.len() as u64;
        self.free(number, max, window, now)
    }

    /// When a turn may be: a window after the one that is `max` places before it, which may be late itself. In place of
    /// one that was given back stands the one before that.
    fn free(&self, number: u64, max: u32, window: Duration, now: Instant) -> Instant {
        let mut before = number;
        while let Some(index) = before
            .checked_sub(u64::from(max))
            .and_then(|number| self.index(number))
        {
            match self.entries[index] {
                LogEntry::Waiting(at) => return at.max(now) + window,
                LogEntry::Used(at) => return (at + window).max(now),
                LogEntry::GivenBack => before -= u64::from(max),
            }
        }
        now
    }

    /// When a turn that comes now may be, which is behind those that came before; when that is now, it is used.
    fn claim(&mut self, number: u64, max: u32, window: Duration, now: Instant) -> Instant {
        let mut at = self.free(number, max, window, now);
        if let Some(index) = self.index(number) {
            let mut before = self.entries.range(..index).rev();
            if let Some(LogEntry::Waiting(first)) =
                before.find(|entry| !matches!(entry, LogEntry::GivenBack))
            {
                at = at.max(*first).max(now + LATE_CLAIM_RETRY);
            }
            self.entries[index] = if at <= now {
                LogEntry::Used(now)
            } else {
                LogEntry::Waiting(at)
            };
        }
        at
    }

    fn index(&self, number: u64) -> Option<usize> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (index < self.entries.len()).then_some(index)
    }

    fn push(&mut self, entry: LogEntry) -> u64 {
        self.entries.push_back(entry);
        self.first + self.entries.len() as u64 - 1
    }

    fn give_back(&mut self, number: u64) {
        match self.index(number) {
            Some(index) if index + 1 == self.entries.len() => {
                self.entries.pop_back();
            }
            Some(index) => self.entries[index] = LogEntry::GivenBack,
            None => {}
        }
    }
}
