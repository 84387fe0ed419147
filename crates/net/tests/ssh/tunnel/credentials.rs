//! Credentials of a tunnel: files, functions, and the errors that name them.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use moorline_core::{
    error::{Failure, Kind},
    secret::Secret,
};
use moorline_net::ssh::{
    AnswerFuture, CertificateSource, CredentialRequest, CredentialSource, HostKeySource, KeySource,
    PromptRequest, SecretFuture, SecretKind, SecretSource, SshTunnel, TunnelConfig, TunnelEvent,
    TunnelParts,
};
use russh::keys::{
    PrivateKey, PublicKeyBase64, ssh_key::LineEnding, ssh_key::private::Ed25519Keypair,
};
use tokio::runtime::Handle;

use super::{Network, config, connected, open_echo, parts, tunnel, until};
use crate::server::{PASSWORD, Rules, failure, host_key};

/// A directory of the test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("moorline-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn user_key() -> (String, Rules) {
    let pair = PrivateKey::from(Ed25519Keypair::from_seed(&[9; 32]));
    let rules = Rules {
        public_key: Some(pair.public_key().public_key_base64()),
        ..Rules::default()
    };
    (pair.to_openssh(LineEnding::LF).unwrap().to_string(), rules)
}

fn with_key(key: KeySource) -> TunnelConfig {
    let mut config = config();
    config.hops[0].password = None;
    config.hops[0].key = Some(key);
    config
}

#[tokio::test]
async fn a_key_is_read_from_its_file_and_again_when_it_changes() {
    let folder = Folder::new("key");
    let (text, rules) = user_key();
    let path = folder.write("id", "not a key");
    let network = Network::new();
    network.set_rules(rules);
    let (by_file, events) = tunnel(&network, with_key(KeySource::File(path)));
    let failed = by_file.connect().await.unwrap_err();
    assert_eq!(
        (failed.kind, failed.code.as_ref()),
        (Kind::Auth, "ERR_INVALID_ARG_VALUE")
    );
    assert!(failed.message.contains("/id: "), "{failed}");
    assert_eq!(network.dials(), 0);
    folder.write("id", &text);
    by_file.connect().await.unwrap();
    network.cut();
    until("connected again", || events.reconnects() == 1).await;
    folder.write("id", "no key any more");
    network.cut();
    let is_refused = |event: &TunnelEvent| matches!(event, TunnelEvent::Refused(failure) if failure.code == "ERR_INVALID_ARG_VALUE");
    until("refused", || events.count(is_refused) == 1).await;
    let (by_text, _) = connected(&network, with_key(KeySource::Given(Secret::new(text)))).await;
    open_echo(&by_text).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let network = Network::new();
    let missing = || KeySource::File("/no/such/id_rsa".into());
    let failed = tunnel(&network, with_key(missing()))
        .0
        .connect()
        .await
        .unwrap_err();
    assert_eq!(
        failed.message,
        "SSH key file not found at path: /no/such/id_rsa"
    );
    assert_eq!(failed.code, "ERR_INVALID_ARG_VALUE");
    let failed = tunnel(&network, with_key(KeySource::File("/".into())))
        .0
        .connect()
        .await;
    assert_eq!(
        failed.unwrap_err().message,
        "SSH key file cannot be read at path: /"
    );
    let mut config = with_key(KeySource::Given(Secret::new(user_key().0)));
    config.hops[0].certificate = Some(CertificateSource::File("/no/such/cert".into()));
    let failed = tunnel(&network, config).0.connect().await.unwrap_err();
    assert_eq!(
        failed.message,
        "SSH certificate file not found at path: /no/such/cert"
    );
}

/// Gives what it has, and keeps what it was asked for.
#[derive(Default)]
struct Functions {
    asked: Mutex<Vec<(CredentialRequest, Option<SecretKind>)>>,
    failure: Mutex<Option<Failure>>,
}

impl CredentialSource for Functions {
    fn secret<'a>(&'a self, hop: &'a CredentialRequest, kind: SecretKind) -> SecretFuture<'a> {
        self.asked.lock().unwrap().push((hop.clone(), Some(kind)));
        let failure = self.failure.lock().unwrap().take();
        Box::pin(async move { failure.map_or_else(|| Ok(Secret::new(PASSWORD)), Err) })
    }

    fn answer<'a>(
        &'a self,
        hop: &'a CredentialRequest,
        request: &'a PromptRequest,
    ) -> AnswerFuture<'a> {
        self.asked.lock().unwrap().push((hop.clone(), None));
        let answers = ["alice", "1234"].map(Secret::new).into_iter();
        let answers = answers.take(request.prompts.len()).collect();
        Box::pin(async move { Ok(answers) })
    }
}

fn asking(network: &Arc<Network>, config: TunnelConfig) -> (SshTunnel, Arc<Functions>) {
    let functions = Arc::new(Functions::default());
    let parts = TunnelParts {
        credentials: Some(Arc::<Functions>::clone(&functions) as Arc<dyn CredentialSource>),
        ..parts(network)
    };
    (SshTunnel::new(config, parts, Handle::current()), functions)
}

#[tokio::test]
async fn functions_are_asked_before_each_attempt() {
    let network = Network::new();
    let mut config = config();
    config.hops[0].password = Some(SecretSource::Function);
    let (tunnel, functions) = asking(&network, config);
    let unavailable = Failure::new(Kind::Connector, "the vault is closed");
    *functions.failure.lock().unwrap() = Some(unavailable.clone());
    let failed = tunnel.connect().await.unwrap_err();
    assert_eq!(failed.message, unavailable.message);
    assert_eq!(network.dials(), 0);
    tunnel.connect().await.unwrap();
    network.cut();
    until("connected again", || tunnel.stats().reconnects == 1).await;
    let asked = functions.asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    let (hop, kind) = &asked[0];
    assert_eq!(
        (hop.hop, hop.host.as_str(), *kind),
        (0, "server.test", Some(SecretKind::Password))
    );
}

#[tokio::test]
async fn a_function_answers_the_servers_questions() {
    let network = Network::new();
    let mut config = config();
    config.hops[0].password = None;
    config.hops[0].is_interactive = true;
    let (tunnel, functions) = asking(&network, config);
    tunnel.connect().await.unwrap();
    assert_eq!(functions.asked.lock().unwrap()[0].1, None);
}

#[tokio::test]
async fn an_unknown_key_is_told_with_the_line_to_add_and_what_could_not_be_read() {
    let folder = Folder::new("hosts");
    let path = folder.write("known_hosts", "# nothing yet\n");
    let missing = folder.0.join("missing");
    let network = Network::new();
    let mut config = config();
    config.hops[0].host_keys = HostKeySource::Files(vec![path.clone(), missing.clone()]);
    let (tunnel, _) = tunnel(&network, config);
    let failed = tunnel.connect().await.unwrap_err();
    assert_eq!(failed.code, "ERR_SSH_HOST_KEY_UNKNOWN");
    let expected = format!("(there is no file {})", missing.display());
    assert!(failed.message.contains(&expected), "{failed}");
    let line = failed.detail["lineToAdd"].as_str().unwrap().to_owned();
    assert!(
        failed.message.contains(&line) && line.contains("server.test"),
        "{failed}"
    );
    assert_eq!(
        failure(open_echo(&tunnel).await).code,
        "ERR_SSH_HOST_KEY_UNKNOWN"
    );
    // The file is read again.
    folder.write("known_hosts", &format!("{line}\n"));
    tunnel.connect().await.unwrap();
    assert!(line.contains(&host_key().public_key().public_key_base64()));
}
