//! Agents (draft-ietf-sshm-ssh-agent): their keys, and signatures by them.

use std::{
    io,
    path::{Path, PathBuf},
};

use moorline_core::error::{Failure, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{identity::PublicIdentity, private_key::auth_failure};
use crate::{
    dial::ByteStream,
    ssh::wire::{Malformed, Reader, put_string},
};

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// Flags of a signature by RSA (section 3.6.1).
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;
/// The longest answer that is accepted, as in OpenSSH.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// A connection to an agent.
pub(super) struct Agent {
    stream: Box<dyn ByteStream>,
    path: PathBuf,
}

impl Agent {
    pub(super) async fn connect(path: &Path) -> Outcome<Self> {
        let stream = open(path).await.map_err(|error| {
            let message = format!("no SSH agent answers at {}", path.display());
            auth_failure("ERR_SSH_AGENT", message).with_cause(error.to_string(), None)
        })?;
        Ok(Self {
            stream,
            path: path.to_owned(),
        })
    }

    /// The keys, in the agent's order.
    pub(super) async fn identities(&mut self) -> Outcome<Vec<PublicIdentity>> {
        let answer = self.request(&[REQUEST_IDENTITIES]).await?;
        let identities = parse_identities(&answer).map_err(|_| self.broken())?;
        if identities.is_empty() {
            Err(self.no_keys_failure())
        } else {
            Ok(identities)
        }
    }

    /// An encoded signature.
    pub(super) async fn sign(
        &mut self,
        identity: &PublicIdentity,
        algorithm: &str,
        message: &[u8],
    ) -> Outcome<Vec<u8>> {
        let flags = match algorithm {
            name if name.starts_with("rsa-sha2-512") => RSA_SHA2_512,
            name if name.starts_with("rsa-sha2-256") => RSA_SHA2_256,
            _ => 0,
        };
        let mut request = vec![SIGN_REQUEST];
        put_string(&mut request, &identity.blob);
        put_string(&mut request, message);
        request.extend(flags.to_be_bytes());
        let answer = self.request(&request).await?;
        match answer.split_first() {
            Some((&SIGN_RESPONSE, rest)) => Reader::new(rest)
                .string()
                .map(<[u8]>::to_vec)
                .map_err(|_| self.broken()),
            _ => Err(auth_failure(
                "ERR_SSH_AGENT",
                format!("the SSH agent at {} refused to sign", self.path.display()),
            )),
        }
    }

    pub(super) fn unusable_keys_failure(&self) -> Failure {
        auth_failure(
            "ERR_SSH_AGENT",
            format!(
                "no key of the SSH agent at {} could sign",
                self.path.display()
            ),
        )
    }

    fn no_keys_failure(&self) -> Failure {
        auth_failure(
            "ERR_SSH_AGENT_EMPTY",
            format!("the SSH agent at {} has no keys", self.path.display()),
        )
    }

    fn broken(&self) -> Failure {
        auth_failure(
            "ERR_SSH_AGENT",
            format!(
                "the SSH agent at {} gave an answer that cannot be read",
                self.path.display()
            ),
        )
    }

    async fn request(&mut self, request: &[u8]) -> Outcome<Vec<u8>> {
        let answer = exchange(&mut self.stream, request).await;
        answer.map_err(|error| self.broken().with_cause(error.to_string(), None))
    }
}

async fn exchange(stream: &mut Box<dyn ByteStream>, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    put_string(&mut message, request);
    stream.write_all(&message).await?;
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if length > MAX_ANSWER_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn parse_identities(answer: &[u8]) -> Result<Vec<PublicIdentity>, Malformed> {
    let mut reader = Reader::new(answer);
    if reader.byte()? != IDENTITIES_ANSWER {
        return Err(Malformed);
    }
    let count = reader.uint32()?;
    let mut identities = Vec::new();
    for _ in 0..count {
        identities.push(PublicIdentity::new(reader.string()?.to_vec())?);
        // The comment.
        reader.string()?;
    }
    Ok(identities)
}

#[cfg(unix)]
async fn open(path: &Path) -> io::Result<Box<dyn ByteStream>> {
    Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(windows)]
async fn open(path: &Path) -> io::Result<Box<dyn ByteStream>> {
    Ok(Box::new(
        tokio::net::windows::named_pipe::ClientOptions::new().open(path)?,
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes: Vec<u8>) {
            let _ = parse_identities(&bytes);
            bytes.splice(0..0, [IDENTITIES_ANSWER, 0, 0, 0, 1]);
            let _ = parse_identities(&bytes);
        }
    }
}
