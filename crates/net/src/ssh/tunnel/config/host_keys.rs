//! How the key of a host is verified.

use std::path::PathBuf;

use moorline_core::{
    options::{OptionError, Options, PlainValue, Read},
    ssh::Fingerprint,
};

use super::hop::expand_home;

const USER_FILE: &str = "~/.ssh/known_hosts";

/// What a host's key is verified by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKeySource {
    /// `knownHosts`: these files (default: `~/.ssh/known_hosts` and the system's).
    Files(Vec<PathBuf>),
    /// `hostKeyFingerprint`: its key is one of these.
    Fingerprints(Vec<Fingerprint>),
    /// `hostKeyVerification: 'insecure'`: nothing.
    Insecure,
}

impl HostKeySource {
    pub(super) fn read(options: &Options<'_>) -> Read<Self> {
        let files = read_texts(options, "knownHosts")?;
        let fingerprints = read_texts(options, "hostKeyFingerprint")?;
        let is_insecure = options.choice(
            "hostKeyVerification",
            false,
            &[("strict", false), ("insecure", true)],
        )?;
        let clash = |key, other| {
            let reason = format!("cannot be given with {other}");
            Err(OptionError::bad_value(&options.path_of(key), reason))
        };
        match (files, fingerprints, is_insecure) {
            (Some(_), Some(_), _) => clash("hostKeyFingerprint", "knownHosts"),
            (Some(_), None, true) => clash("knownHosts", "hostKeyVerification: 'insecure'"),
            (None, Some(_), true) => clash("hostKeyFingerprint", "hostKeyVerification: 'insecure'"),
            (None, None, true) => Ok(Self::Insecure),
            (None, None, false) => Ok(Self::Files(vec![expand_home(USER_FILE), system_file()])),
            (Some(files), None, false) => {
                let files = files.into_iter().map(|(_, file)| expand_home(file));
                Ok(Self::Files(files.collect()))
            }
            (None, Some(fingerprints), false) => {
                let parse = |(path, text): (String, &str)| {
                    Fingerprint::parse(text).ok_or_else(|| {
                        let reason =
                            "must be 'SHA256:' and 43 characters, as ssh-keygen -lf prints it";
                        OptionError::bad_value(&path, reason)
                    })
                };
                let all: Read<Vec<_>> = fingerprints.into_iter().map(parse).collect();
                all.map(Self::Fingerprints)
            }
        }
    }
}

/// One text or a list of them, each with its path, if given. An empty list would trust nothing, by mistake.
fn read_texts<'a>(
    options: &Options<'a>,
    key: &'static str,
) -> Read<Option<Vec<(String, &'a str)>>> {
    let path = options.path_of(key);
    let items = match options.value(key) {
        None => return Ok(None),
        Some(PlainValue::List(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let is_list = matches!(options.value(key), Some(PlainValue::List(_)));
    let mut texts = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = if is_list {
            format!("{path}[{index}]")
        } else {
            path.clone()
        };
        match item {
            PlainValue::Text(text) if !text.is_empty() => texts.push((path, text.as_str())),
            PlainValue::Text(_) => return Err(OptionError::bad_value(&path, "must not be empty")),
            other => return Err(OptionError::wrong_type(&path, "a string", other)),
        }
    }
    if texts.is_empty() {
        return Err(OptionError::bad_value(&path, "must not be empty"));
    }
    Ok(Some(texts))
}

fn system_file() -> PathBuf {
    match std::env::var_os("PROGRAMDATA").filter(|_| cfg!(windows)) {
        Some(root) => PathBuf::from(root).join("ssh").join("ssh_known_hosts"),
        None => "/etc/ssh/ssh_known_hosts".into(),
    }
}
