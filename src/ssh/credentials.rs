//! Credentials that are functions in JavaScript: requests to `lib/`, and its answers.

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
use moorline_net::ssh::{
    AnswerFuture, CredentialRequest, CredentialSource, PromptRequest, SecretFuture, SecretKind,
};
use napi_derive::napi;
use serde_json::{Value as Json, json};
use tokio::sync::oneshot;

use crate::bridge::{Callback, Handle, RawArgument};

/// Node's code for a value of a wrong type.
const INVALID_TYPE: &str = "ERR_INVALID_ARG_TYPE";

/// The requests that `lib/` has not answered.
pub struct CredentialRequests {
    listener: Callback,
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
    async fn ask(&self, hop: &CredentialRequest, mut request: Json) -> Outcome<Vec<Secret>> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.pending).insert(id, sender);
        let _pending = PendingRequest { requests: self, id };
        request["requestId"] = id.into();
        request["hop"] = hop.hop.into();
        request["host"] = hop.host.as_str().into();
        request["username"] = hop.user.as_str().into();
        self.listener.ask(request.to_string());
        receiver.await.unwrap_or_else(|_| Err(Failure::defect()))
    }
}

impl CredentialSource for CredentialRequests {
    fn secret<'a>(&'a self, hop: &'a CredentialRequest, kind: SecretKind) -> SecretFuture<'a> {
        let name = match kind {
            SecretKind::Password => "password",
            SecretKind::Passphrase => "passphrase",
        };
        Box::pin(async move {
            let secrets = self.ask(hop, json!({ "request": name })).await?;
            secrets.into_iter().next().ok_or_else(Failure::defect)
        })
    }

    fn answer<'a>(
        &'a self,
        hop: &'a CredentialRequest,
        request: &'a PromptRequest,
    ) -> AnswerFuture<'a> {
        let prompts = request.prompts.iter();
        let prompts: Vec<_> = prompts
            .map(|prompt| json!({ "prompt": prompt.text, "echo": prompt.echo }))
            .collect();
        Box::pin(self.ask(
            hop,
            json!({
                "request": "keyboardInteractive",
                "name": request.name,
                "instruction": request.instruction,
                "prompts": prompts,
            }),
        ))
    }
}

/// Requests for credentials, which `listener` receives as JSON text.
#[napi(catch_unwind, ts_return_type = "Handle<CredentialRequests>")]
pub fn ssh_credential_requests(
    #[napi(ts_arg_type = "(request: string) => void")] listener: Callback,
) -> Handle<CredentialRequests> {
    Handle::new(CredentialRequests {
        listener,
        last_id: AtomicU32::new(0),
        pending: Mutex::default(),
    })
}

/// Answers the request `id` of the option `name`: by texts or bytes.
#[napi(catch_unwind)]
pub fn ssh_answer(
    requests: Handle<CredentialRequests>,
    id: u32,
    name: String,
    answers: RawArgument,
) {
    settle(&requests, id, read_answers(&name, answers.0));
}

/// Answers the request `id` of the option `name` by a problem.
#[napi(catch_unwind)]
pub fn ssh_refuse(requests: Handle<CredentialRequests>, id: u32, name: String, problem: String) {
    let message = format!("the function {name} has failed");
    let failure = Failure::new(Kind::Connect, message).with_cause(problem, None);
    settle(&requests, id, Err(failure));
}

fn settle(requests: &CredentialRequests, id: u32, outcome: Outcome<Vec<Secret>>) {
    // Nobody may wait any more.
    if let Some(sender) = lock(&requests.pending).remove(&id) {
        let _ = sender.send(outcome);
    }
}

fn read_answers(name: &str, answers: PlainValue) -> Outcome<Vec<Secret>> {
    let wrong = |given: &PlainValue| {
        let error = OptionError::wrong_type(
            &format!("what {name} returns"),
            "a string for each secret",
            given,
        );
        Failure::new(Kind::Auth, error.message).with_code(INVALID_TYPE)
    };
    let PlainValue::List(answers) = answers else {
        return Err(wrong(&answers));
    };
    let secrets = answers.into_iter().map(|answer| match answer {
        PlainValue::Text(text) => Ok(Secret::new(text)),
        PlainValue::Bytes(bytes) => Ok(Secret::new(bytes)),
        other => Err(wrong(&other)),
    });
    secrets.collect()
}
