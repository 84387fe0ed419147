//! The events of a pool, as strategies.

use std::time::Duration;

use moorline_core::{
    limit::Limit,
    pool::{Condition, LedgerConfig},
};
use proptest::prelude::*;

/// One event. Its number selects among the leases or tickets that it can apply to.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Take,
    Acquire { timeout_ms: u64 },
    Cancel(usize),
    Created(usize),
    CreateFailed(usize),
    Release { number: usize, condition: Condition },
    Recycled(usize),
    RecyclingFailed(usize),
    ReleaseAgain(usize),
    ReleaseUnknown { slot: u32, generation: u32 },
    Discard(usize),
    Recreate(usize),
    Closed(usize),
    EvictAll,
    Wait { ms: u64 },
    Housekeeping,
    Drain,
    ForceClose,
}

fn event() -> impl Strategy<Value = Event> {
    let condition = prop_oneof![
        5 => Just(Condition::Clean),
        2 => Just(Condition::Dirty),
        1 => Just(Condition::Broken),
    ];
    let release = (any::<usize>(), condition);
    prop_oneof![
        4 => Just(Event::Take),
        12 => (0..200_u64).prop_map(|timeout_ms| Event::Acquire { timeout_ms }),
        2 => any::<usize>().prop_map(Event::Cancel),
        8 => any::<usize>().prop_map(Event::Created),
        2 => any::<usize>().prop_map(Event::CreateFailed),
        8 => release.prop_map(|(number, condition)| Event::Release { number, condition }),
        3 => any::<usize>().prop_map(Event::Recycled),
        1 => any::<usize>().prop_map(Event::RecyclingFailed),
        1 => Just(Event::EvictAll),
        2 => any::<usize>().prop_map(Event::ReleaseAgain),
        1 => (6..12_u32, 0..4_u32).prop_map(|(slot, generation)| Event::ReleaseUnknown { slot, generation }),
        1 => any::<usize>().prop_map(Event::Discard),
        2 => any::<usize>().prop_map(Event::Recreate),
        5 => any::<usize>().prop_map(Event::Closed),
        4 => (0..120_u64).prop_map(|ms| Event::Wait { ms }),
        3 => Just(Event::Housekeeping),
    ]
}

/// A script: events, perhaps the pool's end, more events.
pub(crate) fn script() -> impl Strategy<Value = Vec<Event>> {
    let end = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Event::Drain)),
        1 => Just(Some(Event::ForceClose)),
    ];
    let events = || prop::collection::vec(event(), 1..80);
    (events(), end, events()).prop_map(|(mut script, end, after)| {
        script.extend(end);
        script.extend(after);
        script
    })
}

/// A small pool with short limits, so that everything happens in a few hundred milliseconds.
pub(crate) fn config() -> impl Strategy<Value = LedgerConfig> {
    let sizes = (1..6_u32, 0..3_u32, 1..6_u32, 1..8_u64, 1..4_u64);
    sizes.prop_map(|(max, min, max_idle, max_waiters, max_connecting)| {
        let ms = |ms| Limit::At(Duration::from_millis(ms));
        LedgerConfig {
            max,
            min: min.min(max),
            max_idle,
            max_connecting: Limit::At(max_connecting),
            acquire_timeout: Limit::Off,
            max_waiters: Limit::At(max_waiters),
            idle_timeout: ms(100),
            max_lifetime: ms(400),
            validate_after: ms(20),
            leak_after: ms(80),
        }
    })
}
