//! The pending requests to the owner of the objects, and the objects that are known to be dead.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    sync::lock,
};
use tokio::sync::oneshot;

use super::{ObjectOwner, Request, closed};

/// One object. Dropping it has it closed.
pub(super) struct Object {
    pub(super) number: u32,
    dead: Arc<AtomicBool>,
    closed: bool,
    requests: Arc<PendingRequests>,
}

impl Object {
    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// The number of an object that its caller closes.
    pub(super) fn into_number(mut self) -> u32 {
        self.closed = true;
        self.requests.forget(self.number);
        self.number
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if !self.closed {
            self.requests.forget(self.number);
            self.requests.owner.request(Request::Close {
                id: None,
                object: self.number,
            });
        }
    }
}

/// The owner's answer: an object, if the request was to create one.
type Answer = Outcome<Option<Object>>;

/// Requests that wait for their answers, by number.
pub(super) struct PendingRequests {
    owner: Arc<dyn ObjectOwner>,
    pending: Mutex<HashMap<u32, PendingRequest>>,
    /// For each object, whether it was found dead.
    dead: Mutex<HashMap<u32, Arc<AtomicBool>>>,
}

struct PendingRequest {
    creates: bool,
    sender: oneshot::Sender<Answer>,
}

/// Withdraws a request whose answer is not awaited any more.
struct WithdrawOnDrop<'a>(&'a PendingRequests, u32);

impl Drop for WithdrawOnDrop<'_> {
    fn drop(&mut self) {
        lock(&self.0.pending).remove(&self.1);
    }
}

impl PendingRequests {
    pub(super) fn new(owner: Arc<dyn ObjectOwner>) -> Arc<Self> {
        Arc::new(Self {
            owner,
            pending: Mutex::default(),
            dead: Mutex::default(),
        })
    }

    /// Takes the answer to a request. False when it is not awaited any more: then nothing was taken.
    pub(super) fn answer(self: &Arc<Self>, id: u32, problem: Option<String>) -> bool {
        let Some(pending) = lock(&self.pending).remove(&id) else {
            return false;
        };
        let answer = match problem {
            Some(message) => Err(Failure::new(Kind::Connect, message)),
            None => Ok(pending.creates.then(|| self.object(id))),
        };
        // An object that its borrower does not take is closed by being dropped.
        drop(pending.sender.send(answer));
        true
    }

    pub(super) fn mark_dead(&self, number: u32) {
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
            requests: Arc::clone(self),
        }
    }

    fn forget(&self, number: u32) {
        lock(&self.dead).remove(&number);
    }

    /// Makes a request and waits for its answer.
    pub(super) async fn request(&self, request: impl FnOnce(u32) -> Request) -> Answer {
        // Numbers are unique across all pools: a restarted pool must not take an answer to its predecessor.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let request = request(id);
        let (sender, answer) = oneshot::channel();
        let creates = matches!(request, Request::Create { .. });
        lock(&self.pending).insert(id, PendingRequest { creates, sender });
        let _withdraw = WithdrawOnDrop(self, id);
        self.owner.request(request);
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}
