//! Files of known hosts, read as OpenSSH reads them: line by line, skipping what it cannot read.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    key::{KeyType, PublicKey, type_named},
    pattern::HostNames,
};

/// A line of one of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRef {
    /// The file, as [`KnownHosts::parse`] was given it.
    pub origin: Arc<str>,
    /// The number of the line, from 1.
    pub number: usize,
}

impl fmt::Display for LineRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.origin, self.number)
    }
}

/// Why a line was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// It ends before the key.
    Truncated,
    /// It begins with `@`, and not with one marker that is known, followed by a space.
    Marker,
    /// Its hashed name is not written as one.
    HashedName,
    /// Its key is of a type that is not known.
    KeyType,
    /// Its key is not of the type that the line says, or not a key.
    Key,
}

/// A line that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedLine {
    /// The line.
    pub line: LineRef,
    /// Why.
    pub reason: SkipReason,
}

/// What a line says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// The key is one of the host's.
    HostKey,
    /// The key signs certificates of the host.
    Authority,
    /// The key is not to be trusted.
    Revoked,
}

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) line: LineRef,
    pub(super) marker: Marker,
    names: HostNames,
    pub(super) key: PublicKey,
}

/// The lines of all files of known hosts, in their order. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts(Arc<Lines>);

#[derive(Debug, Default)]
struct Lines {
    entries: Vec<Entry>,
    skipped: Vec<SkippedLine>,
}

impl KnownHosts {
    /// Reads the contents of files, each with the name that it has in messages.
    pub fn parse(files: &[(&str, &[u8])]) -> Self {
        let mut lines = Lines::default();
        for (origin, contents) in files {
            let origin: Arc<str> = Arc::from(*origin);
            for (index, line) in contents.split(|byte| *byte == b'\n').enumerate() {
                let line_ref = LineRef {
                    origin: Arc::clone(&origin),
                    number: index + 1,
                };
                lines.add(line_ref, line);
            }
        }
        Self(Arc::new(lines))
    }

    /// The lines that are neither empty, nor a comment, nor read.
    pub fn skipped_lines(&self) -> &[SkippedLine] {
        &self.0.skipped
    }

    /// The lines for this name, which is in lower case.
    pub(super) fn lines_for(&self, name: &str) -> HostLines<'_> {
        let is_for_it = |entry: &&Entry| entry.names.matches(name.as_bytes());
        HostLines(self.0.entries.iter().filter(is_for_it).collect())
    }
}

impl Lines {
    fn add(&mut self, line: LineRef, text: &[u8]) {
        // To the functions of C that OpenSSH uses, a line ends there.
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = trim_start(text);
        if matches!(text, [] | [b'#', ..] | [b'\r']) {
            return;
        }
        match parse_line(text) {
            Ok((marker, names, key)) => self.entries.push(Entry {
                line,
                marker,
                names,
                key,
            }),
            Err(reason) => self.skipped.push(SkippedLine { line, reason }),
        }
    }
}

/// The lines for one name.
pub(super) struct HostLines<'k>(Vec<&'k Entry>);

impl<'k> HostLines<'k> {
    fn marked(&self, marker: Marker) -> impl Iterator<Item = &'k Entry> {
        let entries = self.0.iter().copied();
        entries.filter(move |entry| entry.marker == marker)
    }

    /// The host's keys, and certificates that stand in a line like a key.
    pub(super) fn host_keys(&self) -> impl Iterator<Item = &'k Entry> {
        self.marked(Marker::HostKey)
    }

    /// The line that has this key of the host.
    pub(super) fn host_key(&self, key: &PublicKey) -> Option<&'k Entry> {
        self.host_keys()
            .find(|entry| !entry.key.certified && entry.key.blob == key.blob)
    }

    /// Whether any line has an authority for the host.
    pub(super) fn has_authority(&self) -> bool {
        self.marked(Marker::Authority).next().is_some()
    }

    /// The line that has this authority.
    pub(super) fn authority(&self, key: &PublicKey) -> Option<&'k Entry> {
        // A certificate does not make its key an authority, though OpenSSH takes it: its signature is not verified here.
        self.marked(Marker::Authority)
            .find(|entry| !entry.key.certified && entry.key.blob == key.blob)
    }

    /// The line that revokes this key, alone or in a certificate.
    pub(super) fn revocation(&self, key: &PublicKey) -> Option<&'k Entry> {
        self.marked(Marker::Revoked)
            .find(|entry| entry.key.blob == key.blob)
    }

    /// Whether the first key of this type is one to expect: a revoked one is not.
    pub(super) fn expects(&self, key_type: KeyType) -> bool {
        self.host_keys()
            .find(|entry| !entry.key.certified && entry.key.key_type == key_type)
            .is_some_and(|entry| self.revocation(&entry.key).is_none())
    }
}

fn parse_line(text: &[u8]) -> Result<(Marker, HostNames, PublicKey), SkipReason> {
    let (marker, text) = parse_marker(text).ok_or(SkipReason::Marker)?;
    let (names, text) = split_word(text).ok_or(SkipReason::Truncated)?;
    let names = HostNames::parse(names).ok_or(SkipReason::HashedName)?;
    let (key_type, text) = split_word(text).ok_or(SkipReason::Truncated)?;
    let key_type = type_named(key_type).ok_or(SkipReason::KeyType)?;
    let encoded = split_word(text).map_or(text, |(word, _)| word);
    if encoded.is_empty() {
        return Err(SkipReason::Truncated);
    }
    let key = decode_key(encoded).ok_or(SkipReason::Key)?;
    if key_type != (key.key_type, key.certified) {
        return Err(SkipReason::Key);
    }
    Ok((marker, names, key))
}

/// The marker of a line and what follows it. A marker ends at the line's first space, and at its first tab only where
/// there is no space.
fn parse_marker(text: &[u8]) -> Option<(Marker, &[u8])> {
    if text.first() != Some(&b'@') {
        return Some((Marker::HostKey, text));
    }
    let position = |wanted: u8| text.iter().position(|byte| *byte == wanted);
    let (word, rest) = text.split_at_checked(position(b' ').or_else(|| position(b'\t'))?)?;
    let marker = match word {
        b"@cert-authority" => Marker::Authority,
        b"@revoked" => Marker::Revoked,
        _ => return None,
    };
    let rest = trim_start(rest);
    (rest.first() != Some(&b'@')).then_some((marker, rest))
}

/// Base64 in which what C takes for white space is skipped: the end of a line of Windows' may follow a key directly.
fn decode_key(encoded: &[u8]) -> Option<PublicKey> {
    let is_skipped = |byte: &u8| matches!(byte, b'\r' | b'\x0b' | b'\x0c');
    let blob = if encoded.iter().any(is_skipped) {
        let kept: Vec<u8> = encoded
            .iter()
            .copied()
            .filter(|byte| !is_skipped(byte))
            .collect();
        STANDARD.decode(kept)
    } else {
        STANDARD.decode(encoded)
    };
    PublicKey::decode(&blob.ok()?)
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_blank(*byte));
    start
        .and_then(|start| text.get(start..))
        .unwrap_or_default()
}

/// The first word and what follows it; `None` when nothing, not even a blank, follows.
fn split_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| is_blank(*byte))?;
    let (word, rest) = text.split_at_checked(end)?;
    Some((word, trim_start(rest)))
}
