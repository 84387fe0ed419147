use super::*;

fn text(value: &str) -> PlainValue {
    PlainValue::Text(value.to_owned())
}

fn map(entries: Vec<(&str, PlainValue)>) -> PlainValue {
    let entries = entries.into_iter();
    PlainValue::Map(
        entries
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

/// What every tunnel has.
fn base() -> Vec<(&'static str, PlainValue)> {
    vec![
        ("sshHost", text("bastion")),
        ("sshUsername", text("alice")),
        ("password", text("hunter2!")),
    ]
}

fn read(entries: Vec<(&str, PlainValue)>) -> Read<TunnelConfig> {
    let map = map(entries);
    let options = Options::new("options", &map)?;
    let config = TunnelConfig::read(&options)?;
    options.finish()?;
    Ok(config)
}

fn with(key: &'static str, value: PlainValue) -> Read<TunnelConfig> {
    let mut entries = base();
    entries.retain(|(name, _)| *name != key);
    entries.push((key, value));
    read(entries)
}

#[test]
fn nothing_else_given_is_the_documented_defaults() {
    let config = read(base()).unwrap();
    let [hop] = config.hops.as_slice() else {
        panic!("{config:?}");
    };
    assert_eq!((hop.host.as_str(), hop.port), ("bastion", 22));
    assert!(matches!(&hop.host_keys, HostKeySource::Files(files) if files.len() == 2));
    assert_eq!((&config.remote, config.local_port), (&None, None));
    let ms = Duration::from_millis;
    assert_eq!(config.reconnect.max_retries, 3);
    assert_eq!(config.reconnect.retry_delay, ms(1000));
    assert_eq!(config.reconnect.check_interval, Limit::At(ms(30_000)));
    assert_eq!(config.keep_alive_interval, ms(15_000));
    assert_eq!(config.keep_alive_count, 3);
    assert_eq!(config.connect_timeout, ms(20_000));
    assert_eq!(config.limits.max_channels, 10);
    assert_eq!(config.limits.max_sessions, 10);
    assert!(!format!("{config:?}").contains("hunter2"));
}

/// A key, its value, and a part of the message about it.
type Mistake = (&'static str, PlainValue, &'static str);

fn assert_named(mistakes: Vec<Mistake>) {
    for (key, value, message) in mistakes {
        let error = with(key, value).unwrap_err();
        assert!(error.message.contains(message), "{error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
}

#[test]
fn each_mistake_of_a_hop_is_named() {
    let number = PlainValue::Number;
    assert_named(vec![
        (
            "sshPort",
            number(0.0),
            "options.sshPort must be between 1 and 65535, got 0",
        ),
        ("sshPort", number(70_000.0), "got 70000"),
        ("sshHost", text(""), "options.sshHost must not be empty"),
        (
            "sshHost",
            PlainValue::Undefined,
            "options.sshHost must be a string",
        ),
        (
            "password",
            PlainValue::Undefined,
            "another credential must be given",
        ),
        (
            "password",
            number(1.0),
            "options.password must be a string, bytes or a function",
        ),
        (
            "passphrase",
            text("x"),
            "options.passphrase needs sshKeyPath",
        ),
        ("keyboardInteractive", text("x"), "must be a function"),
        (
            "hostKeyVerification",
            text("no"),
            "must be 'strict' or 'insecure'",
        ),
        (
            "hostKeyFingerprint",
            text("MD5:aa"),
            "options.hostKeyFingerprint must be 'SHA256:'",
        ),
        (
            "knownHosts",
            PlainValue::List(vec![]),
            "options.knownHosts must not be empty",
        ),
    ]);
}

#[test]
fn each_mistake_of_a_tunnel_is_named() {
    let number = PlainValue::Number;
    assert_named(vec![
        (
            "localPort",
            number(0.0),
            "options.localPort needs remotePort",
        ),
        (
            "remoteHost",
            text("db"),
            "options.remoteHost needs remotePort",
        ),
        (
            "maxPoolSize",
            number(0.0),
            "options.maxPoolSize must be between 1",
        ),
        ("connectTimeoutMs", number(f64::INFINITY), "finite"),
        (
            "healthCheckIntervall",
            number(1.0),
            "did you mean 'healthCheckInterval'?",
        ),
        (
            "readyTimeout",
            number(1.0),
            "did you mean 'connectTimeoutMs'?",
        ),
        ("host", text("a"), "did you mean 'sshHost'?"),
    ]);
}

#[test]
fn a_jump_host_is_read_as_the_target_is_and_is_not_the_target() {
    let jump = |host: &str| {
        let mut entries = base();
        entries[0].1 = text(host);
        map(entries)
    };
    let config = with("jumpHosts", PlainValue::List(vec![jump("a"), jump("b")])).unwrap();
    let hosts: Vec<_> = config.hops.iter().map(|hop| hop.host.as_str()).collect();
    assert_eq!(hosts, ["a", "b", "bastion"]);
    let error = with(
        "jumpHosts",
        PlainValue::List(vec![jump("a"), jump("Bastion")]),
    )
    .unwrap_err();
    assert_eq!(
        error.message,
        "options.jumpHosts[1] is the target itself (bastion:22)"
    );
    let error = with(
        "jumpHosts",
        PlainValue::List(vec![map(vec![("sshHost", text("a"))])]),
    );
    assert!(
        error
            .unwrap_err()
            .message
            .starts_with("options.jumpHosts[0].sshUsername")
    );
}

#[test]
fn credentials_may_be_functions_and_a_certificate_a_text_or_a_path() {
    let asked = || PlainValue::Other("a function");
    let config = with("password", asked()).unwrap();
    assert_eq!(config.hops[0].password, Some(SecretSource::Function));
    assert!(with("keyboardInteractive", asked()).unwrap().hops[0].is_interactive);
    let key = |certificate: &str| {
        let mut entries = base();
        entries.push(("sshKeyPath", text("~/id")));
        entries.push(("certificate", text(certificate)));
        read(entries).unwrap().hops.remove(0)
    };
    let hop = key("ssh-ed25519-cert-v01@openssh.com AAAA");
    assert!(matches!(hop.certificate, Some(CertificateSource::Given(_))));
    if let Some(home) = std::env::var_os("HOME") {
        let home = std::path::PathBuf::from(home);
        assert_eq!(hop.key, Some(KeySource::File(home.join("id"))));
        let file = Some(CertificateSource::File(home.join("c.pub")));
        assert_eq!(key("~/c.pub").certificate, file);
    }
}

#[test]
fn the_far_end_is_a_host_and_port_or_a_socket() {
    let tcp = |host: &str| ChannelTarget::Tcp {
        host: host.to_owned(),
        port: 5432,
    };
    let config = with("remotePort", PlainValue::Number(5432.0)).unwrap();
    assert_eq!(config.remote, Some(tcp("localhost")));
    let mut entries = base();
    entries.push(("remotePort", PlainValue::Number(5432.0)));
    entries.push(("remoteHost", text("db")));
    entries.push(("localPort", PlainValue::Number(0.0)));
    let config = read(entries.clone()).unwrap();
    assert_eq!(
        (config.remote, config.local_port),
        (Some(tcp("db")), Some(0))
    );
    entries.push(("remoteSocketPath", text("/run/pg")));
    assert!(read(entries).is_err());
    let config = with("remoteSocketPath", text("/run/pg")).unwrap();
    let socket = ChannelTarget::UnixSocket("/run/pg".to_owned());
    assert_eq!(config.remote, Some(socket));
}
