//! Pools of every service, as `lib/` sees them.

mod encode;
mod lease;

pub(crate) use self::encode::PoolEvents;
pub(crate) use self::lease::{lease_argument, lease_value};
