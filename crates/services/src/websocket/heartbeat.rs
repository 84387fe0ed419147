//! The heartbeat: detects a dead peer by pings; a state machine without a clock.

use std::time::{Duration, Instant};

use moorline_core::limit::Limit;

/// The action that is due.
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
    pending_ping: Option<PendingPing>,
}

#[derive(Clone, Copy, Debug)]
struct PendingPing {
    /// Since when the peer has given no sign of life.
    since: Instant,
    /// The count of the peer's reads at that time.
    peer_read_count: u64,
}

impl Heartbeat {
    pub(super) fn new(interval: Limit<Duration>, timeout: Duration, now: Instant) -> Self {
        Self {
            interval,
            timeout,
            next: interval.get().map(|interval| now + interval),
            pending_ping: None,
        }
    }

    /// Something came, whatever it was.
    pub(super) fn on_activity(&mut self) {
        self.pending_ping = None;
    }

    /// Reading is paused, so that silence proves nothing.
    pub(super) fn on_paused(&mut self) {
        self.pending_ping = None;
    }

    /// `peer_read_count` is how often the peer took more of a backlog: it cannot answer a ping that lies behind that
    /// sooner than it has read it, and as long as it reads it is alive.
    pub(super) fn poll(&mut self, now: Instant, peer_read_count: u64) -> HeartbeatAction {
        if let Some(pending_ping) = &mut self.pending_ping
            && pending_ping.peer_read_count != peer_read_count
        {
            *pending_ping = PendingPing {
                since: now,
                peer_read_count,
            };
        }
        let dead = self.pending_ping.map(|it| it.since + self.timeout);
        if dead.is_some_and(|dead| now >= dead) {
            return HeartbeatAction::Dead;
        }
        let Some((next, interval)) = self.next.zip(self.interval.get()) else {
            return HeartbeatAction::Wait(None);
        };
        if now >= next {
            self.next = Some(now + interval);
            self.pending_ping.get_or_insert(PendingPing {
                since: now,
                peer_read_count,
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
        let mut heartbeat = alive(start);
        assert_eq!(
            heartbeat.poll(start, 0),
            HeartbeatAction::Wait(Some(start + INTERVAL))
        );
        let pinged = start + INTERVAL;
        assert_eq!(heartbeat.poll(pinged, 0), HeartbeatAction::Ping);
        assert_eq!(
            heartbeat.poll(pinged, 0),
            HeartbeatAction::Wait(Some(pinged + TIMEOUT))
        );
        assert_eq!(heartbeat.poll(pinged + TIMEOUT, 0), HeartbeatAction::Dead);
    }

    #[test]
    fn whatever_comes_is_an_answer() {
        let start = Instant::now();
        let mut heartbeat = alive(start);
        let mut now = start;
        for _ in 0..5 {
            now += INTERVAL;
            assert_eq!(heartbeat.poll(now, 0), HeartbeatAction::Ping);
            heartbeat.on_activity();
            assert_eq!(
                heartbeat.poll(now, 0),
                HeartbeatAction::Wait(Some(now + INTERVAL))
            );
        }
    }

    #[test]
    fn a_timeout_longer_than_the_interval_counts_from_the_first_ping_without_answer() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(Limit::At(TIMEOUT), INTERVAL, start);
        assert_eq!(heartbeat.poll(start + TIMEOUT, 0), HeartbeatAction::Ping);
        assert_eq!(
            heartbeat.poll(start + 2 * TIMEOUT, 0),
            HeartbeatAction::Ping
        );
        assert_eq!(
            heartbeat.poll(start + TIMEOUT + INTERVAL, 0),
            HeartbeatAction::Dead
        );
    }

    #[test]
    fn a_peer_that_takes_a_backlog_slowly_is_alive_until_it_stops() {
        let start = Instant::now();
        let mut heartbeat = alive(start);
        let pinged = start + INTERVAL;
        assert_eq!(heartbeat.poll(pinged, 7), HeartbeatAction::Ping);
        let taken = pinged + TIMEOUT;
        assert_eq!(
            heartbeat.poll(taken, 8),
            HeartbeatAction::Wait(Some(taken + TIMEOUT))
        );
        assert_eq!(heartbeat.poll(taken + TIMEOUT, 8), HeartbeatAction::Dead);
    }

    #[test]
    fn without_pings_no_peer_is_declared_dead() {
        let now = Instant::now();
        let mut heartbeat = Heartbeat::new(Limit::Off, TIMEOUT, now);
        assert_eq!(
            heartbeat.poll(now + 1000 * INTERVAL, 0),
            HeartbeatAction::Wait(None)
        );
    }
}
