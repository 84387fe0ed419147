//! Health monitoring: replies of checks, their schedule, and the overall status.
//!
//! A [`Monitor`] knows checks by name. The owner of the checkers (JavaScript functions in `lib/`, probes of a
//! service) asks [`Monitor::begin`] before a run and reports to [`Monitor::complete`] after it; the monitor
//! measures the latency, applies hysteresis, keeps a history per name and says when the next run is due. It
//! calls nothing and waits for nothing, so a checker that hangs is only a run that was ended by
//! [`Monitor::time_out`], and an answer that comes too late belongs to no run and is dropped.

mod check;
mod config;
mod history;
mod metrics;
mod monitor;
mod reply;

pub use check::CheckResult;
pub use config::CheckConfig;
pub use history::Stats;
pub use metrics::CheckSeries;
pub use monitor::{BeginOutcome, Change, CompletedRun, Monitor, Report, RunId, Summary};
pub use reply::CheckReply;

/// The status of a check, or of all together. Ordered: the greater, the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Working.
    Healthy,
    /// Working with a complaint: slow, partly out, or an optional part is down.
    Degraded,
    /// Not working.
    Unhealthy,
}

impl Status {
    /// The word users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The status for a status word of another system; `None` for an unknown word.
    ///
    /// Besides our own words: Spring's `UP`/`DOWN`, the `pass`/`warn`/`fail` of the health+json draft,
    /// OpenSearch's colours, gRPC's `SERVING`, and the `ready`/`connected` of clients. Case does not matter.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "healthy" | "ok" | "up" | "pass" | "passing" | "green" | "serving" | "ready"
            | "connected" => Self::Healthy,
            "degraded" | "warn" | "warning" | "yellow" => Self::Degraded,
            "unhealthy" | "error" | "down" | "fail" | "failing" | "critical" | "red"
            | "not_serving" | "out_of_service" | "shutting_down" | "disconnected" | "unknown"
            | "false" => Self::Unhealthy,
            _ => return None,
        })
    }

    /// The status of the whole: that of its worst part; `None` without parts.
    pub fn overall(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        parts.into_iter().max()
    }

    /// The same from how many parts there are of each status.
    pub fn of_counts(healthy: u32, degraded: u32, unhealthy: u32) -> Option<Self> {
        let counts = [
            (Self::Healthy, healthy),
            (Self::Degraded, degraded),
            (Self::Unhealthy, unhealthy),
        ];
        let present = counts.into_iter().filter(|(_, count)| *count > 0);
        Self::overall(present.map(|(status, _)| status))
    }

    /// Whether it still does its work: true unless unhealthy.
    pub const fn is_up(self) -> bool {
        !matches!(self, Self::Unhealthy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_part_is_the_status_of_the_whole() {
        for (counts, expected) in [
            ((0, 0, 0), None),
            ((2, 0, 0), Some(Status::Healthy)),
            ((2, 1, 0), Some(Status::Degraded)),
            ((2, 1, 1), Some(Status::Unhealthy)),
        ] {
            let (healthy, degraded, unhealthy) = counts;
            assert_eq!(Status::of_counts(healthy, degraded, unhealthy), expected);
        }
    }
}
