//! Credentials that somebody else answers for, by the number of the request.

use moorline_core::{
    error::{Failure, Kind, Outcome},
    options::PlainValue,
    secret::Secret,
};

use super::credentials::{CredentialRequest, CredentialSource, SecretFuture, SecretKind};
use crate::{
    secret_requests::SecretRequests,
    ssh::{AnswerFuture, PromptRequest},
};

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
    requests: SecretRequests,
}

impl CredentialRequests {
    /// None yet; each is handed over by `ask`.
    pub fn new(ask: AskCredential) -> Self {
        Self {
            ask,
            requests: SecretRequests::default(),
        }
    }

    async fn request(
        &self,
        hop: &CredentialRequest,
        question: CredentialQuestion<'_>,
    ) -> Outcome<Vec<Secret>> {
        let ask = |id| (self.ask)(id, hop, question);
        self.requests.request(ask).await
    }

    /// Answers the request `id` by a list of texts or bytes, which the function of the option `name` has given.
    pub fn answer(&self, id: u32, name: &str, answers: PlainValue) {
        self.requests.answer(id, name, answers);
    }

    /// Answers the request `id` by the error of the function of the option `name`. It may be a temporary one.
    pub fn refuse(&self, id: u32, name: &str, error: String) {
        self.requests.refuse(id, Kind::Connect, name, error);
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
