//! The method `keyboard-interactive` (RFC 4256): the server asks, a function answers.

use std::pin::Pin;

use moorline_core::{error::Outcome, secret::Secret};

use super::{Attempt, Authenticator, private_key::auth_failure, reply::Reply};
use crate::{
    dial::ByteStream,
    ssh::{
        error::SessionError,
        message::USERAUTH_INFO_RESPONSE,
        wire::{Malformed, Reader, printable, put_string},
    },
};

/// The most rounds of questions, and questions of one.
const MAX_ROUNDS: usize = 20;
const MAX_PROMPTS: u32 = 100;
const MAX_TEXT: usize = 4096;

/// The future of answers.
pub type AnswerFuture<'a> = Pin<Box<dyn Future<Output = Outcome<Vec<Secret>>> + Send + 'a>>;

/// Answers the server's questions.
pub trait Prompter: Send + Sync {
    /// Gives an answer to each prompt.
    fn answer<'a>(&'a self, request: &'a PromptRequest) -> AnswerFuture<'a>;
}

/// A round of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptRequest {
    /// The title.
    pub name: String,
    /// What is said before the prompts.
    pub instruction: String,
    /// The prompts; there may be none.
    pub prompts: Vec<Prompt>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its text.
    pub text: String,
    /// Whether what is answered may be shown.
    pub echo: bool,
}

impl PromptRequest {
    fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        reader.byte()?;
        let name = printable(reader.string()?, MAX_TEXT);
        let instruction = printable(reader.string()?, MAX_TEXT);
        // The language.
        reader.string()?;
        let count = reader.uint32()?;
        if count > MAX_PROMPTS {
            return Err(Malformed);
        }
        let mut prompts = Vec::new();
        for _ in 0..count {
            prompts.push(Prompt {
                text: printable(reader.string()?, MAX_TEXT),
                echo: reader.boolean()?,
            });
        }
        Ok(Self {
            name,
            instruction,
            prompts,
        })
    }
}

impl<S: ByteStream> Authenticator<'_, S> {
    pub(super) async fn attempt_keyboard_interactive(
        &mut self,
        prompter: &dyn Prompter,
    ) -> Result<Attempt, SessionError> {
        let mut message = self.begin_request(b"keyboard-interactive");
        // Language and submethods.
        put_string(&mut message, b"");
        put_string(&mut message, b"");
        for _ in 0..MAX_ROUNDS {
            let reply = self.exchange(&message).await;
            message.fill(0);
            let request = match reply? {
                Reply::Success => return Ok(Attempt::Accepted),
                Reply::Failure {
                    methods,
                    is_partial,
                } => return Ok(self.refused("keyboard-interactive", methods, is_partial)),
                Reply::Method(payload) => PromptRequest::parse(&payload)?,
            };
            let answers = prompter.answer(&request).await?;
            if answers.len() != request.prompts.len() {
                return Ok(Attempt::Unusable(auth_failure(
                    "ERR_SSH_PROMPT",
                    format!(
                        "{} answers were given to {} prompts of the SSH server",
                        answers.len(),
                        request.prompts.len()
                    ),
                )));
            }
            message.clear();
            message.push(USERAUTH_INFO_RESPONSE);
            message.extend((answers.len() as u32).to_be_bytes());
            for answer in &answers {
                put_string(&mut message, answer.expose());
            }
        }
        Err(SessionError::violation("it asks without end"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = PromptRequest::parse(&bytes);
        }
    }
}
