//! The method `publickey` (RFC 4252, section 7): asked for, then signed.

use super::{
    Attempt, Authenticator, PrivateKey,
    agent::Agent,
    reply::{Reply, unexpected},
};
use crate::ssh::{
    error::SessionError,
    wire::{Malformed, Reader, put_string},
};
use crate::{blocking::run_blocking, dial::ByteStream};
use std::sync::Arc;

/// Signature algorithms for RSA keys, with what is offered first. The one with SHA-1 is not among them.
const RSA_ALGORITHMS: [&str; 2] = ["rsa-sha2-512", "rsa-sha2-256"];
const CERTIFICATE_SUFFIX: &str = "-cert-v01@openssh.com";

/// An encoded public key or certificate, as it is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicIdentity {
    pub(super) blob: Vec<u8>,
    /// The name of its type.
    name: String,
}

impl PublicIdentity {
    pub(super) fn new(blob: Vec<u8>) -> Result<Self, Malformed> {
        let name = Reader::new(&blob).text()?.to_owned();
        Ok(Self { blob, name })
    }

    /// The algorithm to sign with, by what the server says that it accepts; `None` when there is none (RFC 8332, section
    /// 3.3: a server that says nothing accepts any).
    fn algorithm(&self, server_sig_algs: Option<&[String]>) -> Option<String> {
        let (plain, suffix) = match self.name.strip_suffix(CERTIFICATE_SUFFIX) {
            Some(plain) => (plain, CERTIFICATE_SUFFIX),
            None => (self.name.as_str(), ""),
        };
        if plain != "ssh-rsa" {
            return (plain != "ssh-dss").then(|| self.name.clone());
        }
        let is_accepted = |name: &&&str| {
            server_sig_algs.is_none_or(|accepted| accepted.iter().any(|other| other == **name))
        };
        let algorithm = RSA_ALGORITHMS.iter().find(is_accepted)?;
        Some(format!("{algorithm}{suffix}"))
    }
}

/// What signs.
enum Signer<'s> {
    Key(&'s Arc<PrivateKey>),
    Agent(&'s mut Agent),
}

impl<S: ByteStream> Authenticator<'_, S> {
    /// Tries a key's certificate, then the key.
    pub(super) async fn attempt_private_key(
        &mut self,
        key: &Arc<PrivateKey>,
    ) -> Result<Attempt, SessionError> {
        let mut attempt = None;
        for identity in key.identities() {
            let next = self.attempt_identity(identity, Signer::Key(key)).await?;
            if !is_plainly_refused(&next) {
                return Ok(next);
            }
            attempt = Some(next);
        }
        attempt.ok_or_else(unexpected)
    }

    /// Tries the keys of an agent in their order.
    pub(super) async fn attempt_agent(
        &mut self,
        path: &std::path::Path,
        tries: usize,
    ) -> Result<Attempt, SessionError> {
        let mut agent = match Agent::connect(path).await {
            Ok(agent) => agent,
            Err(failure) => return Ok(Attempt::Unusable(failure)),
        };
        let identities = match agent.identities().await {
            Ok(identities) => identities,
            Err(failure) => return Ok(Attempt::Unusable(failure)),
        };
        let mut attempt = None;
        for identity in identities.iter().take(tries) {
            let next = self
                .attempt_identity(identity, Signer::Agent(&mut agent))
                .await?;
            match next {
                // The agent could not sign with this one, or the server wants no such signature.
                Attempt::Unusable(_) => {}
                next if is_plainly_refused(&next) => attempt = Some(next),
                next => return Ok(next),
            }
        }
        Ok(attempt.unwrap_or_else(|| Attempt::Unusable(agent.unusable_keys_failure())))
    }

    async fn attempt_identity(
        &mut self,
        identity: &PublicIdentity,
        signer: Signer<'_>,
    ) -> Result<Attempt, SessionError> {
        let accepted = self.connection.server_sig_algs.as_deref();
        let Some(algorithm) = identity.algorithm(accepted) else {
            return Ok(Attempt::Unusable(no_algorithm(identity)));
        };
        let reply = self
            .exchange(&self.query(identity, &algorithm, false))
            .await?;
        match reply {
            Reply::Success => return Ok(Attempt::Accepted),
            Reply::Failure {
                methods,
                is_partial,
            } => return Ok(self.refused(&algorithm, methods, is_partial)),
            Reply::Method(_) => {}
        }
        let mut message = self.query(identity, &algorithm, true);
        let mut to_sign = Vec::new();
        put_string(&mut to_sign, self.connection.session_id());
        to_sign.extend_from_slice(&message);
        let signature = match signer {
            Signer::Key(key) => {
                let (key, name) = (Arc::clone(key), algorithm.clone());
                // RSA takes milliseconds.
                run_blocking(move || key.sign(&name, &to_sign))
                    .await
                    .and_then(|signature| signature)
            }
            Signer::Agent(agent) => agent.sign(identity, &algorithm, &to_sign).await,
        };
        let signature = match signature {
            Ok(signature) => signature,
            Err(failure) => return Ok(Attempt::Unusable(failure)),
        };
        put_string(&mut message, &signature);
        match self.exchange(&message).await? {
            Reply::Success => Ok(Attempt::Accepted),
            Reply::Failure {
                methods,
                is_partial,
            } => Ok(self.refused(&algorithm, methods, is_partial)),
            Reply::Method(_) => Err(unexpected()),
        }
    }

    /// The request, to be signed or only to ask whether a signature would be accepted.
    fn query(&self, identity: &PublicIdentity, algorithm: &str, is_signed: bool) -> Vec<u8> {
        let mut message = self.begin_request(b"publickey");
        message.push(u8::from(is_signed));
        put_string(&mut message, algorithm.as_bytes());
        put_string(&mut message, &identity.blob);
        message
    }
}

/// Whether the server wants another credential instead of this one.
const fn is_plainly_refused(attempt: &Attempt) -> bool {
    matches!(
        attempt,
        Attempt::Refused {
            is_partial: false,
            ..
        }
    )
}

fn no_algorithm(identity: &PublicIdentity) -> moorline_core::error::Failure {
    super::private_key::auth_failure(
        "ERR_SSH_KEY_ALGORITHM",
        format!(
            "the SSH server accepts no signature with SHA-2 by a key of type {}",
            identity.name
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str) -> PublicIdentity {
        let mut blob = Vec::new();
        put_string(&mut blob, name.as_bytes());
        PublicIdentity::new(blob).unwrap()
    }

    #[test]
    fn an_rsa_key_signs_with_the_best_that_the_server_accepts_and_never_with_sha_1() {
        let algorithm = |name: &str, accepted: Option<&[&str]>| {
            let accepted: Option<Vec<String>> =
                accepted.map(|names| names.iter().map(ToString::to_string).collect());
            identity(name).algorithm(accepted.as_deref())
        };
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(algorithm("ssh-rsa", None), some("rsa-sha2-512"));
        assert_eq!(
            algorithm("ssh-rsa", Some(&["ssh-rsa", "rsa-sha2-256"])),
            some("rsa-sha2-256")
        );
        assert_eq!(algorithm("ssh-rsa", Some(&["ssh-rsa"])), None);
        assert_eq!(
            algorithm("ssh-rsa-cert-v01@openssh.com", None),
            some("rsa-sha2-512-cert-v01@openssh.com")
        );
        assert_eq!(algorithm("ssh-ed25519", Some(&[])), some("ssh-ed25519"));
        assert_eq!(algorithm("ssh-dss", None), None);
    }
}
