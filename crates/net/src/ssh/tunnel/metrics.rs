//! A tunnel in the metrics of the process, and its figures.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use moorline_core::{
    metrics::Registry,
    ssh::{TunnelSeries, TunnelTotals},
    sync::lock,
};

use super::{inner::TunnelInner, state::State};
use crate::pool::{ReportMetrics, report_metrics_of};

/// What a tunnel has and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TunnelStats {
    /// The sessions that are open.
    pub sessions: usize,
    /// Those that are being opened.
    pub opening_sessions: usize,
    /// The channels that are open.
    pub open_channels: usize,
    /// Those that a server was asked for, and has not answered about.
    pub opening_channels: usize,
    /// Those that wait for a session, or for room in one.
    pub waiting: usize,
    /// The bytes received by all sessions, with all that the protocol adds.
    pub received_bytes: u64,
    /// The bytes sent by them.
    pub sent_bytes: u64,
    /// The outages that ended.
    pub reconnects: u64,
    /// The last round trip to the server, the longest of those of its sessions.
    pub round_trip: Option<Duration>,
}

impl TunnelStats {
    pub(super) fn of(state: &State) -> Self {
        let counts = state.ledger.counts();
        let mut sum = Self {
            sessions: counts.open,
            opening_sessions: counts.opening,
            waiting: counts.waiting,
            received_bytes: state.past.received_bytes,
            sent_bytes: state.past.sent_bytes,
            reconnects: state.past.reconnects,
            ..Self::default()
        };
        for session in state.sessions.values().map(|session| session.stats()) {
            sum.open_channels += session.open_channels;
            sum.opening_channels += session.opening_channels;
            sum.received_bytes += session.received_bytes;
            sum.sent_bytes += session.sent_bytes;
            sum.round_trip = sum.round_trip.max(session.round_trip);
        }
        sum
    }
}

/// The series of one tunnel, once it was registered.
#[derive(Debug, Default)]
pub(super) struct TunnelMetrics(Mutex<Option<TunnelSeries>>);

impl TunnelMetrics {
    pub(super) fn register(&self, inner: &Arc<TunnelInner>) {
        // It fails only for a name that another metric has, and none of ours does.
        let series = TunnelSeries::new(Registry::global(), &inner.config.server());
        *lock(&self.0) = series.ok();
        let source: Weak<dyn ReportMetrics> = Arc::downgrade(inner) as _;
        report_metrics_of(source);
    }

    /// Carries over the figures.
    pub(super) fn publish(&self, inner: &TunnelInner) {
        let mut series = lock(&self.0);
        let Some(series) = series.as_mut() else {
            return;
        };
        let (counts, stats) = inner.read(|state| (state.ledger.counts(), TunnelStats::of(state)));
        let totals = TunnelTotals {
            received_bytes: stats.received_bytes,
            sent_bytes: stats.sent_bytes,
            reconnects: stats.reconnects,
        };
        series.update(counts, stats.opening_channels, totals, stats.round_trip);
    }
}

impl ReportMetrics for TunnelInner {
    fn publish(&self) {
        self.metrics.publish(self);
    }
}
