//! The files of known hosts of a hop, kept, and read again when they change.

use std::{
    collections::HashSet,
    fmt::Write,
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use moorline_core::{
    error::{Failure, Outcome},
    ssh::{HostKeyPolicy, KnownHosts, SkipReason},
    sync::lock,
};

use super::{
    config::HostKeySource,
    file::{self, Stamps},
};
use crate::blocking::run_blocking;

/// The codes of refusals that more lines in the files may change.
const UNKNOWN: &str = "ERR_SSH_HOST_KEY_UNKNOWN";

/// What the files held when they were read.
struct ParsedFiles {
    stamps: Stamps,
    policy: HostKeyPolicy,
    /// Why a file was not read, in a message.
    unread: Vec<String>,
    /// The lines with a marker that is not known: what was meant as a revocation, say, revokes nothing.
    unmarked: Vec<String>,
}

/// How a host's key is verified.
pub(super) struct HostKeys {
    source: HostKeySource,
    files: Mutex<Option<Arc<ParsedFiles>>>,
    warned: Mutex<HashSet<String>>,
}

/// The policy of one attempt.
pub(super) struct CurrentPolicy {
    pub(super) policy: HostKeyPolicy,
    /// Lines that were skipped for their markers, and not told of before.
    pub(super) skipped: Vec<String>,
    unread: Vec<String>,
}

impl HostKeys {
    pub(super) fn new(source: HostKeySource) -> Self {
        Self {
            source,
            files: Mutex::default(),
            warned: Mutex::default(),
        }
    }

    /// The policy of a session that is opened now.
    pub(super) async fn current(&self) -> Outcome<CurrentPolicy> {
        let files = match &self.source {
            HostKeySource::Fingerprints(fingerprints) => {
                return Ok(CurrentPolicy::of(HostKeyPolicy::Fingerprints(
                    fingerprints.clone(),
                )));
            }
            HostKeySource::Insecure => return Ok(CurrentPolicy::of(HostKeyPolicy::Insecure)),
            HostKeySource::Files(files) => files.clone(),
        };
        let known = lock(&self.files).clone();
        let contents = run_blocking(move || read_anew(&files, known)).await?;
        *lock(&self.files) = Some(Arc::clone(&contents));
        let mut warned = lock(&self.warned);
        let is_new = |line: &&String| warned.insert((*line).clone());
        Ok(CurrentPolicy {
            policy: contents.policy.clone(),
            skipped: contents.unmarked.iter().filter(is_new).cloned().collect(),
            unread: contents.unread.clone(),
        })
    }
}

impl CurrentPolicy {
    fn of(policy: HostKeyPolicy) -> Self {
        Self {
            policy,
            skipped: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// The failure, where it is that of an unknown key with the files that were not read.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        if failure.code != UNKNOWN || self.unread.is_empty() {
            return failure;
        }
        let mut message = failure.message.clone();
        // Writing to a text does not fail.
        let _ = write!(message, " ({})", self.unread.join("; "));
        failure.with_message(message)
    }
}

/// What the files hold, read only when they have changed.
fn read_anew(files: &[PathBuf], known: Option<Arc<ParsedFiles>>) -> Arc<ParsedFiles> {
    let stamps = file::stamps_of(files);
    if let Some(known) = known.filter(|known| known.stamps == stamps) {
        return known;
    }
    let mut unread = Vec::new();
    let mut read = Vec::new();
    for path in files {
        let name = path.display().to_string();
        match file::read(path) {
            Ok(contents) => read.push((name, contents)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                unread.push(format!("there is no file {name}"));
            }
            Err(error) => unread.push(format!("{name} could not be read: {error}")),
        }
    }
    let named: Vec<_> = read
        .iter()
        .map(|(name, contents)| (name.as_str(), contents.as_slice()))
        .collect();
    let hosts = KnownHosts::parse(&named);
    let skipped = hosts.skipped_lines().iter();
    let unmarked = skipped.filter(|line| line.reason == SkipReason::Marker);
    Arc::new(ParsedFiles {
        stamps,
        unmarked: unmarked.map(|skipped| skipped.line.to_string()).collect(),
        policy: HostKeyPolicy::KnownHosts(hosts),
        unread,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use moorline_core::error::Kind;

    use super::*;

    #[tokio::test]
    async fn files_are_read_again_when_they_change_and_a_marker_is_told_of_once() {
        let name = format!("moorline-known-hosts-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let keys = HostKeys::new(HostKeySource::Files(vec![path.clone()]));
        let unknown = || Failure::new(Kind::Auth, "unknown").with_code(UNKNOWN);
        let first = keys.current().await.unwrap();
        let explained = first.explain(unknown());
        let expected = format!("unknown (there is no file {})", path.display());
        assert_eq!(explained.message, expected);

        fs::write(&path, "@revokd host ssh-ed25519 AAAA\n").unwrap();
        let second = keys.current().await.unwrap();
        assert_eq!(second.skipped, [format!("{}:1", path.display())]);
        assert_eq!(second.explain(unknown()).message, "unknown");
        assert!(keys.current().await.unwrap().skipped.is_empty());

        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let third = keys.current().await.unwrap().explain(unknown());
        assert!(third.message.contains("could not be read"), "{third}");
        fs::remove_dir(&path).unwrap();
    }
}
