//! Secrets that somebody else answers for, by the number of the request.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    options::{OptionError, PlainValue},
    secret::Secret,
    sync::lock,
};
use tokio::sync::oneshot;

/// Node's code for a value of a wrong type.
const INVALID_TYPE: &str = "ERR_INVALID_ARG_TYPE";

/// The requests that were handed over and not answered.
#[derive(Default)]
pub struct SecretRequests {
    last_id: AtomicU32,
    pending: Mutex<HashMap<u32, oneshot::Sender<Outcome<Vec<Secret>>>>>,
}

/// Takes its request back when nobody waits for the answer any more.
struct PendingRequest<'a> {
    requests: &'a SecretRequests,
    id: u32,
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        lock(&self.requests.pending).remove(&self.id);
    }
}

impl SecretRequests {
    /// Hands a request over by its number; `ask` must return at once. The caller sets the time limit.
    pub async fn request(&self, ask: impl FnOnce(u32)) -> Outcome<Vec<Secret>> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.pending).insert(id, sender);
        let _pending = PendingRequest { requests: self, id };
        ask(id);
        receiver.await.unwrap_or_else(|_| Err(Failure::defect()))
    }

    /// Answers the request `id` by a list of texts or bytes, which the function of the option `name` has given.
    pub fn answer(&self, id: u32, name: &str, answers: PlainValue) {
        self.settle(id, read_answers(name, answers));
    }

    /// Answers the request `id` by the error of the function of the option `name`.
    pub fn refuse(&self, id: u32, kind: Kind, name: &str, error: String) {
        let message = format!("the function {name} has failed");
        let failure = Failure::new(kind, message).with_cause(error, None);
        self.settle(id, Err(failure));
    }

    fn settle(&self, id: u32, outcome: Outcome<Vec<Secret>>) {
        if let Some(sender) = lock(&self.pending).remove(&id) {
            let _ = sender.send(outcome);
        }
    }
}

fn read_answers(name: &str, answers: PlainValue) -> Outcome<Vec<Secret>> {
    let name = format!("what {name} returns");
    let wrong = |expected, given: &PlainValue| {
        let error = OptionError::wrong_type(&name, expected, given);
        Failure::new(Kind::Auth, error.message).with_code(INVALID_TYPE)
    };
    let PlainValue::List(answers) = answers else {
        return Err(wrong("an array of answers", &answers));
    };
    let secrets = answers.into_iter().map(|answer| match answer {
        PlainValue::Text(text) => Ok(Secret::new(text)),
        PlainValue::Bytes(bytes) => Ok(Secret::new(bytes)),
        other => Err(wrong("a string or bytes", &other)),
    });
    secrets.collect()
}
