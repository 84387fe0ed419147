//! Keep-alives: whether the server is still there, and how long it takes to answer.

use std::{collections::VecDeque, time::Duration};

use tokio::{sync::oneshot, time::Instant};

/// What a tick asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeepAliveAction {
    /// Send a request.
    Send,
    /// The server has been silent for too long.
    Lost,
}

/// A request that the server has not answered.
struct Ping {
    sent_at: Instant,
    /// The number of its packet, by which an UNIMPLEMENTED answers it.
    sequence_number: Option<u32>,
    sender: Option<oneshot::Sender<Duration>>,
}

/// The requests under way, and the silence of the server.
pub(super) struct KeepAlive {
    count: u32,
    /// Intervals without a sign of the server.
    silent: u32,
    /// The bytes received until the last tick.
    received: u64,
    /// The key exchange that was under way at the last tick, by its number, and at how many it was.
    exchange: Option<(u64, u32)>,
    /// Replies come in the order of the requests (RFC 4254, section 4).
    pings: VecDeque<Ping>,
}

impl KeepAlive {
    pub(super) fn new(count: u32) -> Self {
        Self {
            count: count.max(1),
            silent: 0,
            received: 0,
            exchange: None,
            pings: VecDeque::new(),
        }
    }

    /// An interval is over. `exchange` is the number of the key exchange that is under way: a server that sends and never
    /// finishes one lets nothing of ours through.
    pub(super) fn on_tick(&mut self, received: u64, exchange: Option<u64>) -> KeepAliveAction {
        self.exchange = exchange.map(|number| match self.exchange {
            Some((same, ticks)) if same == number => (number, ticks + 1),
            _ => (number, 1),
        });
        let is_stuck = self.exchange.is_some_and(|(_, ticks)| ticks > self.count);
        if received == self.received {
            self.silent += 1;
        } else {
            self.silent = 0;
        }
        self.received = received;
        if is_stuck || self.silent >= self.count {
            KeepAliveAction::Lost
        } else {
            KeepAliveAction::Send
        }
    }

    /// A request is sent.
    pub(super) fn on_sent(
        &mut self,
        now: Instant,
        sequence_number: Option<u32>,
        sender: Option<oneshot::Sender<Duration>>,
    ) {
        self.pings.push_back(Ping {
            sent_at: now,
            sequence_number,
            sender,
        });
    }

    /// The server has answered a request: the round trip. `None` when none was under way.
    pub(super) fn on_reply(&mut self, now: Instant) -> Option<Duration> {
        let ping = self.pings.pop_front()?;
        let round_trip = now.duration_since(ping.sent_at);
        if let Some(sender) = ping.sender {
            let _ = sender.send(round_trip);
        }
        Some(round_trip)
    }

    /// The server does not know a message, which is an answer if it was the next request.
    pub(super) fn on_unimplemented(&mut self, sequence: u32, now: Instant) -> Option<Duration> {
        let next = self.pings.front()?;
        if next.sequence_number == Some(sequence) {
            self.on_reply(now)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_lost_after_so_many_silent_intervals_and_any_byte_is_a_sign() {
        let mut keep_alive = KeepAlive::new(3);
        let mut ticks = |received: u64, count: usize| -> Vec<_> {
            (0..count)
                .map(|_| keep_alive.on_tick(received, None))
                .collect()
        };
        assert_eq!(ticks(10, 3), [KeepAliveAction::Send; 3]);
        assert_eq!(ticks(11, 3), [KeepAliveAction::Send; 3]);
        assert_eq!(ticks(11, 1), [KeepAliveAction::Lost]);
    }

    #[test]
    fn a_server_is_lost_when_it_does_not_finish_a_key_exchange_but_not_by_one_at_each_tick() {
        let mut keep_alive = KeepAlive::new(3);
        for tick in 1..100 {
            let action = keep_alive.on_tick(tick, Some(tick));
            assert_eq!(action, KeepAliveAction::Send, "another one each time");
        }
        let mut ticks = (100..104).map(|received| keep_alive.on_tick(received, Some(100)));
        assert!(
            ticks
                .by_ref()
                .take(3)
                .all(|action| action == KeepAliveAction::Send)
        );
        assert_eq!(ticks.next(), Some(KeepAliveAction::Lost));
    }

    #[tokio::test(start_paused = true)]
    async fn replies_are_those_of_the_requests_in_their_order() {
        let mut keep_alive = KeepAlive::new(3);
        let (sender, receiver) = oneshot::channel();
        let start = Instant::now();
        keep_alive.on_sent(start, Some(7), None);
        keep_alive.on_sent(start, Some(9), Some(sender));
        let later = start + Duration::from_millis(5);
        assert_eq!(keep_alive.on_unimplemented(9, later), None);
        assert!(keep_alive.on_unimplemented(7, later).is_some());
        assert!(keep_alive.on_reply(later).is_some());
        assert_eq!(receiver.await, Ok(Duration::from_millis(5)));
        assert_eq!(keep_alive.on_reply(later), None);
    }
}
