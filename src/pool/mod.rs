//! Pools of every service, as `lib/` sees them.

mod encode;

pub(crate) use self::encode::PoolEvents;
