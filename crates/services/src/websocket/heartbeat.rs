//! Whether the peer is still there: a machine without a clock.

use std::time::{Duration, Instant};

use moorline_core::limit::Limit;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeartbeatAction {
    /// Nothing before then; never, when there are no pings.
    Wait(Option<Instant>),
    /// Send a ping.
    Ping,
    /// Nothing came within the time a ping has: the peer is gone.
    Dead,
}

/// Pings at an interval, and whatever comes is an answer to them.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Limit<Duration>,
    timeout: Duration,
    next: Option<Instant>,
    /// The ping that nothing has come after.
    unanswered: Option<Unanswered>,
}

#[derive(Clone, Copy, Debug)]
struct Unanswered {
    /// Since when the peer has given no sign of life.
    since: Instant,
    /// How often it had taken more of what we wrote by then.
    drained: u64,
}

impl Heartbeat {
    pub(super) fn new(interval: Limit<Duration>, timeout: Duration, now: Instant) -> Self {
        Self {
            interval,
            timeout,
            next: interval.get().map(|interval| now + interval),
            unanswered: None,
        }
    }

    /// Something came, whatever it was.
    pub(super) fn heard(&mut self) {
        self.unanswered = None;
    }

    /// Nobody listens at the moment, so detach proves nothing.
    pub(super) fn deaf(&mut self) {
        self.unanswered = None;
    }

    /// `drained` counts how often the peer took more of a backlog: it cannot answer a ping that lies behind that
    /// sooner than it has read it, and as long as it reads it is alive.
    pub(super) fn beat(&mut self, now: Instant, drained: u64) -> HeartbeatAction {
        if let Some(unanswered) = &mut self.unanswered
            && unanswered.drained != drained
        {
            *unanswered = Unanswered {
                since: now,
                drained,
            };
        }
        let dead = self.unanswered.map(|it| it.since + self.timeout);
        if dead.is_some_and(|dead| now >= dead) {
            return HeartbeatAction::Dead;
        }
        let Some((next, interval)) = self.next.zip(self.interval.get()) else {
            return HeartbeatAction::Wait(None);
        };
        if now >= next {
            self.next = Some(now + interval);
            self.unanswered.get_or_insert(Unanswered {
                since: now,
                drained,
            });
            return HeartbeatAction::Ping;
        }
        HeartbeatAction::Wait(Some(dead.map_or(next, |dead| dead.min(next))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(25);
    const TIMEOUT: Duration = Duration::from_secs(10);

    fn alive(now: Instant) -> Heartbeat {
        Heartbeat::new(Limit::At(INTERVAL), TIMEOUT, now)
    }

    #[test]
    fn a_silent_peer_is_dead_one_timeout_after_the_ping() {
        let start = Instant::now();
        let mut life = alive(start);
        assert_eq!(
            life.beat(start, 0),
            HeartbeatAction::Wait(Some(start + INTERVAL))
        );
        let pinged = start + INTERVAL;
        assert_eq!(life.beat(pinged, 0), HeartbeatAction::Ping);
        assert_eq!(
            life.beat(pinged, 0),
            HeartbeatAction::Wait(Some(pinged + TIMEOUT))
        );
        assert_eq!(life.beat(pinged + TIMEOUT, 0), HeartbeatAction::Dead);
    }

    #[test]
    fn whatever_comes_is_an_answer() {
        let start = Instant::now();
        let mut life = alive(start);
        let mut now = start;
        for _ in 0..5 {
            now += INTERVAL;
            assert_eq!(life.beat(now, 0), HeartbeatAction::Ping);
            life.heard();
            assert_eq!(
                life.beat(now, 0),
                HeartbeatAction::Wait(Some(now + INTERVAL))
            );
        }
    }

    #[test]
    fn a_timeout_longer_than_the_interval_counts_from_the_first_ping_without_answer() {
        let start = Instant::now();
        let mut life = Heartbeat::new(Limit::At(TIMEOUT), INTERVAL, start);
        assert_eq!(life.beat(start + TIMEOUT, 0), HeartbeatAction::Ping);
        assert_eq!(life.beat(start + 2 * TIMEOUT, 0), HeartbeatAction::Ping);
        assert_eq!(
            life.beat(start + TIMEOUT + INTERVAL, 0),
            HeartbeatAction::Dead
        );
    }

    #[test]
    fn a_peer_that_takes_a_backlog_slowly_is_alive_until_it_stops() {
        let start = Instant::now();
        let mut life = alive(start);
        let pinged = start + INTERVAL;
        assert_eq!(life.beat(pinged, 7), HeartbeatAction::Ping);
        let taken = pinged + TIMEOUT;
        assert_eq!(
            life.beat(taken, 8),
            HeartbeatAction::Wait(Some(taken + TIMEOUT))
        );
        assert_eq!(life.beat(taken + TIMEOUT, 8), HeartbeatAction::Dead);
    }

    #[test]
    fn without_pings_nobody_is_declared_dead() {
        let now = Instant::now();
        let mut life = Heartbeat::new(Limit::Off, TIMEOUT, now);
        assert_eq!(
            life.beat(now + 1000 * INTERVAL, 0),
            HeartbeatAction::Wait(None)
        );
    }
}
