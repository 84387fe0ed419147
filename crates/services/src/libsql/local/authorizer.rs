//! The authorizer: what a statement does, as the engine reports it when it compiles one.
//!
//! It asks once for each table, column and function of a statement, and never while one runs; a statement that is
//! kept is not compiled again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use libsql::{AuthAction, AuthContext, Authorization, Connection};
use moorline_core::error::Outcome;

use crate::libsql::error::engine_failure;

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
    busy_timeout: AtomicI64,
}

impl Default for Authorizer {
    fn default() -> Self {
        Self {
            inserts: AtomicBool::new(false),
            busy_timeout: AtomicI64::new(NOT_NAMED),
        }
    }
}

impl Authorizer {
    /// Has `connection` ask.
    pub(in crate::libsql) fn install(connection: &Connection) -> Outcome<Arc<Self>> {
        let authorizer = Arc::new(Self::default());
        let asked = Arc::clone(&authorizer);
        connection
            .authorizer(Some(Arc::new(move |context| asked.answer(context))))
            .map_err(engine_failure)?;
        Ok(authorizer)
    }

    fn answer(&self, context: &AuthContext<'_>) -> Authorization {
        match context.action {
            AuthAction::Function { function_name } if DEFECTIVE.contains(&function_name) => {
                return Authorization::Deny;
            }
            AuthAction::Pragma {
                pragma_name,
                pragma_value: Some(_),
            } if is_of_the_process(pragma_name) => return Authorization::Deny,
            AuthAction::Pragma {
                pragma_name,
                pragma_value,
            } if pragma_name.eq_ignore_ascii_case("busy_timeout") => {
                let set = |value: &str| value.parse::<i64>().unwrap_or(0).max(0);
                let said = pragma_value.map_or(ASKED, set);
                self.busy_timeout.store(said, Ordering::Relaxed);
            }
            // What a trigger inserts is not the statement's own.
            AuthAction::Insert { table_name }
                if context.accessor.is_none() && !SCHEMAS.contains(&table_name) =>
            {
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

    /// Whether a statement compiled since the last question inserts rows.
    pub(in crate::libsql) fn take_inserts(&self) -> bool {
        self.inserts.swap(false, Ordering::Relaxed)
    }
}

fn is_of_the_process(pragma: &str) -> bool {
    OF_THE_PROCESS
        .iter()
        .any(|name| name.eq_ignore_ascii_case(pragma))
}
