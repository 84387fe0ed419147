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
/// The function that changes a setting, for a transaction where its third argument is true.
const SET_CONFIG: &str = "set_config";
/// The functions that lock until the session ends.
pub(super) const SESSION_LOCKS: [&str; 4] = [
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
];
/// Words in statements that do, beside the locks: settings, temporary tables.
const WORDS: [&str; 4] = [SET_CONFIG, "temp", "temporary", "pg_temp"];
/// What `SET` is followed by where it ends with the transaction.
const LOCAL: [&str; 3] = ["local", "transaction", "constraints"];

/// What is known of a session.
#[derive(Debug, Default)]
pub(super) struct SessionState {
    /// Whether it may have been changed.
    is_changed: AtomicBool,
    /// The statements that are prepared in it.
    pub(super) statements: Arc<StatementCache>,
}

/// What the tags of a statement say of the session on which it runs.
pub(super) struct StatementTrace {
    state: Arc<SessionState>,
    /// Whether whatever it sets ends with the transaction.
    sets_locally: bool,
}

impl StatementTrace {
    /// Takes note of the tag of a statement that has run.
    pub(super) fn on_tag(&self, tag: &str) {
        self.state.statements.on_tag(tag);
        let command = tag.split(' ').next().unwrap_or_default();
        if TAGS.contains(&command) && !(self.sets_locally && command == "SET") {
            self.state.is_changed.store(true, Ordering::Relaxed);
        }
    }
}

impl SessionState {
    /// Takes note of a statement that is sent.
    pub(super) fn on_statement(self: &Arc<Self>, text: &str) -> StatementTrace {
        if has_word(text) {
            self.is_changed.store(true, Ordering::Relaxed);
        }
        StatementTrace {
            state: Arc::clone(self),
            sets_locally: sets_locally(text),
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

/// Whether each SET in `text`, or what looks like one, ends with the transaction. Its tag does not tell.
fn sets_locally(text: &str) -> bool {
    occurrences(text.as_bytes(), b"set").all(|after| {
        let mut words = after.trim_ascii_start().split(|byte| !is_name(byte));
        let next = words.next().unwrap_or_default();
        LOCAL
            .iter()
            .any(|local| next.eq_ignore_ascii_case(local.as_bytes()))
    })
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

/// Whether one of [`SESSION_LOCKS`] or [`WORDS`] stands in `text`, and changes what outlives the transaction.
fn has_word(text: &str) -> bool {
    SESSION_LOCKS.iter().chain(&WORDS).any(|word| {
        let lasts = |after| *word != SET_CONFIG || !is_local_call(after);
        occurrences(text.as_bytes(), word.as_bytes()).any(lasts)
    })
}

/// What follows each `word`, given in lower case, that stands in `text` in any case.
fn occurrences<'a>(text: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let first = word.first().copied().unwrap_or_default();
    memchr::memchr2_iter(first, first.to_ascii_uppercase(), text).filter_map(move |at| {
        let (before, rest) = text.split_at(at);
        let (found, after) = rest.split_at_checked(word.len())?;
        let is_whole = !after.first().is_some_and(is_name) && !before.last().is_some_and(is_name);
        (found.eq_ignore_ascii_case(word) && is_whole).then_some(after)
    })
}

const fn is_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_'
}

/// Whether the arguments that `text` begins with end in `true`. Where it takes more than a look to tell, they do not.
fn is_local_call(text: &[u8]) -> bool {
    let end = memchr::memchr(b')', text).unwrap_or_default();
    let arguments = text.get(..end).unwrap_or_default();
    let quotes = memchr::memchr_iter(b'\'', arguments).count();
    // `$1` is a parameter; anything else after a dollar begins a text.
    let is_text = |two: &[u8]| matches!(two, [b'$', next] if !next.is_ascii_digit());
    let is_odd = quotes % 2 == 1 || arguments.contains(&b'\\') || arguments.windows(2).any(is_text);
    let last = arguments.rsplit(|byte| *byte == b',').next();
    !is_odd && last.is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(b"true"))
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
            ("SET LOCAL x = 1; SET y = 2", "SET"),
            ("SET /* LOCAL */ x = 1", "SET"),
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
            ("SELECT set_config('a.b', 'c, true)', false)", "SELECT 1"),
            ("SELECT set_config('a.b', $1, $2)", "SELECT 1"),
            ("SELECT set_config('a.b', $a$, true)$a$, false)", "SELECT 1"),
            ("CREATE TEMP TABLE t ()", "CREATE TABLE"),
            ("SELECT 1 INTO TEMPORARY t", "SELECT 1"),
            ("CREATE TABLE pg_temp.t ()", "CREATE TABLE"),
            ("SELECT pg_advisory_lock_shared(1)", "SELECT 1"),
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
            ("SET LOCAL app.tenant = 'a'", "SET"),
            (" set  local x to 1; ", "SET"),
            ("BEGIN; SET LOCAL ROLE a; set local x.y = 1", "SET"),
            ("SET TRANSACTION READ ONLY", "SET"),
            ("SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS"),
            ("CREATE TABLE t ()", "CREATE TABLE"),
            ("SELECT attempts, max_temp, temperature FROM t", "SELECT 1"),
            ("SELECT pg_advisory_xact_lock(1)", "SELECT 1"),
            ("SELECT pg_advisory_unlock(1)", "SELECT 1"),
            ("SELECT set_config('a.b', $1, TRUE )", "SELECT 1"),
            ("", ""),
        ] {
            assert!(!after(text, tag), "{text}");
        }
    }
}
