//! The books of a tunnel's sessions and channels, over random histories.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use moorline_core::ssh::{
    ChannelRequest, ChannelTicket, SessionCounts, SessionId, SessionLedger, SessionLimits,
};
use proptest::prelude::*;

const LIMITS: SessionLimits = SessionLimits {
    max_channels: 3,
    max_sessions: 4,
};

#[derive(Clone, Debug)]
enum Step {
    Request,
    Leave(usize),
    Release(usize),
    Open(usize),
    Fail(usize),
    Lose(usize),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Request),
        1 => any::<usize>().prop_map(Step::Leave),
        4 => any::<usize>().prop_map(Step::Release),
        4 => any::<usize>().prop_map(Step::Open),
        1 => any::<usize>().prop_map(Step::Fail),
        1 => any::<usize>().prop_map(Step::Lose),
        1 => (0_u64..90_000).prop_map(Step::Advance),
    ]
}

/// A driver, and what it knows by itself.
struct Model {
    ledger: SessionLedger,
    now: Instant,
    rng: fastrand::Rng,
    opening: Vec<SessionId>,
    /// The channels of each open session.
    open: HashMap<SessionId, u32>,
    line: VecDeque<ChannelTicket>,
}

fn pick<T: Copy>(items: &[T], at: usize) -> Option<T> {
    items.get(at % items.len().max(1)).copied()
}

impl Model {
    fn new() -> Self {
        Self {
            ledger: SessionLedger::new(LIMITS),
            now: Instant::now(),
            rng: fastrand::Rng::with_seed(1),
            opening: Vec::new(),
            open: HashMap::new(),
            line: VecDeque::new(),
        }
    }

    fn grant(&mut self, id: SessionId) {
        let channels = self.open.get_mut(&id).expect("a session that is open");
        *channels += 1;
        assert!(*channels <= LIMITS.max_channels);
    }

    fn run(&mut self, step: &Step) {
        let sessions: Vec<_> = self.open.keys().copied().collect();
        match *step {
            Step::Request => match self.ledger.request() {
                ChannelRequest::Granted(id) => {
                    assert!(self.line.is_empty(), "nobody overtakes");
                    self.grant(id);
                }
                ChannelRequest::Wait(ticket) => self.line.push_back(ticket),
            },
            Step::Leave(at) => {
                let line: Vec<_> = self.line.iter().copied().collect();
                if let Some(ticket) = pick(&line, at) {
                    assert!(self.ledger.leave(ticket));
                    assert!(!self.ledger.leave(ticket));
                    self.line.retain(|other| *other != ticket);
                }
            }
            Step::Release(at) => {
                if let Some(id) = pick(&sessions, at)
                    && self.open[&id] > 0
                {
                    self.ledger.release(id, self.now);
                    *self.open.get_mut(&id).unwrap() -= 1;
                }
            }
            Step::Open(at) => self.open(at),
            Step::Fail(at) => {
                if let Some(id) = pick(&self.opening, at) {
                    assert!(self.ledger.on_open_failed(id, self.now, &mut self.rng));
                    self.opening.retain(|other| *other != id);
                }
            }
            Step::Lose(at) => {
                if let Some(id) = pick(&sessions, at) {
                    assert!(self.ledger.on_lost(id));
                    self.open.remove(&id);
                    self.ledger.release(id, self.now);
                }
            }
            Step::Advance(ms) => self.now += Duration::from_millis(ms),
        }
        self.settle();
        self.check();
    }

    fn open(&mut self, at: usize) {
        if let Some(id) = pick(&self.opening, at) {
            assert!(self.ledger.on_opened(id, self.now));
            self.opening.retain(|other| *other != id);
            self.open.insert(id, 0);
        }
    }

    /// What a driver does after each step.
    fn settle(&mut self) {
        while let Some((ticket, id)) = self.ledger.next_grant() {
            assert_eq!(
                self.line.pop_front(),
                Some(ticket),
                "first come, first served"
            );
            self.grant(id);
        }
        for id in self.ledger.sweep(self.now) {
            assert_eq!(self.open.remove(&id), Some(0), "only empty ones are closed");
            assert!(!self.open.is_empty(), "one stays");
        }
        let wants_first = self.open.is_empty() && self.opening.is_empty() && !self.line.is_empty();
        if wants_first {
            self.opening.push(self.ledger.begin_session());
        }
        while let Some(id) = self.ledger.begin_further_session(self.now) {
            self.opening.push(id);
        }
    }

    fn check(&self) {
        let counts = self.ledger.counts();
        let expected = SessionCounts {
            open: self.open.len(),
            opening: self.opening.len(),
            channels: self.open.values().map(|count| *count as usize).sum(),
            waiting: self.line.len(),
        };
        assert_eq!(counts, expected);
        assert!(counts.open + counts.opening <= LIMITS.max_sessions as usize);
        let has_room = self.open.values().any(|count| *count < LIMITS.max_channels);
        assert!(self.line.is_empty() || !has_room, "who waits has to");
        assert!(self.ledger.next_due().is_none_or(|at| at > self.now));
    }
}

proptest! {
    #[test]
    fn bounds_and_order_hold_over_any_history(steps in prop::collection::vec(step(), 1..200)) {
        let mut model = Model::new();
        for step in &steps {
            model.run(step);
        }
        // When all sessions can be opened, and nothing else happens, who waits is served as far as there is room.
        for _ in 0..20 {
            model.run(&Step::Advance(30_000));
            model.open(0);
            model.settle();
        }
        let capacity = (LIMITS.max_channels * LIMITS.max_sessions) as usize;
        assert!(model.line.is_empty() || model.ledger.counts().channels == capacity);
        for _ in 0..capacity {
            for at in 0..LIMITS.max_sessions as usize {
                model.run(&Step::Release(at));
            }
        }
        assert!(model.line.len() <= steps.len().saturating_sub(capacity));
        model.run(&Step::Advance(61_000));
        assert!(model.open.len() <= 1 || !model.line.is_empty() || model.ledger.counts().channels > 0);
    }
}

/// As many sessions as are needed at once, and no more however many ask.
#[test]
fn a_stampede_opens_as_many_sessions_as_it_fills() {
    let now = Instant::now();
    let mut ledger = SessionLedger::new(SessionLimits {
        max_channels: 10,
        max_sessions: 20,
    });
    for _ in 0..100 {
        assert!(matches!(ledger.request(), ChannelRequest::Wait(_)));
    }
    assert!(ledger.is_crowded());
    assert_eq!(ledger.begin_further_session(now), None, "none is open yet");
    let mut opening = VecDeque::from([ledger.begin_session()]);
    let mut begun = 1;
    while let Some(id) = opening.pop_front() {
        assert!(ledger.on_opened(id, now));
        while ledger.next_grant().is_some() {}
        while let Some(id) = ledger.begin_further_session(now) {
            begun += 1;
            opening.push_back(id);
            assert!(opening.len() <= 5);
        }
    }
    assert_eq!((begun, ledger.counts().channels), (10, 100));
    assert!(!ledger.is_crowded());
}

#[test]
fn a_further_session_that_cannot_be_opened_is_tried_again_after_a_pause() {
    let mut now = Instant::now();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut ledger = SessionLedger::new(SessionLimits {
        max_channels: 1,
        max_sessions: 2,
    });
    let first = ledger.begin_session();
    assert!(ledger.on_opened(first, now));
    assert!(matches!(ledger.request(), ChannelRequest::Granted(_)));
    assert!(matches!(ledger.request(), ChannelRequest::Wait(_)));
    for _ in 0..10 {
        let second = ledger.begin_further_session(now).unwrap();
        assert!(ledger.on_open_failed(second, now, &mut rng));
        assert_eq!(ledger.begin_further_session(now), None);
        let due = ledger.next_due().unwrap();
        assert!(due > now && due <= now + Duration::from_secs(30));
        now = due;
    }
    ledger.release(first, now);
    assert!(ledger.next_grant().is_some());
    assert_eq!(ledger.next_due(), None);
}

#[test]
fn what_comes_for_a_session_that_was_forgotten_changes_nothing() {
    let now = Instant::now();
    let mut ledger = SessionLedger::new(LIMITS);
    let id = ledger.begin_session();
    ledger.forget_opening();
    assert!(!ledger.on_opened(id, now));
    assert!(!ledger.on_open_failed(id, now, &mut fastrand::Rng::with_seed(1)));
    assert!(!ledger.on_lost(id));
    assert_eq!(ledger.counts(), SessionCounts::default());
}
