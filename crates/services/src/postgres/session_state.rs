//! What a borrower may leave on a connection, as far as its statements show.
//!
//! A function that hides what it does is not seen through; settings that it makes are found where it is named `set_config`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Tags of statements that change the session (<https://www.postgresql.org/docs/current/sql-discard.html>).
const TAGS: [&str; 8] = [
    "SET", "RESET", "LISTEN", "PREPARE", "DECLARE", "LOAD", "DO", "CALL",
];
/// Names in statements that do: advisory locks, settings, temporary tables.
const NAMES: [&[u8]; 3] = [b"advisory_", b"set_config", b"temp"];

/// The words after SET with which it ends with the transaction.
const LOCAL: [&str; 3] = ["local", "transaction", "constraints"];

/// Whether the session may have been changed.
#[derive(Debug, Default)]
pub(super) struct SessionState(AtomicBool);

/// What the tags of a statement say of the session on which it runs.
pub(super) struct StatementTrace {
    state: Arc<SessionState>,
    /// Whether whatever it sets ends with the transaction.
    sets_locally: bool,
}

impl StatementTrace {
    /// Takes note of a tag.
    pub(super) fn on_tag(&self, tag: &str) {
        let command = tag.split(' ').next().unwrap_or_default();
        if TAGS.contains(&command) && !(self.sets_locally && command == "SET") {
            self.state.0.store(true, Ordering::Relaxed);
        }
    }
}

impl SessionState {
    /// Takes note of a statement that is sent.
    pub(super) fn on_statement(self: &Arc<Self>, text: &str) -> StatementTrace {
        if NAMES.iter().any(|name| contains(text.as_bytes(), name)) {
            self.0.store(true, Ordering::Relaxed);
        }
        StatementTrace {
            state: Arc::clone(self),
            sets_locally: sets_locally(text),
        }
    }

    /// Whether there is something to remove.
    pub(super) fn is_changed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Everything was removed.
    pub(super) fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Whether each SET in `text`, or what looks like one, ends with the transaction.
fn sets_locally(text: &str) -> bool {
    let is_in_word = |letter: char| letter == '_' || letter == '$' || letter.is_alphanumeric();
    let mut words = text
        .split(|letter| !is_in_word(letter))
        .filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("set") {
            let next = words.next().unwrap_or_default();
            if !LOCAL.iter().any(|local| local.eq_ignore_ascii_case(next)) {
                return false;
            }
        }
    }
    true
}

/// Whether `name`, in lower case, stands in `text` in any case.
fn contains(text: &[u8], name: &[u8]) -> bool {
    let Some((&first, _)) = name.split_first() else {
        return true;
    };
    memchr::memchr2_iter(first, first.to_ascii_uppercase(), text).any(|at| {
        text.get(at..at + name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, tag: &str) -> bool {
        let state = Arc::new(SessionState::default());
        state.on_statement(text).on_tag(tag);
        let changed = state.is_changed();
        state.reset();
        assert!(!state.is_changed());
        changed
    }

    #[test]
    fn what_changes_a_session_is_seen() {
        for (text, tag) in [
            ("SET search_path = a", "SET"),
            ("set role x", "SET"),
            ("SET LOCAL x.y = 1; SET x.y = 2", "SET"),
            ("SET x.local = 1", "SET"),
            (
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                "SET",
            ),
            ("RESET ALL", "RESET"),
            ("LISTEN news", "LISTEN"),
            ("PREPARE p AS SELECT 1", "PREPARE"),
            ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "DECLARE CURSOR"),
            ("SELECT pg_advisory_lock(1)", "SELECT 1"),
            ("SELECT PG_TRY_ADVISORY_LOCK(1)", "SELECT 1"),
            ("SELECT set_config('a.b', 'c', false)", "SELECT 1"),
            ("CREATE TEMP TABLE t ()", "CREATE TABLE"),
            ("SELECT 1 INTO TEMPORARY t", "SELECT 1"),
            ("DO $$ BEGIN END $$", "DO"),
            ("CALL p()", "CALL"),
        ] {
            assert!(after(text, tag), "{text}");
        }
    }

    #[test]
    fn what_does_not_is_left_alone() {
        for (text, tag) in [
            ("SELECT 1", "SELECT 1"),
            ("INSERT INTO settings VALUES (1)", "INSERT 0 1"),
            ("BEGIN", "BEGIN"),
            ("BEGIN; SET LOCAL ROLE a; set local x.y = 1", "SET"),
            ("SET TRANSACTION READ ONLY", "SET"),
            ("SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS"),
            ("CREATE TABLE t ()", "CREATE TABLE"),
            ("", ""),
        ] {
            assert!(!after(text, tag), "{text}");
        }
    }
}
