//! Connecting and reconnecting: what each loss, failure and need leads to.

use std::time::{Duration, Instant};

use moorline_core::{
    error::{Failure, Kind},
    limit::Limit,
    ssh::{AttemptFailed, Due, Lost, Need, NeedDecision, ReconnectPolicy, Reconnection},
};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const POLICY: ReconnectPolicy = ReconnectPolicy {
    max_retries: 3,
    retry_delay: SECOND,
    check_interval: Limit::At(Duration::from_secs(30)),
};

fn rng() -> fastrand::Rng {
    fastrand::Rng::with_seed(7)
}

fn refused() -> Failure {
    Failure::new(Kind::Connect, "refused").with_code("ECONNREFUSED")
}

fn connected(now: Instant) -> Reconnection {
    let mut machine = Reconnection::new(POLICY);
    assert_eq!(machine.on_need(Need::Connect), NeedDecision::Begin);
    assert_eq!(machine.on_connected(now), None);
    machine
}

/// Connected for long, and lost.
fn lost(now: Instant) -> (Reconnection, Instant) {
    let mut machine = connected(now);
    let now = now + SECOND * 20;
    assert_eq!(machine.on_lost(now, &mut rng()), Lost::Begin);
    (machine, now)
}

#[test]
fn many_needs_begin_one_attempt_and_a_first_one_is_not_repeated() {
    let now = Instant::now();
    let mut machine = Reconnection::new(POLICY);
    assert_eq!(machine.on_need(Need::Channel), NeedDecision::Begin);
    for need in [Need::Connect, Need::Channel] {
        assert_eq!(machine.on_need(need), NeedDecision::Wait);
    }
    let failed = machine.on_attempt_failed(&refused(), now, &mut rng());
    assert_eq!(failed, AttemptFailed::Fail);
    assert_eq!(machine.next_due(), None);
    assert_eq!(machine.on_need(Need::Connect), NeedDecision::Begin);
    machine.on_connected(now);
    assert_eq!(machine.on_need(Need::Channel), NeedDecision::Ready);
}

#[test]
fn an_outage_has_an_attempt_at_once_and_then_so_many_retries_with_jitter() {
    let (mut machine, mut now) = lost(Instant::now());
    let mut rng = rng();
    for retry in 0..POLICY.max_retries {
        let failed = machine.on_attempt_failed(&refused(), now, &mut rng);
        let AttemptFailed::Retry(delay) = failed else {
            panic!("{failed:?}");
        };
        assert!(delay <= SECOND * 2_u32.pow(retry), "{delay:?}");
        assert_eq!(machine.next_due(), Some(now + delay));
        assert_eq!(machine.on_need(Need::Connect), NeedDecision::Wait);
        now += delay;
        assert_eq!(machine.take_due(now), Some(Due::Attempt));
        assert_eq!(machine.take_due(now), None);
    }
    let failed = machine.on_attempt_failed(&refused(), now, &mut rng);
    assert_eq!(failed, AttemptFailed::Exhausted(4));
    // Somebody needs it: the attempts begin anew, and the outage is the same.
    assert_eq!(machine.on_need(Need::Channel), NeedDecision::Begin);
    let recovery = machine.on_connected(now + SECOND).unwrap();
    assert_eq!(recovery.attempts, 1);
    assert!(recovery.after >= SECOND);
}

#[test]
fn the_check_measures_while_it_is_up_and_begins_what_nobody_else_has_begun() {
    let start = Instant::now();
    let mut machine = connected(start);
    let at = start + Duration::from_secs(30);
    assert_eq!(machine.next_due(), Some(at));
    assert_eq!(machine.take_due(at), Some(Due::Check));
    assert_eq!(machine.take_due(at), None);
    machine.on_lost(at, &mut rng());
    // An attempt is under way.
    assert_eq!(machine.take_due(at + SECOND * 30), None);
    let mut now = at + SECOND * 31;
    loop {
        match machine.on_attempt_failed(&refused(), now, &mut rng()) {
            AttemptFailed::Retry(delay) => now += delay,
            other => break assert_eq!(other, AttemptFailed::Exhausted(4)),
        }
        machine.take_due(now);
    }
    let due = machine.next_due().unwrap();
    assert_eq!(machine.take_due(due), Some(Due::Attempt));
    assert_eq!(machine.on_need(Need::Connect), NeedDecision::Wait);
}

#[test]
fn a_refusal_is_not_repeated_until_the_user_connects() {
    let (mut machine, now) = lost(Instant::now());
    let denied = Failure::new(Kind::Auth, "the host key has changed");
    let failed = machine.on_attempt_failed(&denied, now, &mut rng());
    assert_eq!(failed, AttemptFailed::Refused);
    assert_eq!(machine.next_due(), None);
    let decision = machine.on_need(Need::Channel);
    assert_eq!(decision, NeedDecision::Refuse(denied));
    assert_eq!(machine.on_need(Need::Connect), NeedDecision::Begin);
    assert!(machine.on_connected(now).is_some());
}

#[test]
fn a_refusal_is_told_of_once_until_something_else_happens() {
    let (mut machine, now) = lost(Instant::now());
    let denied = Failure::new(Kind::Auth, "the host key has changed");
    let fail = |machine: &mut Reconnection, failure: &Failure| {
        machine.on_attempt_failed(failure, now, &mut rng())
    };
    assert_eq!(fail(&mut machine, &denied), AttemptFailed::Refused);
    for _ in 0..2 {
        assert_eq!(machine.on_need(Need::Connect), NeedDecision::Begin);
        assert_eq!(fail(&mut machine, &denied), AttemptFailed::Fail);
    }
    assert_eq!(machine.on_need(Need::Connect), NeedDecision::Begin);
    let AttemptFailed::Retry(delay) = fail(&mut machine, &refused()) else {
        panic!("not tried again");
    };
    assert_eq!(machine.take_due(now + delay), Some(Due::Attempt));
    assert_eq!(fail(&mut machine, &denied), AttemptFailed::Refused);
    assert_eq!(machine.on_need(Need::Connect), NeedDecision::Begin);
    machine.on_connected(now);
    machine.on_lost(now + SECOND * 60, &mut rng());
    assert_eq!(fail(&mut machine, &denied), AttemptFailed::Refused);
}

#[test]
fn a_tunnel_that_is_lost_again_and_again_is_not_connected_again_without_a_pause() {
    let (mut machine, mut now) = lost(Instant::now());
    let mut rng = rng();
    let mut delays = 0;
    loop {
        machine.on_connected(now);
        match machine.on_lost(now, &mut rng) {
            Lost::Retry(delay) => {
                delays += 1;
                now += delay;
                assert_eq!(machine.take_due(now), Some(Due::Attempt));
            }
            other => break assert_eq!(other, Lost::Exhausted(4)),
        }
    }
    assert_eq!(delays, 3);
}

#[test]
fn a_tunnel_that_was_disconnected_is_connected_by_connect_alone() {
    let mut machine = connected(Instant::now());
    assert!(machine.on_disconnect());
    assert!(!machine.on_disconnect());
    assert_eq!(machine.next_due(), None);
    assert_eq!(machine.on_lost(Instant::now(), &mut rng()), Lost::Ignore);
    assert!(
        matches!(machine.on_need(Need::Channel), NeedDecision::Refuse(failure) if failure.kind == Kind::Closed)
    );
    assert_eq!(machine.on_need(Need::Connect), NeedDecision::Begin);
    assert!(!Reconnection::new(POLICY).on_disconnect());
}

proptest! {
    /// Whatever happens in whatever order: one attempt at a time, and nothing that is due stays due.
    #[test]
    fn there_is_one_attempt_at_a_time(events in prop::collection::vec((0_u8..7, 0_u64..40_000), 1..300)) {
        let mut machine = Reconnection::new(POLICY);
        let (mut now, mut rng) = (Instant::now(), rng());
        let mut under_way = false;
        let begin = |under_way: &mut bool| {
            assert!(!*under_way, "two attempts at once");
            *under_way = true;
        };
        for (event, ms) in events {
            match event {
                0 => now += Duration::from_millis(ms),
                1 | 2 => {
                    let need = if event == 1 { Need::Connect } else { Need::Channel };
                    if machine.on_need(need) == NeedDecision::Begin {
                        begin(&mut under_way);
                    }
                }
                3 if under_way => {
                    under_way = false;
                    machine.on_connected(now);
                }
                4 if under_way => {
                    under_way = false;
                    let kind = if ms % 5 == 0 { Kind::Auth } else { Kind::Connect };
                    machine.on_attempt_failed(&Failure::new(kind, "no"), now, &mut rng);
                }
                5 if machine.on_lost(now, &mut rng) == Lost::Begin => begin(&mut under_way),
                6 if ms % 10 == 0 => {
                    machine.on_disconnect();
                    under_way = false;
                }
                _ => {}
            }
            while let Some(due) = machine.take_due(now) {
                if due == Due::Attempt {
                    begin(&mut under_way);
                }
            }
            prop_assert!(machine.next_due().is_none_or(|at| at > now));
            prop_assert_eq!(machine.is_connecting(), under_way);
        }
    }
}
