//! What a borrower may leave on a connection, as far as its statements show.
//!
//! A function that hides what it does is not seen through; settings that it makes are found where it is named `set_config`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::statement_cache::StatementCache;

/// Tags of statements that change the session (<https://www.postgresql.org/docs/current/sql-discard.html>).
const TAGS: [&str; 8] = [
    "SET", "RESET", "LISTEN", "PREPARE", "DECLARE", "LOAD", "DO", "CALL",
];
/// Names in statements that do: advisory locks, settings, temporary tables.
const NAMES: [&[u8]; 3] = [b"advisory_", b"set_config", b"temp"];

/// What is known of a session.
#[derive(Debug, Default)]
pub(super) struct SessionState {
    /// Whether it may have been changed.
    is_changed: AtomicBool,
    /// What is prepared in it.
    pub(super) statements: Arc<StatementCache>,
}

impl SessionState {
    /// Takes note of a statement that is sent.
    pub(super) fn on_statement(&self, text: &str) {
        if NAMES.iter().any(|name| contains(text.as_bytes(), name)) {
            self.is_changed.store(true, Ordering::Relaxed);
        }
    }

    /// Takes note of the tag of one that has run.
    pub(super) fn on_tag(&self, tag: &str) {
        self.statements.on_tag(tag);
        let command = tag.split(' ').next().unwrap_or_default();
        if TAGS.contains(&command) {
            self.is_changed.store(true, Ordering::Relaxed);
        }
    }

    /// Whether there is something to remove.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed.load(Ordering::Relaxed)
    }

    /// Everything was removed.
    pub(super) fn reset(&self) {
        self.is_changed.store(false, Ordering::Relaxed);
    }
}

/// Whether `name`, in lower case, stands in `text` in any case.
pub(super) fn contains(text: &[u8], name: &[u8]) -> bool {
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
        let state = SessionState::default();
        state.on_statement(text);
        state.on_tag(tag);
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
            ("CREATE TABLE t ()", "CREATE TABLE"),
            ("", ""),
        ] {
            assert!(!after(text, tag), "{text}");
        }
    }
}
