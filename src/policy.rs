//! Policies and breakers around JavaScript functions.
//!
//! The functions and their values stay in JavaScript. What crosses is decisions: `lib/guard.ts` asks before each
//! attempt, reports after it, and sleeps in between for as long as it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Wake, Waker},
    time::{Duration, Instant},
};

use moorline_core::{
    error::{Delivery, Failure, Kind},
    options::{OptionError, Options, Read},
    resilience::{
        breaker::BreakerOptions,
        budget::Budget,
        call::{Call, Next, Step},
        config::{self, PolicyOptions},
        deadline::Deadline,
        describe,
        pipeline::{Guards, Pipeline},
        registry::{Registry, SharedBreaker, Watcher},
        report::{Fault, Report, blames_service},
    },
};
use napi::{Env, Result};
use napi_derive::napi;
use serde_json::{Value as Json, json};

use crate::bridge::{self, Answer, Callback, Exports, Function, Given, Handle, Value, throw};

/// What `admit` answers when the call may not go yet, or not at all; `policyStep` says which.
const NOT_NOW: i32 = -1;

/// A pipeline and the calls of one JavaScript environment that are on their way through it.
pub struct Policy {
    name: String,
    pipeline: Pipeline,
    options: Json,
    options_differ: bool,
    calls: Mutex<Calls>,
    turns: Arc<Turns>,
    watcher: Mutex<Option<Arc<Watcher>>>,
}

/// Calls by number. A number is used again once its call is over.
#[derive(Default)]
struct Calls {
    running: Vec<Option<(Call, Deadline)>>,
    free: Vec<u32>,
    /// What the last call that may not go was told.
    step: Json,
}

/// Calls whose turn in the bulkhead has come.
#[derive(Default)]
struct Turns(Mutex<VecDeque<u32>>);

struct Turn {
    turns: Arc<Turns>,
    id: u32,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        lock(&self.turns.0).push_back(self.id);
    }
}

impl Policy {
    fn new(name: &str, read: &PolicyOptions) -> Self {
        let mut pipeline = Pipeline::new(read.pipeline);
        let (mut name, mut options_differ) = (name.to_owned(), false);
        if let Some((guards, options)) = read.breaker {
            let breaker = if name.is_empty() {
                Registry::process().own("policy", options)
            } else {
                let joined = Registry::process().join(&name, options);
                options_differ = joined.options_differ;
                joined.breaker
            };
            breaker.name().clone_into(&mut name);
            pipeline = pipeline.with_breaker(guards, breaker);
        }
        if let Some(budget) = read.budget {
            pipeline = pipeline.with_budget(Arc::new(Budget::new(budget)));
        }
        Self {
            name,
            pipeline,
            options: describe::policy(read),
            options_differ,
            calls: Mutex::default(),
            turns: Arc::default(),
            watcher: Mutex::default(),
        }
    }

    fn admit(&self, id: Option<u32>) -> i32 {
        let now = Instant::now();
        let mut calls = lock(&self.calls);
        let id = id.unwrap_or_else(|| calls.insert(self.pipeline.begin(Deadline::NEVER, now)));
        let Some((call, deadline)) = calls.get(id) else {
            return NOT_NOW;
        };
        let step = call.admit(&self.pipeline, now);
        if let Step::Go(attempt) = step {
            *deadline = attempt.deadline;
            return id as i32;
        }
        if matches!(step, Step::Queue(_)) {
            let turns = Arc::clone(&self.turns);
            let waker = Waker::from(Arc::new(Turn { turns, id }));
            call.wake_on_turn(&self.pipeline, &waker);
        }
        calls.step = match step {
            Step::Go(_) => Json::Null,
            Step::Wait(pause) => json!({ "id": id, "waitMs": ms(pause) }),
            Step::Queue(at_most) => json!({ "id": id, "queueMs": at_most.map(ms) }),
            Step::Refuse(refusal) => {
                calls.remove(id);
                let failure = refusal.failure(&self.name);
                let failure = failure.during("resilience", self.name.clone());
                json!({ "refused": bridge::record(failure) })
            }
        };
        NOT_NOW
    }

    /// Milliseconds until the next attempt, or `NOT_NOW` when the call is over.
    fn record(&self, id: u32, report: Report) -> i32 {
        let now = Instant::now();
        let mut calls = lock(&self.calls);
        let Some((call, _)) = calls.get(id) else {
            return NOT_NOW;
        };
        if let Next::RetryIn(delay) = call.record(&self.pipeline, report, now) {
            return ms(delay) as i32;
        }
        calls.remove(id);
        NOT_NOW
    }

    fn cancel(&self, id: u32) {
        let mut calls = lock(&self.calls);
        if let Some((mut call, _)) = calls.remove(id) {
            call.cancel(&self.pipeline, Instant::now());
        }
    }

    fn breaker(&self) -> Option<&Arc<SharedBreaker>> {
        self.pipeline.breaker()
    }
}

impl Calls {
    fn insert(&mut self, call: Call) -> u32 {
        let entry = Some((call, Deadline::NEVER));
        if let Some(id) = self.free.pop() {
            self.running[id as usize] = entry;
            return id;
        }
        self.running.push(entry);
        self.running.len() as u32 - 1
    }

    fn get(&mut self, id: u32) -> Option<&mut (Call, Deadline)> {
        self.running.get_mut(id as usize)?.as_mut()
    }

    fn remove(&mut self, id: u32) -> Option<(Call, Deadline)> {
        let call = self.running.get_mut(id as usize)?.take()?;
        self.free.push(id);
        Some(call)
    }
}

fn read<T>(env: &Env, given: &Given, read: impl FnOnce(&Options<'_>) -> Read<T>) -> Result<T> {
    let whole = || {
        let options = Options::new("options", &given.0)?;
        let value = read(&options)?;
        options.finish()?;
        Ok(value)
    };
    whole().map_err(|error: OptionError| throw(env, &error))
}

/// A policy from `PolicyOptions` without its functions.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn policy_create(
    env: Env,
    #[napi(ts_arg_type = "unknown")] options: Given,
) -> Result<Handle<Policy>> {
    let (name, policy) = read(&env, &options, |options| {
        let name = options.text("name")?.unwrap_or_default();
        Ok((name.to_owned(), config::pipeline(options)?))
    })?;
    Ok(Handle::new(Policy::new(&name, &policy)))
}

/// A policy that is only a breaker: no timeouts, no retries.
#[napi(catch_unwind, ts_return_type = "Handle<Policy>")]
pub fn breaker_create(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "unknown")] options: Given,
) -> Result<Handle<Policy>> {
    let breaker: BreakerOptions =
        read(&env, &options, |options| config::breaker(options, config::BREAKER))?;
    let policy = PolicyOptions::only_breaker(Guards::Attempts, breaker);
    Ok(Handle::new(Policy::new(&name, &policy)))
}

/// Its name, options and the longest a first attempt may take, as JSON.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>")]
pub fn policy_describe(policy: Handle<Policy>) -> String {
    let options = policy.pipeline.options();
    let bounds = [options.timeout.get(), options.attempt_timeout.get()];
    json!({
        "name": policy.name,
        "options": policy.options,
        "optionsDiffer": policy.options_differ,
        "attemptMs": bounds.into_iter().flatten().min().map(ms),
    })
    .to_string()
}

/// What the last call that could not go was told, as JSON.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>")]
pub fn policy_step(policy: Handle<Policy>) -> String {
    lock(&policy.calls).step.take().to_string()
}

/// How long the running attempt of a call may still take, in milliseconds; -1 without a limit.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>, id: number")]
pub fn policy_attempt_ms(policy: Handle<Policy>, id: u32) -> f64 {
    let mut calls = lock(&policy.calls);
    let left = calls.get(id).and_then(|(_, deadline)| deadline.remaining(Instant::now()));
    left.map_or(-1.0, ms)
}

/// The record of an attempt that took too long.
#[napi(catch_unwind, ts_args_type = "policy: Handle<Policy>, afterMs: number")]
pub fn policy_timed_out(policy: Handle<Policy>, after_ms: f64) -> String {
    let message = format!("the attempt was not over within {after_ms} ms");
    let failure = Failure::new(Kind::Timeout, message).with_retryable(true);
    bridge::record(failure.during("resilience", policy.name.clone()))
}

/// As how many failures of the service a moorline error counts: one, or none.
#[napi(catch_unwind)]
pub fn policy_weight(kind: String, delivery: String, status: Option<f64>) -> u32 {
    let kind = Kind::ALL.into_iter().find(|one| one.as_str() == kind);
    let delivery = match delivery.as_str() {
        "none" => Delivery::None,
        "answered" => Delivery::Answered,
        _ => Delivery::Unknown,
    };
    let status = status.map(|status| status as u64);
    kind.map_or(1, |kind| u32::from(blames_service(kind, delivery, status)))
}

/// `policyAdmit(policy, id?)`: the number of a call that may go, or -1. Without `id` it begins a call.
pub struct Admit;

impl Function for Admit {
    const NAME: &'static std::ffi::CStr = c"policyAdmit";
    fn run(call: &bridge::Call) -> Answer {
        let policy = call.handle::<Policy>(0);
        policy.map_or(Answer::Undefined, |policy| Answer::Integer(policy.admit(call.index(1))))
    }
}

/// `policySucceed(policy, id)`: the attempt gave what was asked for, and the call is over.
pub struct Succeed;

impl Function for Succeed {
    const NAME: &'static std::ffi::CStr = c"policySucceed";
    fn run(call: &bridge::Call) -> Answer {
        if let (Some(policy), Some(id)) = (call.handle::<Policy>(0), call.index(1)) {
            policy.record(id, Report::Success);
        }
        Answer::Undefined
    }
}

/// `policyFail(policy, id, weight, retryable, retryAfterMs)`: milliseconds until the next attempt, or -1.
pub struct Fail;

impl Function for Fail {
    const NAME: &'static std::ffi::CStr = c"policyFail";
    fn run(call: &bridge::Call) -> Answer {
        let (Some(policy), Some(id)) = (call.handle::<Policy>(0), call.index(1)) else {
            return Answer::Undefined;
        };
        let asked = call.number(4).filter(|ms| *ms >= 0.0);
        let retry_after = asked.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
        let fault = Fault {
            weight: call.index(2).unwrap_or(1),
            retryable: call.flag(3).unwrap_or(false),
            retry_after,
        };
        Answer::Integer(policy.record(id, Report::Failure(fault)))
    }
}

/// `policyCancel(policy, id)`: the caller gave the call up.
pub struct Cancelled;

impl Function for Cancelled {
    const NAME: &'static std::ffi::CStr = c"policyCancel";
    fn run(call: &bridge::Call) -> Answer {
        if let (Some(policy), Some(id)) = (call.handle::<Policy>(0), call.index(1)) {
            policy.cancel(id);
        }
        Answer::Undefined
    }
}

/// `policyTurn(policy)`: the number of a queued call whose turn has come, or -1.
pub struct NextTurn;

impl Function for NextTurn {
    const NAME: &'static std::ffi::CStr = c"policyTurn";
    fn run(call: &bridge::Call) -> Answer {
        let next = |policy: &Arc<Policy>| lock(&policy.turns.0).pop_front();
        let id = call.handle::<Policy>(0).and_then(next);
        Answer::Integer(id.map_or(NOT_NOW, |id| id as i32))
    }
}

/// Registers the hand-written functions.
pub fn register(exports: &Exports) -> Result<()> {
    exports.add::<Admit>()?;
    exports.add::<Succeed>()?;
    exports.add::<Fail>()?;
    exports.add::<Cancelled>()?;
    exports.add::<NextTurn>()
}

/// Whole milliseconds, never too early.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).ceil()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
