//! Credentials that are functions in JavaScript: requests to `lib/`, and its answers.

use moorline_net::ssh::{CredentialQuestion, CredentialRequest, CredentialRequests, SecretKind};
use napi_derive::napi;
use serde_json::{Value as Json, json};

use crate::bridge::{Callback, Handle, RawArgument};

/// Requests for credentials, which `listener` receives as JSON text.
#[napi(catch_unwind, ts_return_type = "Handle<CredentialRequests>")]
pub fn ssh_credential_requests(
    #[napi(ts_arg_type = "(request: string) => void")] listener: Callback,
) -> Handle<CredentialRequests> {
    let ask = move |id, hop: &CredentialRequest, question: CredentialQuestion<'_>| {
        listener.ask(encode_request(id, hop, question).to_string());
    };
    Handle::new(CredentialRequests::new(Box::new(ask)))
}

/// Answers the request `id` by what the function of the option `name` has given, in a list.
#[napi(catch_unwind)]
pub fn ssh_answer(
    requests: Handle<CredentialRequests>,
    id: u32,
    name: String,
    answers: RawArgument,
) {
    requests.answer(id, &name, answers.0);
}

/// Answers the request `id` by the error of the function of the option `name`.
#[napi(catch_unwind)]
pub fn ssh_refuse(requests: Handle<CredentialRequests>, id: u32, name: String, error: String) {
    requests.refuse(id, &name, error);
}

fn encode_request(id: u32, hop: &CredentialRequest, question: CredentialQuestion<'_>) -> Json {
    let mut encoded = json!({
        "requestId": id, "hop": hop.hop, "host": hop.host, "username": hop.user,
    });
    match question {
        CredentialQuestion::Secret(SecretKind::Password) => encoded["request"] = "password".into(),
        CredentialQuestion::Secret(SecretKind::Passphrase) => {
            encoded["request"] = "passphrase".into();
        }
        CredentialQuestion::Prompts(request) => {
            let prompts = request.prompts.iter();
            let prompts = prompts.map(|one| json!({ "prompt": one.text, "echo": one.echo }));
            encoded["prompts"] = prompts.collect();
            encoded["request"] = "keyboardInteractive".into();
            encoded["name"] = request.name.as_str().into();
            encoded["instruction"] = request.instruction.as_str().into();
        }
    }
    encoded
}
