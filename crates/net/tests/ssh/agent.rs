//! Agents: their keys in turn, none at all, and answers that are none.

use std::path::PathBuf;

use moorline_core::{
    error::{Kind, Outcome},
    secret::Secret,
};
use moorline_net::ssh::{Credential, Session};
use russh::keys::{
    PrivateKey, PublicKeyBase64, signature::Signer, ssh_key::Signature,
    ssh_key::private::Ed25519Keypair,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

use crate::server::{Rules, deadline, failure, host_key, password, server_config, start, trusting};

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}

/// What an agent with these keys answers (draft-ietf-sshm-ssh-agent).
fn answer(keys: &[PrivateKey], request: &[u8]) -> Vec<u8> {
    let blob = |key: &PrivateKey| key.public_key().to_bytes().unwrap();
    if request[0] == 11 {
        let mut answer = vec![12];
        answer.extend((keys.len() as u32).to_be_bytes());
        for key in keys {
            put_string(&mut answer, &blob(key));
            put_string(&mut answer, b"a comment");
        }
        return answer;
    }
    let string = |bytes: &[u8]| {
        let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        (bytes[4..4 + length].to_vec(), bytes[4 + length..].to_vec())
    };
    let (wanted, rest) = string(&request[1..]);
    let (message, _) = string(&rest);
    let Some(key) = keys.iter().find(|key| blob(key) == wanted) else {
        return vec![5];
    };
    let signed: Signature = key.try_sign(&message).unwrap();
    let mut signature = Vec::new();
    put_string(&mut signature, b"ssh-ed25519");
    put_string(&mut signature, signed.as_bytes());
    let mut answer = vec![14];
    put_string(&mut answer, &signature);
    answer
}

/// A socket at which requests are answered so; it is removed with the guard.
struct Agent(PathBuf);

impl Agent {
    fn start(name: &str, answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let name = format!("moorline-agent-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                while let Ok(length) = stream.read_u32().await {
                    let mut request = vec![0; length as usize];
                    stream.read_exact(&mut request).await.unwrap();
                    let mut framed = Vec::new();
                    put_string(&mut framed, &answer(&request));
                    stream.write_all(&framed).await.unwrap();
                }
            }
        });
        Self(path)
    }

    fn credential(&self) -> Credential {
        Credential::Agent(self.0.clone())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn connect(credentials: &[Credential], known: u8) -> Outcome<Session> {
    let rules = Rules {
        public_key: Some(key(known).public_key().public_key_base64()),
        ..Rules::default()
    };
    let stream = start(server_config(), rules);
    Session::connect(stream, trusting(&host_key()), credentials, deadline()).await
}

fn with_keys(name: &str, count: u8) -> Agent {
    let keys: Vec<_> = (1..=count).map(key).collect();
    Agent::start(name, move |request| answer(&keys, request))
}

#[tokio::test]
async fn the_keys_of_an_agent_are_tried_in_turn() {
    let agent = with_keys("turn", 3);
    connect(&[agent.credential()], 3).await.unwrap();
    let failed = failure(connect(&[agent.credential()], 9).await);
    assert_eq!(failed.code, "ERR_SSH_AUTH_REFUSED");
    assert_eq!(failed.detail["refused"].as_array().unwrap().len(), 3);
}

/// The server ends the connection at the tenth refusal.
#[tokio::test]
async fn the_keys_of_an_agent_leave_the_other_credentials_their_turn() {
    let agent = with_keys("others", 20);
    connect(&[agent.credential(), password()], 99)
        .await
        .unwrap();
    let wrong = Credential::Password(Secret::new("wrong"));
    connect(&[agent.credential(), wrong], 2).await.unwrap();
    let failed = failure(connect(&[agent.credential()], 99).await);
    assert_eq!(failed.kind, Kind::Auth, "{failed:?}");
}

#[tokio::test]
async fn an_agent_without_keys_and_one_that_answers_nonsense_are_errors_of_their_own() {
    let empty = with_keys("empty", 0);
    let failed = failure(connect(&[empty.credential()], 1).await);
    assert_eq!(
        (failed.kind, failed.code.as_ref()),
        (Kind::Auth, "ERR_SSH_AGENT_EMPTY")
    );
    let answers: [&[u8]; 4] = [
        b"",
        b"\x05",
        b"\x0c\xff\xff\xff\xff",
        b"\x0c\0\0\0\x01\0\0\0\x02ab",
    ];
    for (index, bytes) in answers.into_iter().enumerate() {
        let agent = Agent::start(&format!("nonsense-{index}"), move |_| bytes.to_vec());
        let failed = failure(connect(&[agent.credential()], 1).await);
        assert_eq!(
            (failed.kind, failed.code.as_ref()),
            (Kind::Auth, "ERR_SSH_AGENT")
        );
    }
}
