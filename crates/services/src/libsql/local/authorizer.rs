//! The authorizer: what a statement does, as the engine reports it when it compiles one.
//!
//! It asks once for each table, column and function of a statement, and never while one runs; a statement that is
//! kept is not compiled again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use moorline_sqlite::{Action, Authorization, Connection};

/// Functions of the engine inside that write beyond their memory: `concat_ws` multiplies the length of its separator
/// by the number of its arguments in 32 bits (CVE-2025-3277).
const DEFECTIVE: [&str; 1] = ["concat_ws"];
/// Settings of the whole process: one connection would set them for all, and a limit on the heap cannot be taken back.
const OF_THE_PROCESS: [&str; 4] = [
    "hard_heap_limit",
    "soft_heap_limit",
    "temp_store_directory",
    "data_store_directory",
];
/// Settings of how a file is read, locked and written.
const OF_FILES: [&str; 4] = ["journal_mode", "locking_mode", "mmap_size", "synchronous"];
/// Pragmas about moving the log, which say or do something without a value, too.
const OF_LOGS: [&str; 2] = ["wal_autocheckpoint", "wal_checkpoint"];
/// Tables that DDL inserts into.
const SCHEMAS: [&str; 2] = ["sqlite_master", "sqlite_temp_master"];

const NOT_NAMED: i64 = -2;
const ASKED: i64 = -1;

/// Uses of `PRAGMA busy_timeout` by statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::libsql) enum BusyTimeout {
    /// They ask for it.
    Asked,
    /// They set it, to milliseconds.
    Set(u64),
}

/// The answers for one connection.
pub(in crate::libsql) struct Authorizer {
    inserts: AtomicBool,
    sets_files: AtomicBool,
    busy_timeout: AtomicI64,
}

impl Default for Authorizer {
    fn default() -> Self {
        Self {
            inserts: AtomicBool::new(false),
            sets_files: AtomicBool::new(false),
            busy_timeout: AtomicI64::new(NOT_NAMED),
        }
    }
}

impl Authorizer {
    /// Has `connection` ask.
    pub(in crate::libsql) fn install(connection: &mut Connection) -> Arc<Self> {
        let authorizer = Arc::new(Self::default());
        let asked = Arc::clone(&authorizer);
        connection.set_authorizer(move |action| asked.answer(action));
        authorizer
    }

    fn answer(&self, action: Action<'_>) -> Authorization {
        match action {
            Action::Function { name } if DEFECTIVE.contains(&name) => {
                return Authorization::Deny;
            }
            Action::Pragma {
                name,
                value: Some(_),
            } if is_one_of(name, &OF_THE_PROCESS) => return Authorization::Deny,
            Action::Pragma { name, value } if name.eq_ignore_ascii_case("busy_timeout") => {
                let set = |value: &str| value.parse::<i64>().unwrap_or(0).max(0);
                let said = value.map_or(ASKED, set);
                self.busy_timeout.store(said, Ordering::Relaxed);
            }
            Action::Pragma {
                name,
                value: Some(_),
            } if is_one_of(name, &OF_FILES) => self.sets_files.store(true, Ordering::Relaxed),
            Action::Pragma { name, .. } if is_one_of(name, &OF_LOGS) => {
                self.sets_files.store(true, Ordering::Relaxed);
            }
            // What a trigger inserts is not the statement's own.
            Action::Insert {
                table,
                indirect: false,
            } if !SCHEMAS.contains(&table) => {
                self.inserts.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        Authorization::Allow
    }

    /// Returns, once, how the last compiled statement used the busy timeout; `None` when it did not.
    pub(in crate::libsql) fn take_busy_timeout(&self) -> Option<BusyTimeout> {
        match self.busy_timeout.swap(NOT_NAMED, Ordering::Relaxed) {
            NOT_NAMED => None,
            ASKED => Some(BusyTimeout::Asked),
            set => Some(BusyTimeout::Set(set.unsigned_abs())),
        }
    }

    /// Whether a statement compiled since the last question sets how files are read, locked or written, or is about moving
    /// the log.
    pub(in crate::libsql) fn take_sets_files(&self) -> bool {
        self.sets_files.swap(false, Ordering::Relaxed)
    }

    /// Whether a statement compiled since the last question inserts rows.
    pub(in crate::libsql) fn take_inserts(&self) -> bool {
        self.inserts.swap(false, Ordering::Relaxed)
    }
}

fn is_one_of(pragma: &str, names: &[&str]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(pragma))
}
