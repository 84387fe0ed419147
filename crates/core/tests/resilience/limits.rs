//! The rate limiter and the bulkhead.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
    time::{Duration, Instant},
};

use moorline_core::resilience::{
    bulkhead::{Bulkhead, BulkheadConfig, Entry},
    limiter::{Limiter, LimiterConfig, Rate, Reservation, Token},
};
use proptest::prelude::*;

fn per_second(rate: f64, burst: u32) -> LimiterConfig {
    LimiterConfig {
        rate: Rate::Bucket {
            interval: Rate::interval_of(rate, Duration::from_secs(1)),
            burst,
        },
        max_queue: 100,
        max_wait: Duration::from_secs(30),
    }
}

#[test]
fn a_burst_goes_at_once_and_the_rest_in_turn() {
    let now = Instant::now();
    let mut limiter = Limiter::new(per_second(4.0, 3));
    for _ in 0..3 {
        assert_eq!(limiter.acquire(now), Token::Go);
    }
    for place in 1..=2 {
        let Token::At(reserved) = limiter.acquire(now) else {
            panic!("expected to wait");
        };
        assert_eq!(reserved.due - now, Duration::from_millis(250) * place);
    }
    assert!(matches!(
        limiter.acquire(now + Duration::from_millis(500)),
        Token::At(_)
    ));
    assert_eq!(limiter.acquire(now + Duration::from_secs(2)), Token::Go);
}

#[test]
fn a_full_queue_and_a_long_wait_are_refused_with_the_time_to_come_back() {
    let now = Instant::now();
    let mut short = Limiter::new(LimiterConfig {
        max_queue: 1,
        ..per_second(1.0, 1)
    });
    assert_eq!(short.acquire(now), Token::Go);
    assert!(matches!(short.acquire(now), Token::At(_)));
    assert_eq!(short.acquire(now), Token::Refused(Duration::from_secs(2)));
    let max_wait = Duration::ZERO;
    let mut impatient = Limiter::new(LimiterConfig {
        max_wait,
        ..per_second(1.0, 1)
    });
    assert_eq!(impatient.acquire(now), Token::Go);
    assert_eq!(
        impatient.acquire(now),
        Token::Refused(Duration::from_secs(1))
    );
}

#[test]
fn the_last_in_line_can_hand_its_token_back() {
    let now = Instant::now();
    let mut limiter = Limiter::new(per_second(1.0, 1));
    assert_eq!(limiter.acquire(now), Token::Go);
    let Token::At(second) = limiter.acquire(now) else {
        panic!("expected to wait");
    };
    limiter.give_back(second);
    let Token::At(again) = limiter.acquire(now) else {
        panic!("expected to wait");
    };
    assert_eq!(again.due, second.due);
}

fn window_config(max: u32, window: Duration) -> LimiterConfig {
    LimiterConfig {
        rate: Rate::Window { max, window },
        max_queue: 100,
        max_wait: Duration::from_secs(30),
    }
}

#[test]
fn what_a_window_holds_goes_at_once_and_no_more_until_it_has_passed() {
    let (now, window) = (Instant::now(), Duration::from_millis(500));
    let mut limiter = Limiter::new(window_config(3, window));
    for _ in 0..3 {
        assert_eq!(limiter.acquire(now), Token::Go);
    }
    for place in 0..6 {
        let Token::At(reserved) = limiter.acquire(now) else {
            panic!("expected to wait");
        };
        assert_eq!(reserved.due - now, window * (1 + place / 3));
    }
    let mut quiet = Limiter::new(window_config(3, window));
    assert_eq!(quiet.acquire(now), Token::Go);
    assert_eq!(quiet.acquire(now + window), Token::Go);
    assert_eq!(quiet.acquire(now + window), Token::Go);
    assert_eq!(quiet.acquire(now + window), Token::Go);
    assert!(matches!(quiet.acquire(now + window), Token::At(_)));
}

#[test]
fn who_comes_late_to_its_turn_moves_those_behind() {
    let (now, window) = (Instant::now(), Duration::from_millis(100));
    let mut limiter = Limiter::new(window_config(1, window));
    let late = Duration::from_millis(30);
    assert_eq!(limiter.acquire(now), Token::Go);
    let (Token::At(mut second), Token::At(mut third)) =
        (limiter.acquire(now), limiter.acquire(now))
    else {
        panic!("expected to wait");
    };
    assert_eq!(limiter.claim(&mut second, now + window + late), Ok(()));
    assert_eq!(limiter.claim(&mut third, now + 2 * window), Err(late));
    assert_eq!(third.due, now + 2 * window + late);
    let due = third.due;
    assert_eq!(limiter.claim(&mut third, due), Ok(()));
}

#[test]
fn who_sleeps_for_longer_than_a_window_still_goes_before_those_behind() {
    let (now, window) = (Instant::now(), Duration::from_millis(100));
    let mut limiter = Limiter::new(window_config(2, window));
    let mut line = Vec::new();
    for _ in 0..6 {
        match limiter.acquire(now) {
            Token::Go => {}
            Token::At(reserved) => line.push(reserved),
            Token::Refused(_) => panic!("expected to wait"),
        }
    }
    let late = now + 3 * window;
    assert_eq!(limiter.claim(&mut line[0], late), Ok(()));
    // The fifth comes before the fourth, and has to let it pass.
    assert_eq!(limiter.claim(&mut line[2], late), Err(window));
    assert_eq!(limiter.claim(&mut line[3], late), Err(window));
    assert_eq!(limiter.claim(&mut line[1], late), Ok(()));
    // No call overtakes another, also where the rate has room.
    let after = late + window;
    assert!(limiter.claim(&mut line[3], after).is_err());
    assert_eq!(limiter.claim(&mut line[2], after), Ok(()));
    assert_eq!(limiter.claim(&mut line[3], late + window), Ok(()));
    assert_eq!(limiter.acquire(late + 2 * window), Token::Go);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_window_sees_more_than_it_may_however_late_everybody_comes(
        max in 1_u32..6,
        window_ms in 1_u64..400,
        acts in prop::collection::vec((0_u64..120, 0_u8..6), 1..200),
    ) {
        let window = Duration::from_millis(window_ms);
        let mut limiter = Limiter::new(LimiterConfig { max_queue: 8, ..window_config(max, window) });
        let mut now = Instant::now();
        let mut line: VecDeque<Reservation> = VecDeque::new();
        let mut admitted_at: Vec<Instant> = Vec::new();
        for (pause_ms, act) in acts {
            now += Duration::from_millis(pause_ms);
            match act {
                0 => if let Some(last) = line.pop_back() {
                    limiter.give_back(last);
                },
                1 => line.retain_mut(|one| {
                    let waits = one.due > now || limiter.claim(one, now).is_err();
                    if !waits {
                        admitted_at.push(now);
                    }
                    waits
                }),
                2 => if line.len() > 1 && let Some(mut one) = line.remove(line.len() / 2) {
                    if one.due > now || limiter.claim(&mut one, now).is_err() {
                        limiter.give_back(one);
                    } else {
                        admitted_at.push(now);
                    }
                },
                _ => match limiter.acquire(now) {
                    Token::Go => admitted_at.push(now),
                    Token::At(reserved) => line.push_back(reserved),
                    Token::Refused(wait) => prop_assert!(line.len() == 8 && !wait.is_zero()),
                },
            }
        }
        for pair in admitted_at.windows(max as usize + 1) {
            prop_assert!(pair[max as usize] - pair[0] >= window);
        }
    }

    #[test]
    fn no_stretch_of_time_sees_more_than_burst_and_rate(
        rate in 0.5..500.0_f64,
        burst in 1_u32..10,
        max_queue in 0_u32..20,
        asks in prop::collection::vec((0_u64..200, any::<bool>()), 1..120),
    ) {
        let config = LimiterConfig { max_queue, ..per_second(rate, burst) };
        let mut limiter = Limiter::new(config);
        let mut now = Instant::now();
        let mut admitted_at: Vec<Instant> = Vec::new();
        let mut line: VecDeque<Reservation> = VecDeque::new();
        let mut last_due = now;
        for (pause_ms, gives_back) in asks {
            now += Duration::from_millis(pause_ms);
            while let Some(mut first) = line.pop_front_if(|first| first.due <= now) {
                prop_assert_eq!(limiter.claim(&mut first, now), Ok(()));
            }
            match limiter.acquire(now) {
                Token::Go => admitted_at.push(now),
                Token::At(reserved) if gives_back => limiter.give_back(reserved),
                Token::At(reserved) => {
                    prop_assert!(reserved.due >= last_due, "first come, first served");
                    last_due = reserved.due;
                    admitted_at.push(reserved.due);
                    line.push_back(reserved);
                }
                Token::Refused(_) => {}
            }
            prop_assert!(admitted_at.iter().filter(|at| **at > now).count() <= max_queue as usize);
        }
        admitted_at.sort();
        for (i, from) in admitted_at.iter().enumerate() {
            for (j, to) in admitted_at.iter().enumerate().skip(i) {
                let allowed = f64::from(burst) + (*to - *from).as_secs_f64() * rate;
                prop_assert!((j - i + 1) as f64 <= allowed + 1e-6);
            }
        }
    }

    #[test]
    fn never_more_than_the_maximum_are_in_and_the_line_is_first_in_first_out(
        max_concurrent in 1_u32..5,
        max_queue in 0_u32..5,
        acts in prop::collection::vec(prop::option::of(any::<usize>()), 1..200),
    ) {
        let mut bulkhead = Bulkhead::new(BulkheadConfig { max_concurrent, max_queue });
        let mut inside = Vec::new();
        let mut line = VecDeque::new();
        for act in acts {
            let population = inside.len() + line.len();
            match act {
                None => match bulkhead.enter() {
                    Entry::Go(ticket) => inside.push(ticket),
                    Entry::Queued(ticket) => line.push_back(ticket),
                    Entry::Full => prop_assert_eq!(population as u32, max_concurrent + max_queue),
                },
                Some(n) if population > 0 => {
                    let n = n % population;
                    let leaver = if n < inside.len() {
                        inside.swap_remove(n)
                    } else {
                        line.remove(n - inside.len()).unwrap()
                    };
                    bulkhead.leave(leaver);
                    if inside.len() < max_concurrent as usize && let Some(first) = line.pop_front() {
                        prop_assert!(bulkhead.is_in(first), "the first in line is next");
                        inside.push(first);
                    }
                }
                Some(_) => {}
            }
            prop_assert!(line.iter().all(|ticket| !bulkhead.is_in(*ticket)));
            prop_assert!(inside.len() <= max_concurrent as usize);
            prop_assert_eq!(bulkhead.running() as usize, inside.len());
            prop_assert_eq!(bulkhead.queued(), line.len());
        }
    }
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn the_next_in_line_is_woken_even_when_its_turn_came_before_it_asked() {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut bulkhead = Bulkhead::new(BulkheadConfig {
        max_concurrent: 1,
        max_queue: 2,
    });
    let Entry::Go(first) = bulkhead.enter() else {
        panic!("expected a place");
    };
    let Entry::Queued(second) = bulkhead.enter() else {
        panic!("expected to queue");
    };
    let Entry::Queued(third) = bulkhead.enter() else {
        panic!("expected to queue");
    };
    bulkhead.wake_on_turn(second, &waker);
    bulkhead.leave(first).unwrap().wake();
    assert_eq!(bell.0.load(Ordering::SeqCst), 1);
    assert!(bulkhead.is_in(second));
    // The third is let in before it says whom to wake.
    assert!(bulkhead.leave(second).is_none());
    bulkhead.wake_on_turn(third, &waker);
    assert_eq!(bell.0.load(Ordering::SeqCst), 2);
}

#[test]
fn a_waiter_that_gives_up_after_its_turn_came_passes_it_on() {
    let mut bulkhead = Bulkhead::new(BulkheadConfig {
        max_concurrent: 1,
        max_queue: 2,
    });
    let tickets: Vec<_> = (0..3)
        .map(|_| match bulkhead.enter() {
            Entry::Go(ticket) | Entry::Queued(ticket) => ticket,
            Entry::Full => panic!("not full"),
        })
        .collect();
    bulkhead.leave(tickets[0]);
    bulkhead.leave(tickets[1]);
    assert!(bulkhead.is_in(tickets[2]));
    bulkhead.leave(tickets[2]);
    assert_eq!(bulkhead.running(), 0);
}
