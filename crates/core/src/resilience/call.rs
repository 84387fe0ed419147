//! One call through a pipeline, as a state machine for a task or a JavaScript loop.
//!
//! ```text
//! call.admit  → Go: run the operation, then call.record → Done | RetryIn: sleep, then admit | GiveUp
//!             → Wait: sleep, then admit again
//!             → Queue: sleep until woken (or for the time given), then admit again
//!             → Refuse: it is over
//! ```
//!
//! A [`Call`] holds permits, so one that is abandoned must be ended with [`Call::cancel`].

use std::{
    task::Waker,
    time::{Duration, Instant},
};

use super::{
    breaker::{CircuitOpen, Permit},
    bulkhead::{Entry, Ticket},
    deadline::Deadline,
    limiter::{Reservation, Token},
    outcome::{AttemptFailure, AttemptOutcome},
    pipeline::{BreakerScope, Pipeline},
    refusal::Refusal,
    retry::{GiveUp, Retry},
};
use crate::sync::lock;

/// The decision before an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Run the operation.
    Go(Attempt),
    /// Ask again after this long.
    Wait(Duration),
    /// Ask again when woken ([`Call::wake_on_turn`]), at the latest after this long.
    Queue(Option<Duration>),
    /// The call is over. If an attempt failed before, its failure is the one to show.
    Refuse(Refusal),
}

/// An attempt that may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// When it must be over: the attempt's timeout or the call's deadline, whichever is earlier.
    pub deadline: Deadline,
}

/// The decision after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterAttempt {
    /// Success: the call is over.
    Done,
    /// Ask for the next attempt after this long.
    RetryIn(Duration),
    /// The call fails with the failure of this attempt.
    GiveUp(GiveUp),
}

/// One call on its way through a [`Pipeline`].
#[derive(Debug)]
pub struct Call {
    deadline: Deadline,
    attempts: u32,
    stage: Stage,
    /// Of the breaker around calls.
    permit: Option<Permit>,
    /// The failure of the last attempt.
    last_failure: Option<AttemptFailure>,
}

#[derive(Debug)]
enum Stage {
    Ready,
    /// Between two attempts, until that moment.
    BackingOff(Instant),
    /// In the bulkhead's queue.
    Queued(Ticket),
    /// Has its place, and a reserved token of the limiter.
    RateLimited(Option<Ticket>, Reservation),
    /// The operation runs, with its place and the permit of the breaker around attempts.
    Running(Option<Ticket>, Option<Permit>),
    Over,
}

impl Call {
    pub(super) const fn new(deadline: Deadline) -> Self {
        Self {
            deadline,
            attempts: 0,
            stage: Stage::Ready,
            permit: None,
            last_failure: None,
        }
    }

    /// Attempts that were started.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The moment the whole call must be over.
    pub const fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Asks what to do before an attempt.
    pub fn admit(&mut self, pipeline: &Pipeline, now: Instant) -> Admission {
        match self.enter(pipeline, now) {
            Ok(step) => step,
            Err(refusal) => {
                self.end(pipeline, now);
                Admission::Refuse(refusal)
            }
        }
    }

    /// Records the outcome of an attempt and decides what comes next.
    pub fn record(
        &mut self,
        pipeline: &Pipeline,
        outcome: AttemptOutcome,
        now: Instant,
    ) -> AfterAttempt {
        let Stage::Running(place, permit) = std::mem::replace(&mut self.stage, Stage::Ready) else {
            // Nothing ran, so there is nothing to repeat.
            self.end(pipeline, now);
            return AfterAttempt::GiveUp(GiveUp::NotRetryable);
        };
        pipeline.leave(place);
        if let (Some(breaker), Some(permit)) =
            (pipeline.breaker_for(BreakerScope::Attempts), permit)
        {
            breaker.record(permit, outcome, now);
        }
        let AttemptOutcome::Failure(failure) = outcome else {
            self.last_failure = None;
            self.record_call(pipeline, outcome, now);
            return AfterAttempt::Done;
        };
        self.last_failure = Some(failure);
        match self.plan(pipeline, &failure, now) {
            Retry::After(delay) => {
                self.stage = Stage::BackingOff(now + delay);
                AfterAttempt::RetryIn(delay)
            }
            Retry::GiveUp(why) => {
                self.record_call(pipeline, outcome, now);
                AfterAttempt::GiveUp(why)
            }
        }
    }

    /// Cancels the call, at whatever stage: every permit, place and token goes back, and nothing is counted.
    pub fn cancel(&mut self, pipeline: &Pipeline, now: Instant) {
        self.last_failure = None;
        self.end(pipeline, now);
    }

    /// Sets the waker for a queued call that gets its turn; wakes at once if it has it already.
    pub fn wake_on_turn(&self, pipeline: &Pipeline, waker: &Waker) {
        if let (Stage::Queued(ticket), Some(bulkhead)) = (&self.stage, &pipeline.bulkhead) {
            lock(bulkhead).wake_on_turn(*ticket, waker);
        }
    }

    fn enter(&mut self, pipeline: &Pipeline, now: Instant) -> Result<Admission, Refusal> {
        if self.deadline.passed(now) {
            return Err(Refusal::DeadlinePassed);
        }
        match self.stage {
            Stage::BackingOff(until) if now < until => return Ok(Admission::Wait(until - now)),
            Stage::Ready | Stage::BackingOff(_) => self.stage = Stage::Ready,
            Stage::Queued(_) | Stage::RateLimited(..) => {}
            // Misuse by the driver: the attempt is still running, or the call is over.
            Stage::Running(..) | Stage::Over => return Err(Refusal::DeadlinePassed),
        }
        self.pass_breakers(pipeline, now)?;
        let place = match self.take_place(pipeline)? {
            BulkheadPlace::None => None,
            BulkheadPlace::Taken(ticket) => Some(ticket),
            BulkheadPlace::Queued => return Ok(Admission::Queue(self.deadline.remaining(now))),
        };
        if let Some(wait) = self.take_token(pipeline, place, now)? {
            return Ok(Admission::Wait(wait));
        }
        self.start(pipeline, place, now)
    }

    /// Asks the breaker around calls, once for each call. The breaker around attempts decides in `start`; here an open
    /// one only refuses a call that would wait for a place or a token in vain.
    fn pass_breakers(&mut self, pipeline: &Pipeline, now: Instant) -> Result<(), Refusal> {
        if self.attempts == 0
            && self.permit.is_none()
            && let Some(breaker) = pipeline.breaker_for(BreakerScope::Calls)
        {
            self.permit = Some(breaker.admit(now).map_err(|open| circuit_open(open, now))?);
        }
        let may_wait = pipeline.limiter.is_some() || pipeline.bulkhead.is_some();
        match pipeline.breaker_for(BreakerScope::Attempts) {
            Some(breaker) if may_wait => breaker.check(now).map_err(|open| circuit_open(open, now)),
            _ => Ok(()),
        }
    }

    fn take_place(&mut self, pipeline: &Pipeline) -> Result<BulkheadPlace, Refusal> {
        let Some(bulkhead) = &pipeline.bulkhead else {
            return Ok(BulkheadPlace::None);
        };
        let mut bulkhead = lock(bulkhead);
        let place = match self.stage {
            Stage::RateLimited(place, _) => {
                return Ok(place.map_or(BulkheadPlace::None, BulkheadPlace::Taken));
            }
            Stage::Queued(ticket) if bulkhead.is_in(ticket) => ticket,
            Stage::Queued(_) => return Ok(BulkheadPlace::Queued),
            _ => match bulkhead.enter() {
                Entry::Go(ticket) => ticket,
                Entry::Queued(ticket) => {
                    self.stage = Stage::Queued(ticket);
                    return Ok(BulkheadPlace::Queued);
                }
                Entry::Full => return Err(Refusal::Overloaded),
            },
        };
        // From here on, `end` hands the place back.
        self.stage = Stage::Running(Some(place), None);
        Ok(BulkheadPlace::Taken(place))
    }

    /// Takes a token, or uses the reserved one; returns the time until it may be used, which grows while earlier calls
    /// use theirs late. The place in the bulkhead comes first: calls that queued for one with a token in hand would all
    /// start at once.
    fn take_token(
        &mut self,
        pipeline: &Pipeline,
        place: Option<Ticket>,
        now: Instant,
    ) -> Result<Option<Duration>, Refusal> {
        let Some(limiter) = &pipeline.limiter else {
            return Ok(None);
        };
        let mut limiter = lock(limiter);
        let reserved = match self.stage {
            Stage::RateLimited(_, mut reserved) => match limiter.claim(&mut reserved, now) {
                Ok(()) => return Ok(None),
                Err(_) => reserved,
            },
            _ => match limiter.acquire(now) {
                Token::Go => return Ok(None),
                Token::At(reserved) => reserved,
                Token::Refused(retry_after) => return Err(Refusal::RateLimited { retry_after }),
            },
        };
        // From here on, `end` hands the token back.
        self.stage = Stage::RateLimited(place, reserved);
        let wait = reserved.due - now;
        if self.deadline.falls_within(now, wait) {
            return Err(Refusal::RateLimited { retry_after: wait });
        }
        Ok(Some(wait))
    }

    fn start(
        &mut self,
        pipeline: &Pipeline,
        place: Option<Ticket>,
        now: Instant,
    ) -> Result<Admission, Refusal> {
        self.stage = Stage::Running(place, None);
        if let Some(breaker) = pipeline.breaker_for(BreakerScope::Attempts) {
            let permit = breaker.admit(now).map_err(|open| circuit_open(open, now))?;
            self.stage = Stage::Running(place, Some(permit));
        }
        if let Some(budget) = pipeline.budget.as_ref().filter(|_| self.attempts == 0) {
            budget.record_call(now);
        }
        self.attempts += 1;
        Ok(Admission::Go(Attempt {
            number: self.attempts,
            deadline: Deadline::after(now, pipeline.config.attempt_timeout).earlier(self.deadline),
        }))
    }

    /// Whether and when to retry. The budget comes last, because asking it spends from it.
    fn plan(&self, pipeline: &Pipeline, failure: &AttemptFailure, now: Instant) -> Retry {
        let Some(policy) = &pipeline.config.retry else {
            return Retry::GiveUp(GiveUp::Exhausted);
        };
        let next = policy.next(self.attempts, failure, &mut lock(&pipeline.rng));
        let Retry::After(delay) = next else {
            return next;
        };
        if self.deadline.falls_within(now, delay) {
            return Retry::GiveUp(GiveUp::Deadline);
        }
        let breaker = pipeline.breaker_for(BreakerScope::Attempts);
        if breaker.is_some_and(|breaker| breaker.refusal(now + delay).is_some()) {
            return Retry::GiveUp(GiveUp::CircuitOpen);
        }
        if pipeline
            .budget
            .as_ref()
            .is_some_and(|budget| !budget.try_take_retry(now))
        {
            return Retry::GiveUp(GiveUp::Budget);
        }
        next
    }

    /// Ends the call before or instead of an attempt. If an attempt failed before, the breaker around calls records
    /// that.
    fn end(&mut self, pipeline: &Pipeline, now: Instant) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::RateLimited(place, reserved) => {
                if let Some(limiter) = &pipeline.limiter {
                    lock(limiter).give_back(reserved);
                }
                pipeline.leave(place);
            }
            Stage::Queued(ticket) => pipeline.leave(Some(ticket)),
            Stage::Running(place, permit) => {
                pipeline.leave(place);
                if let (Some(breaker), Some(permit)) =
                    (pipeline.breaker_for(BreakerScope::Attempts), permit)
                {
                    breaker.release(permit);
                }
            }
            Stage::Ready | Stage::BackingOff(_) | Stage::Over => {}
        }
        match self.last_failure {
            Some(failure) => self.record_call(pipeline, AttemptOutcome::Failure(failure), now),
            None => {
                if let (Some(breaker), Some(permit)) = (
                    pipeline.breaker_for(BreakerScope::Calls),
                    self.permit.take(),
                ) {
                    breaker.release(permit);
                }
            }
        }
    }

    /// Records the outcome of the call at the breaker around calls.
    fn record_call(&mut self, pipeline: &Pipeline, outcome: AttemptOutcome, now: Instant) {
        self.stage = Stage::Over;
        if let (Some(breaker), Some(permit)) = (
            pipeline.breaker_for(BreakerScope::Calls),
            self.permit.take(),
        ) {
            breaker.record(permit, outcome, now);
        }
    }
}

/// The place of a call in the bulkhead, if there is one.
enum BulkheadPlace {
    None,
    Taken(Ticket),
    Queued,
}

fn circuit_open(open: CircuitOpen, now: Instant) -> Refusal {
    Refusal::CircuitOpen {
        retry_after: open.retry_at.map(|at| at.saturating_duration_since(now)),
    }
}
