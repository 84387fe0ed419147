//! The timeout and the cancellation of one call.

use std::time::Instant;

use moorline_core::{
    limit::Limit,
    options::{Options, PlainValue, Read},
    resilience::deadline::Deadline,
};
use tokio_util::sync::CancellationToken;

use super::SERVICE;
use moorline_net::pipeline::Run;

/// The limits of one call besides the client's own configuration.
#[derive(Clone, Debug)]
pub struct CallLimits {
    /// The end of the whole call.
    pub deadline: Deadline,
    /// Ends it at once.
    pub cancel: CancellationToken,
}

impl CallLimits {
    /// No deadline.
    pub const fn unlimited(cancel: CancellationToken) -> Self {
        Self {
            deadline: Deadline::NEVER,
            cancel,
        }
    }

    /// Reads `options.timeoutMs`, the time for a whole call; without one the attempts have their own.
    pub fn read(timeout_ms: &PlainValue, cancel: CancellationToken) -> Read<Self> {
        let timeout = Options::call_timeout(timeout_ms)?.unwrap_or(Limit::Off);
        Ok(Self {
            deadline: Deadline::after(Instant::now(), timeout),
            cancel,
        })
    }

    pub(super) fn run(&self, operation: &'static str) -> Run {
        Run {
            deadline: self.deadline,
            cancel: self.cancel.clone(),
            ..Run::new(SERVICE, operation)
        }
    }
}
