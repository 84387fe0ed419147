//! ObjectConnector that live in JavaScript, as connections of the services' pool.
//!
//! The pool asks for one to be made, checked or closed; the question goes to `lib/` as JSON text and is answered by
//! number. An object is known by the number of the question that it was made for.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use moorline_core::error::{Failure, Kind, Outcome};
use moorline_net::pool::{Connect, Event, PoolListener, TimeoutNames};
use serde_json::json;
use tokio::sync::oneshot;

use super::Lent;
use crate::{
    bridge::{Callback, record},
    resilience::guarded::lock,
};

/// The options that bound the waits of a pool of objects, as users write them.
pub(super) const NAMES: TimeoutNames = TimeoutNames {
    acquire: "acquireTimeout",
    connect: "connectTimeout",
    close: "releaseTimeout",
};

/// One object. Dropping it has it closed.
pub(super) struct Object {
    pub(super) number: u32,
    dead: Arc<AtomicBool>,
    closed: bool,
    desk: Arc<PendingRequests>,
}

impl Drop for Object {
    fn drop(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            self.desk.forget(self.number);
            let told = json!({ "ask": "close", "object": self.number });
            self.desk.ask.ask(told.to_string());
        }
    }
}

/// What is made of the answer to a question: an object, if it was asked to be made.
type Answer = Outcome<Option<Object>>;

/// Where questions wait for their answers.
pub(super) struct PendingRequests {
    ask: Callback,
    questions: Mutex<HashMap<u32, Question>>,
    /// Of each object, whether `lib/` has found it dead.
    dead: Mutex<HashMap<u32, Arc<AtomicBool>>>,
}

struct Question {
    makes: bool,
    reply: oneshot::Sender<Answer>,
}

/// A question that nobody waits for any more is taken back.
struct Asked<'a>(&'a PendingRequests, u32);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        lock(&self.0.questions).remove(&self.1);
    }
}

impl PendingRequests {
    pub(super) fn new(ask: Callback) -> Arc<Self> {
        Arc::new(Self {
            ask,
            questions: Mutex::default(),
            dead: Mutex::default(),
        })
    }

    /// Takes the answer to a question. False when nobody waits for it any more: then nothing was taken.
    pub(super) fn answer(self: &Arc<Self>, id: u32, problem: Option<String>) -> bool {
        let Some(question) = lock(&self.questions).remove(&id) else {
            return false;
        };
        let answer = match problem {
            Some(message) => Err(Failure::new(Kind::Connect, message)),
            None => Ok(question.makes.then(|| self.object(id))),
        };
        // An object that nobody takes is closed by being dropped.
        drop(question.reply.send(answer));
        true
    }

    /// Marks an object as dead.
    pub(super) fn mark(&self, number: u32) {
        if let Some(dead) = lock(&self.dead).get(&number) {
            dead.store(true, Ordering::Relaxed);
        }
    }

    fn object(self: &Arc<Self>, number: u32) -> Object {
        let dead = Arc::<AtomicBool>::default();
        lock(&self.dead).insert(number, Arc::clone(&dead));
        Object {
            number,
            dead,
            closed: false,
            desk: Arc::clone(self),
        }
    }

    fn forget(&self, number: u32) {
        lock(&self.dead).remove(&number);
    }

    async fn ask(&self, what: &str, object: Option<u32>) -> Answer {
        // One row of numbers for all pools: a pool that is started again must not take an answer to its predecessor.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let (reply, answered) = oneshot::channel();
        let makes = object.is_none();
        lock(&self.questions).insert(id, Question { makes, reply });
        let _asked = Asked(self, id);
        let told = json!({ "ask": what, "id": id, "object": object });
        self.ask.ask(told.to_string());
        let ended = || Failure::new(Kind::Closed, "Pool is shutting down");
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// Makes, checks and closes objects by asking for it.
pub(super) struct ObjectConnector(pub(super) Arc<PendingRequests>);

impl Connect for ObjectConnector {
    type Connection = Object;

    async fn connect(&self) -> Outcome<Object> {
        let made = self.0.ask("create", None).await?;
        made.ok_or_else(|| Failure::new(Kind::Internal, "moorline stopped this call by a defect"))
    }

    fn is_usable(&self, object: &Object) -> bool {
        !object.dead.load(Ordering::Relaxed)
    }

    async fn validate(&self, object: &mut Object) -> Outcome<()> {
        self.0.ask("check", Some(object.number)).await.map(drop)
    }

    async fn close(&self, mut object: Object) {
        object.closed = true;
        self.0.forget(object.number);
        // A problem was told by `lib/`, where the error is.
        drop(self.0.ask("close", Some(object.number)).await);
    }
}

/// Tells what nobody in `lib/` knows by itself: leaks, by the object that is meant, and failures in the background.
pub(super) struct Told {
    pub(super) ask: Callback,
    pub(super) lent: Lent,
}

impl PoolListener for Told {
    fn on_event(&self, event: Event) {
        let told = match event {
            Event::Leak { lease, held } => {
                let lent = lock(&self.lent);
                let object = lent.iter().find(|(_, held)| **held == lease);
                let held_ms = held.as_secs_f64() * 1000.0;
                json!({ "event": "leak", "object": object.map(|(number, _)| *number), "heldMs": held_ms })
            }
            Event::Drain => json!({ "event": "drain" }),
            // What the factory threw was told as it was thrown.
            Event::Error(failure)
                if failure.kind != Kind::Connect || failure.code == "ETIMEDOUT" =>
            {
                let failure = failure.during("pool", "acquire");
                json!({ "event": "error", "failure": record(failure) })
            }
            _ => return,
        };
        self.ask.tell(told.to_string());
    }
}
