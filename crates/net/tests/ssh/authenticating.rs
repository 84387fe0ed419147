//! Authentication: each method, several in sequence, and what a refusal tells.

use std::sync::{Arc, Mutex};

use moorline_core::{
    error::{Delivery, Kind, Outcome},
    secret::Secret,
};
use moorline_net::ssh::{
    AnswerFuture, Credential, PrivateKey, PrivateKeyError, PromptRequest, Prompter, Session,
};
use russh::keys::{PublicKeyBase64, ssh_key::LineEnding};

use crate::server::{
    PASSWORD, Rules, deadline, failure, host_key, password, server_config, start, trusting,
};

async fn connect(rules: Rules, credentials: &[Credential]) -> Outcome<Session> {
    let stream = start(server_config(), rules);
    Session::connect(stream, trusting(&host_key()), credentials, deadline()).await
}

/// Answers with what it has, and keeps what it was asked.
struct Answers {
    answers: Vec<&'static str>,
    asked: Mutex<Vec<PromptRequest>>,
}

impl Prompter for Answers {
    fn answer<'a>(&'a self, request: &'a PromptRequest) -> AnswerFuture<'a> {
        self.asked.lock().unwrap().push(request.clone());
        let answers = self.answers.iter().map(|answer| Secret::new(*answer));
        let answers = answers.take(request.prompts.len()).collect();
        Box::pin(async move { Ok(answers) })
    }
}

fn answering(answers: &[&'static str]) -> (Arc<Answers>, Credential) {
    let answers = Arc::new(Answers {
        answers: answers.to_vec(),
        asked: Mutex::default(),
    });
    let credential = Credential::KeyboardInteractive(Arc::<Answers>::clone(&answers));
    (answers, credential)
}

/// A key of the user's, and the server that knows it.
async fn key() -> (Credential, Rules) {
    let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[9; 32]);
    let pair = russh::keys::PrivateKey::from(pair);
    let text = pair.to_openssh(LineEnding::LF).unwrap();
    let key = PrivateKey::decode(Secret::new(text.as_bytes()), None, None).await;
    let rules = Rules {
        public_key: Some(pair.public_key().public_key_base64()),
        ..Rules::default()
    };
    (
        Credential::PrivateKey(Arc::new(key.unwrap().unwrap())),
        rules,
    )
}

#[tokio::test]
async fn a_password_a_key_and_answers_log_in() {
    connect(Rules::default(), &[password()]).await.unwrap();
    let (key, rules) = key().await;
    connect(rules, &[key]).await.unwrap();
    let (answers, credential) = answering(&["alice", "1234"]);
    connect(Rules::default(), &[credential]).await.unwrap();
    let asked = answers.asked.lock().unwrap();
    assert_eq!(asked[0].name, "Second factor");
    let prompts: Vec<_> = asked[0]
        .prompts
        .iter()
        .map(|one| (one.text.as_str(), one.echo))
        .collect();
    assert_eq!(prompts, [("Name:", true), ("Code:", false)]);
}

#[tokio::test]
async fn the_next_credential_is_tried_when_one_is_refused() {
    let (key, _) = key().await;
    let wrong = Credential::Password(Secret::new("wrong password"));
    let (_, answers) = answering(&["alice", "1234"]);
    connect(Rules::default(), &[key, wrong, answers])
        .await
        .unwrap();
}

#[tokio::test]
async fn several_methods_may_be_wanted_in_sequence() {
    let rules = || Rules {
        wants_both: true,
        ..Rules::default()
    };
    let (_, credential) = answering(&["alice", "1234"]);
    connect(rules(), &[password(), credential]).await.unwrap();
    let failed = failure(connect(rules(), &[password()]).await);
    assert_eq!(failed.code, "ERR_SSH_AUTH_REFUSED");
    assert_eq!(failed.detail["methods"][0], "keyboard-interactive");
}

#[tokio::test]
async fn a_refusal_names_the_methods_and_no_secret() {
    let wrong = Credential::Password(Secret::new("not-the-password"));
    let (_, answers) = answering(&["alice", "9999-secret"]);
    let rules = Rules {
        banner: Some("for members only".to_owned()),
        ..Rules::default()
    };
    let failed = failure(connect(rules, &[wrong, answers]).await);
    assert_eq!((failed.kind, failed.delivery), (Kind::Auth, Delivery::None));
    assert_eq!(failed.code, "ERR_SSH_AUTH_REFUSED");
    assert_eq!(failed.detail["phase"], "authentication");
    assert_eq!(failed.detail["banner"], "for members only");
    let methods = failed.detail["methods"].as_array().unwrap();
    assert!(methods.contains(&"publickey".into()));
    let shown = format!("{failed:?} {:?} {:?}", failed.detail, failed.cause);
    assert!(
        !shown.contains("not-the-password") && !shown.contains("9999-secret"),
        "{shown}"
    );
}

#[tokio::test]
async fn the_banner_is_passed_on() {
    let rules = Rules {
        banner: Some("Welcome\r\n\x1b[31mto us\n".to_owned()),
        ..Rules::default()
    };
    let session = connect(rules, &[password()]).await.unwrap();
    assert_eq!(session.banner(), "Welcome\n[31mto us");
}

#[tokio::test]
async fn too_few_answers_are_an_error_of_their_own() {
    let (_, credential) = answering(&["alice"]);
    let failed = failure(connect(Rules::default(), &[credential]).await);
    assert_eq!(
        (failed.kind, failed.code.as_ref()),
        (Kind::Auth, "ERR_SSH_PROMPT")
    );
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_an_error_of_its_own_and_others_are_tried() {
    let agent = || Credential::Agent("/no/such/agent".into());
    let failed = failure(connect(Rules::default(), &[agent()]).await);
    assert_eq!(
        (failed.kind, failed.code.as_ref()),
        (Kind::Auth, "ERR_SSH_AGENT")
    );
    connect(Rules::default(), &[agent(), password()])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_key_that_cannot_be_read_says_why() {
    use PrivateKeyError::{NotAKey, PassphraseMissing, PassphraseWrong};
    let pair = russh::keys::PrivateKey::from(
        russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[9; 32]),
    );
    let encrypted = pair
        .encrypt(&mut russh::keys::key::safe_rng(), PASSWORD)
        .unwrap();
    let encrypted = encrypted.to_openssh(LineEnding::LF).unwrap();
    let plain = pair.to_openssh(LineEnding::CRLF).unwrap();
    let table = [
        (encrypted.as_str(), Some(PASSWORD), None),
        (encrypted.as_str(), None, Some(PassphraseMissing)),
        (encrypted.as_str(), Some("wrong"), Some(PassphraseWrong)),
        (plain.as_str(), None, None),
        (plain.as_str(), Some("not needed"), None),
        ("ssh-ed25519 AAAA", None, Some(NotAKey)),
        ("", None, Some(NotAKey)),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
            None,
            Some(NotAKey),
        ),
    ];
    for (text, passphrase, error) in table {
        let passphrase = passphrase.map(Secret::new);
        let decoded = PrivateKey::decode(Secret::new(text), passphrase, None).await;
        assert_eq!(decoded.unwrap().err(), error, "{text}");
    }
}
