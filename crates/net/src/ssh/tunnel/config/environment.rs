//! What stands for options of a tunnel that are not given: environment variables, then a profile.

use std::path::Path;

use moorline_core::{
    environment::Form,
    options::{Fallback, OptionError, Options, PlainValue, Read},
    profile::{Profile, TunnelProfile},
};

use super::{KeySource, TunnelConfig};

/// Each option that has a variable, and the options beside which it does not count: they say the same otherwise.
const VARIABLES: [(&str, &str, Form, &[&str]); 12] = [
    ("sshHost", "SSH_HOST", Form::Text, &[]),
    ("sshPort", "SSH_PORT", Form::Number, &[]),
    ("sshUsername", "SSH_USER", Form::Text, &[]),
    ("sshKeyPath", "SSH_KEY_PATH", Form::Text, &["privateKey"]),
    (
        "knownHosts",
        "SSH_KNOWN_HOSTS",
        Form::Text,
        &["hostKeyFingerprint", "hostKeyVerification"],
    ),
    (
        "hostKeyFingerprint",
        "SSH_HOST_FINGERPRINT",
        Form::Text,
        &["knownHosts", "hostKeyVerification"],
    ),
    (
        "remoteHost",
        "POSTGRES_REMOTE_HOST",
        Form::Text,
        &["remoteSocketPath"],
    ),
    (
        "remotePort",
        "POSTGRES_REMOTE_PORT",
        Form::Number,
        &["remoteSocketPath"],
    ),
    ("localPort", "POSTGRES_PORT", Form::Number, &[]),
    ("maxRetries", "SSH_MAX_RETRIES", Form::Number, &[]),
    ("retryDelay", "SSH_RETRY_DELAY", Form::Number, &[]),
    (
        "healthCheckInterval",
        "SSH_HEALTH_CHECK_INTERVAL",
        Form::Number,
        &[],
    ),
];
/// What is needed to reach a server; another credential stands for the key.
const REQUIRED: [(&str, &str, &[&str]); 3] = [
    (
        "sshKeyPath",
        "SSH_KEY_PATH",
        &["privateKey", "agent", "password", "keyboardInteractive"],
    ),
    ("sshHost", "SSH_HOST", &[]),
    ("sshUsername", "SSH_USER", &[]),
];
/// The port of Postgres.
const REMOTE_PORT: f64 = 5432.0;

impl TunnelConfig {
    /// Reads the options of a tunnel. `variables` say whether this is production.
    pub fn read_given(given: &PlainValue, variables: &PlainValue) -> Read<Self> {
        let profile = Profile::read(&Options::new("options", given)?, variables)?;
        Self::read_with(given, &of_profile(profile))
    }

    /// Reads the options of a tunnel that the environment `variables` describe; what is given comes before them. Its key must
    /// be there.
    pub fn read_environment(given: &PlainValue, variables: &PlainValue) -> Read<Self> {
        let options = Options::new("options", given)?;
        let profile = Profile::read(&options, variables)?;
        let is_given = |keys: &[&'static str]| keys.iter().any(|key| options.value(key).is_some());
        let mut fallbacks = Vec::new();
        for (key, name, form, instead) in VARIABLES {
            if !is_given(instead) {
                let variable = form.fallback(key, name.to_owned(), |name| text(variables, name))?;
                fallbacks.extend(variable);
            }
        }
        let has = |key: &str| fallbacks.iter().any(|fallback| fallback.key == key);
        let missing: Vec<_> = REQUIRED
            .iter()
            .filter(|(key, _, instead)| !has(key) && !is_given(&[*key]) && !is_given(instead))
            .map(|(_, name, _)| *name)
            .collect();
        if !missing.is_empty() {
            let message = "Missing required environment variables:";
            return Err(OptionError::bad_value(message, missing.join(", ")));
        }
        if !is_given(&["remoteSocketPath"]) {
            let name = "the default of POSTGRES_REMOTE_PORT";
            fallbacks.push(fallback("remotePort", name, REMOTE_PORT));
        }
        fallbacks.extend(of_profile(profile));
        let config = Self::read_with(given, &fallbacks)?;
        for hop in &config.hops {
            if let Some(KeySource::File(path)) = &hop.key {
                check_is_there(path)?;
            }
        }
        Ok(config)
    }

    fn read_with(given: &PlainValue, fallbacks: &[Fallback]) -> Read<Self> {
        let options = Options::new("options", given)?.with_fallbacks(fallbacks);
        // It has been read.
        options.value("profile");
        let config = Self::read(&options)?;
        options.finish()?;
        Ok(config)
    }
}

fn text<'v>(variables: &'v PlainValue, name: &str) -> Option<&'v str> {
    let PlainValue::Map(entries) = variables else {
        return None;
    };
    match entries.iter().find(|(key, _)| key == name) {
        Some((_, PlainValue::Text(text))) => Some(text),
        _ => None,
    }
}

fn fallback(key: &'static str, name: &str, number: f64) -> Fallback {
    Fallback {
        key,
        name: name.to_owned(),
        value: PlainValue::Number(number),
    }
}

fn of_profile(profile: Option<Profile>) -> Vec<Fallback> {
    let Some(Profile { name, tunnel, .. }) = profile else {
        return Vec::new();
    };
    let TunnelProfile {
        max_pool_size,
        max_retries,
        retry_delay,
    } = tunnel;
    let of = |key, number| fallback(key, &format!("{key} of the profile {name}"), number);
    vec![
        of("maxPoolSize", max_pool_size.into()),
        of("maxRetries", max_retries.into()),
        of("retryDelay", retry_delay.as_secs_f64() * 1000.0),
    ]
}

fn check_is_there(path: &Path) -> Read<()> {
    if path.exists() {
        return Ok(());
    }
    let message = "SSH key file not found at path:";
    Err(OptionError::bad_value(message, path.display()))
}
