//! Sessions that a pooler shares among its clients, and the statements that are of no use there.
//!
//! A pooler in transaction mode gives each transaction any session of the server. What a statement sets for the session, or waits
//! for there, is somebody else's as soon as the transaction is over.

use std::sync::atomic::{AtomicBool, Ordering};

use moorline_core::error::{Delivery, Failure, Kind, Outcome};

use super::session_state::SESSION_LOCKS;

/// The code of what needs a session of its own.
const SHARED_SESSION: &str = "ERR_POSTGRES_SHARED_SESSION";

/// Whether the sessions of a pool are shared.
#[derive(Debug, Default)]
pub(super) struct SessionSharing(AtomicBool);

impl SessionSharing {
    pub(super) const fn new(is_shared: bool) -> Self {
        Self(AtomicBool::new(is_shared))
    }

    /// They are, as one of them has shown.
    pub(super) fn find(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether they are, as far as is known.
    pub(super) fn is_shared(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Refuses a statement that would lock or listen until a session ends; `in_transaction` says whether one may be open.
pub(super) fn refuse_session_state(text: &str, in_transaction: bool) -> Outcome<()> {
    let mut words = Words(text);
    let first = words.next().unwrap_or_default();
    let what = if first.eq_ignore_ascii_case("listen") {
        Some("LISTEN")
    } else if !in_transaction && first.eq_ignore_ascii_case("select") {
        let name = words.next().unwrap_or_default();
        let name = if name.eq_ignore_ascii_case("pg_catalog") {
            words.next().unwrap_or_default()
        } else {
            name
        };
        let called = |lock: &&str| lock.eq_ignore_ascii_case(name);
        SESSION_LOCKS.into_iter().find(called)
    } else {
        None
    };
    what.map_or(Ok(()), |what| {
        let message = format!(
            "{what} needs a session of its own: behind a pooler in transaction mode (statementMode 'unnamed') it would be \
             somebody else's; connect to the server itself, or to a pooler in session mode"
        );
        Err(Failure::new(Kind::Rejected, message)
            .with_code(SHARED_SESSION)
            .with_delivery(Delivery::None)
            .with_attempts(0))
    })
}

/// The words at the beginning of a statement, with a dot or comments between them.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let mut rest = self.0;
        loop {
            let trimmed =
                rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '.');
            let after = match (trimmed.strip_prefix("--"), trimmed.strip_prefix("/*")) {
                (Some(comment), _) => comment.split_once('\n'),
                (_, Some(comment)) => comment.split_once("*/"),
                _ => {
                    rest = trimmed;
                    break;
                }
            };
            rest = after?.1;
        }
        let is_in_word = |letter: char| letter == '_' || letter.is_alphanumeric();
        let end = rest
            .find(|letter| !is_in_word(letter))
            .unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_as_long_as_a_session_is_refused_by_name() {
        for (text, named) in [
            ("LISTEN news", "LISTEN"),
            (" \n-- of today\n/* and */ listen news", "LISTEN"),
            ("SELECT pg_advisory_lock(1)", "pg_advisory_lock"),
            (
                "select pg_catalog.PG_TRY_ADVISORY_LOCK(1)",
                "pg_try_advisory_lock",
            ),
        ] {
            let failure = refuse_session_state(text, false).unwrap_err();
            assert_eq!(failure.code, SHARED_SESSION);
            assert!(
                failure.message.starts_with(&format!("{named} ")),
                "{text}: {failure:?}"
            );
        }
    }

    #[test]
    fn what_ends_with_its_transaction_is_not() {
        for text in [
            "SELECT 1",
            "SELECT pg_advisory_xact_lock(1)",
            "SELECT pg_advisory_unlock(1)",
            "SELECT listen FROM words",
            "INSERT INTO texts VALUES ('LISTEN news; SELECT pg_advisory_lock(1)')",
            "NOTIFY news",
            "UNLISTEN *",
            "/* LISTEN",
            "",
        ] {
            assert!(refuse_session_state(text, false).is_ok(), "{text}");
        }
        // It may be unlocked before the transaction ends.
        assert!(refuse_session_state("SELECT pg_advisory_lock(1)", true).is_ok());
    }
}
