//! Tunnels as metrics: one row of series for all tunnels to one server.
//!
//! A tunnel counts by itself; what has changed since the last time is carried over when the metrics are read, and when it
//! is dropped.

use std::{sync::Arc, time::Duration};

use super::SessionCounts;
use crate::metrics::{Counter, Gauge, MetricError, Registry};

/// What a tunnel has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TunnelTotals {
    /// The bytes received by its sessions.
    pub received_bytes: u64,
    /// The bytes sent by them.
    pub sent_bytes: u64,
    /// The outages that ended.
    pub reconnects: u64,
}

/// What is open now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Levels {
    sessions: f64,
    open_channels: f64,
    opening_channels: f64,
    waiting: f64,
}

/// The series of one tunnel. Counters outlive it; its sessions leave with it.
#[derive(Debug)]
pub struct TunnelSeries {
    sessions: Arc<Gauge>,
    open_channels: Arc<Gauge>,
    opening_channels: Arc<Gauge>,
    waiting: Arc<Gauge>,
    round_trip: Arc<Gauge>,
    received: Arc<Counter>,
    sent: Arc<Counter>,
    reconnects: Arc<Counter>,
    counted: TunnelTotals,
    shown: Levels,
}

impl TunnelSeries {
    /// The series of a tunnel to `server`.
    ///
    /// # Errors
    /// Another metric has one of the names.
    pub fn new(registry: &Registry, server: &str) -> Result<Self, MetricError> {
        let own = [("server", server)];
        let channels = |state| {
            let labels = [own[0], ("state", state)];
            let help = "Channels of SSH tunnels, by their state.";
            registry.gauge("moorline_ssh_channels", help, &labels)
        };
        let counter = |name, help| registry.counter(name, help, &own);
        Ok(Self {
            sessions: registry.gauge("moorline_ssh_sessions", "Open SSH sessions.", &own)?,
            open_channels: channels("open")?,
            opening_channels: channels("opening")?,
            waiting: channels("waiting")?,
            round_trip: registry.gauge(
                "moorline_ssh_round_trip_seconds",
                "The last round trip to the SSH server.",
                &own,
            )?,
            received: counter(
                "moorline_ssh_received_bytes_total",
                "Bytes received from SSH servers.",
            )?,
            sent: counter(
                "moorline_ssh_sent_bytes_total",
                "Bytes sent to SSH servers.",
            )?,
            reconnects: counter(
                "moorline_ssh_reconnects_total",
                "Lost SSH tunnels that were connected again.",
            )?,
            counted: TunnelTotals::default(),
            shown: Levels::default(),
        })
    }

    /// Carries over what has changed. `opening` of the channels were asked for, and are not open.
    pub fn update(
        &mut self,
        counts: SessionCounts,
        opening: usize,
        totals: TunnelTotals,
        round_trip: Option<Duration>,
    ) {
        let add = |counter: &Counter, now: u64, counted: u64| {
            counter.add(now.saturating_sub(counted) as f64);
        };
        let counted = self.counted;
        add(
            &self.received,
            totals.received_bytes,
            counted.received_bytes,
        );
        add(&self.sent, totals.sent_bytes, counted.sent_bytes);
        add(&self.reconnects, totals.reconnects, counted.reconnects);
        self.counted = totals;
        if let Some(round_trip) = round_trip {
            self.round_trip.set(round_trip.as_secs_f64());
        }
        self.show(Levels {
            sessions: counts.open as f64,
            open_channels: counts.channels.saturating_sub(opening) as f64,
            opening_channels: opening as f64,
            waiting: counts.waiting as f64,
        });
    }

    fn show(&mut self, levels: Levels) {
        let shown = std::mem::replace(&mut self.shown, levels);
        self.sessions.add(levels.sessions - shown.sessions);
        let open = levels.open_channels - shown.open_channels;
        self.open_channels.add(open);
        let opening = levels.opening_channels - shown.opening_channels;
        self.opening_channels.add(opening);
        self.waiting.add(levels.waiting - shown.waiting);
    }
}

impl Drop for TunnelSeries {
    fn drop(&mut self) {
        self.show(Levels::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::TextExposition;

    #[test]
    fn what_a_tunnel_carried_stays_counted_and_what_it_had_open_leaves_with_it() {
        let registry = Registry::new();
        let text = || {
            let mut exposition = TextExposition::new();
            registry.write(&mut exposition);
            exposition.into_text()
        };
        let counts = SessionCounts {
            open: 2,
            opening: 0,
            channels: 5,
            waiting: 1,
        };
        let totals = |received_bytes| TunnelTotals {
            received_bytes,
            ..TunnelTotals::default()
        };
        let mut first = TunnelSeries::new(&registry, "a:22").unwrap();
        let mut second = TunnelSeries::new(&registry, "a:22").unwrap();
        first.update(counts, 2, totals(10), Some(Duration::from_millis(500)));
        first.update(counts, 2, totals(15), None);
        second.update(counts, 0, totals(1), None);
        for line in [
            "moorline_ssh_sessions{server=\"a:22\"} 4",
            "moorline_ssh_channels{server=\"a:22\",state=\"open\"} 8",
            "moorline_ssh_channels{server=\"a:22\",state=\"opening\"} 2",
            "moorline_ssh_channels{server=\"a:22\",state=\"waiting\"} 2",
            "moorline_ssh_round_trip_seconds{server=\"a:22\"} 0.5",
            "moorline_ssh_received_bytes_total{server=\"a:22\"} 16",
        ] {
            assert!(text().contains(line), "{line}\n{}", text());
        }
        drop(first);
        assert!(text().contains("moorline_ssh_sessions{server=\"a:22\"} 2"));
        assert!(text().contains("moorline_ssh_received_bytes_total{server=\"a:22\"} 16"));
    }
}
