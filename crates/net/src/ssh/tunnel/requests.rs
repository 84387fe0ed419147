//! Credentials that somebody else answers for, by the number of the request.

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

use super::credentials::{CredentialRequest, CredentialSource, SecretFuture, SecretKind};
use crate::ssh::{AnswerFuture, PromptRequest};

/// Node's code for a value of a wrong type; `lib/` throws a `TypeError` for it.
const INVALID_TYPE: &str = "ERR_INVALID_ARG_TYPE";

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub enum CredentialQuestion<'a> {
    /// A secret.
    Secret(SecretKind),
    /// Answers to a server's questions.
    Prompts(&'a PromptRequest),
}

/// Hands a request over, with its number; it must return at once.
pub type AskCredential = Box<dyn Fn(u32, &CredentialRequest, CredentialQuestion<'_>) + Send + Sync>;

/// The requests that were handed over and not answered.
pub struct CredentialRequests {
    ask: AskCredential,
    last_id: AtomicU32,
    pending: Mutex<HashMap<u32, oneshot::Sender<Outcome<Vec<Secret>>>>>,
}

/// Takes its request back when nobody waits for the answer any more.
struct PendingRequest<'a> {
    requests: &'a CredentialRequests,
    id: u32,
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        lock(&self.requests.pending).remove(&self.id);
    }
}

impl CredentialRequests {
    /// None yet; each is handed over by `ask`.
    pub fn new(ask: AskCredential) -> Self {
        Self {
            ask,
            last_id: AtomicU32::new(0),
            pending: Mutex::default(),
        }
    }

    async fn request(
        &self,
        hop: &CredentialRequest,
        question: CredentialQuestion<'_>,
    ) -> Outcome<Vec<Secret>> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.pending).insert(id, sender);
        let _pending = PendingRequest { requests: self, id };
        (self.ask)(id, hop, question);
        receiver.await.unwrap_or_else(|_| Err(Failure::defect()))
    }

    /// Answers the request `id` by a list of texts or bytes, which the function of the option `name` has given.
    pub fn answer(&self, id: u32, name: &str, answers: PlainValue) {
        self.settle(id, read_answers(name, answers));
    }

    /// Answers the request `id` by the error of the function of the option `name`. It may be a temporary one.
    pub fn refuse(&self, id: u32, name: &str, error: String) {
        let message = format!("the function {name} has failed");
        let failure = Failure::new(Kind::Connect, message).with_cause(error, None);
        self.settle(id, Err(failure));
    }

    fn settle(&self, id: u32, outcome: Outcome<Vec<Secret>>) {
        if let Some(sender) = lock(&self.pending).remove(&id) {
            let _ = sender.send(outcome);
        }
    }
}

impl CredentialSource for CredentialRequests {
    fn secret<'a>(&'a self, hop: &'a CredentialRequest, kind: SecretKind) -> SecretFuture<'a> {
        Box::pin(async move {
            let secrets = self.request(hop, CredentialQuestion::Secret(kind)).await?;
            secrets.into_iter().next().ok_or_else(Failure::defect)
        })
    }

    fn answer<'a>(
        &'a self,
        hop: &'a CredentialRequest,
        request: &'a PromptRequest,
    ) -> AnswerFuture<'a> {
        Box::pin(self.request(hop, CredentialQuestion::Prompts(request)))
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
