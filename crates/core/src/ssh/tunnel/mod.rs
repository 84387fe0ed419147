//! Tunnels: when sessions are opened, which of them has room for a channel, and what follows the loss of the last one.
//!
//! [`Reconnection`] decides about the first session, which makes a tunnel up; [`SessionLedger`] about the further ones and
//! about channels. Both take `now`, and see neither sessions nor channels.

mod metrics;
mod reconnection;
mod session_ledger;

pub use metrics::{TunnelSeries, TunnelTotals};
pub use reconnection::{
    AttemptFailed, Due, Lost, Need, NeedDecision, ReconnectPolicy, Reconnection, Recovery,
};
pub use session_ledger::{
    ChannelRequest, ChannelTicket, SessionCounts, SessionId, SessionLedger, SessionLimits,
};
