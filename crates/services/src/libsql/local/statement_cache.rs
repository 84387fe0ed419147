//! The compiled statements that a connection keeps, by their text.

use std::{collections::HashMap, sync::Arc};

use moorline_sqlite::{Connection, StatementId};

use crate::libsql::local::inline::InlineUse;

/// Compiled statements kept per connection.
const MAX_CACHED_STATEMENTS: usize = 100;
/// SQL longer than this is rarely run twice.
const MAX_CACHED_SQL_BYTES: usize = 4096;

/// A statement that was compiled.
pub(super) struct PreparedStatement {
    pub(super) statement: StatementId,
    /// Whether it inserts rows.
    pub(super) inserts: bool,
    pub(super) is_readonly: bool,
    /// Whether it sets how files are read, locked or written, or moves the log.
    pub(super) sets: bool,
    /// Whether it means something else the next time.
    pub(super) is_single_use: bool,
    pub(super) inline: InlineUse,
}

impl PreparedStatement {
    pub(super) fn finalize(self, connection: &mut Connection) {
        connection.finalize(self.statement);
        self.inline.finalize(connection);
    }
}

struct CacheEntry {
    sql: Arc<str>,
    last_use: u64,
    // Out while it runs.
    prepared: Option<PreparedStatement>,
}

/// The kept statements. One that is in use is taken out and put back.
#[derive(Default)]
pub(super) struct StatementCache {
    entries: Vec<CacheEntry>,
    by_sql: HashMap<Arc<str>, usize>,
    uses: u64,
}

impl StatementCache {
    /// Takes out the statement with this text.
    pub(super) fn take(&mut self, sql: &str) -> Option<PreparedStatement> {
        let index = *self.by_sql.get(sql)?;
        self.entries.get_mut(index)?.prepared.take()
    }

    /// Keeps a statement that was reset; the one longest unused makes room.
    pub(super) fn put(
        &mut self,
        connection: &mut Connection,
        sql: &str,
        prepared: PreparedStatement,
    ) {
        if sql.len() > MAX_CACHED_SQL_BYTES || prepared.is_single_use {
            return prepared.finalize(connection);
        }
        self.uses += 1;
        let index = match self.by_sql.get(sql) {
            Some(index) => *index,
            None => self.insert_entry(connection, sql),
        };
        let entry = &mut self.entries[index];
        entry.last_use = self.uses;
        if let Some(replaced) = entry.prepared.replace(prepared) {
            replaced.finalize(connection);
        }
    }

    fn insert_entry(&mut self, connection: &mut Connection, sql: &str) -> usize {
        let sql: Arc<str> = sql.into();
        let entry = CacheEntry {
            sql: Arc::clone(&sql),
            last_use: 0,
            prepared: None,
        };
        let oldest = (0..self.entries.len()).min_by_key(|index| self.entries[*index].last_use);
        let index = match oldest {
            Some(oldest) if self.entries.len() >= MAX_CACHED_STATEMENTS => {
                let evicted = std::mem::replace(&mut self.entries[oldest], entry);
                self.by_sql.remove(&evicted.sql);
                if let Some(prepared) = evicted.prepared {
                    prepared.finalize(connection);
                }
                oldest
            }
            _ => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        self.by_sql.insert(sql, index);
        index
    }

    /// Frees all of them.
    pub(super) fn clear(&mut self, connection: &mut Connection) {
        self.by_sql.clear();
        for prepared in self.entries.drain(..).filter_map(|entry| entry.prepared) {
            prepared.finalize(connection);
        }
    }
}
