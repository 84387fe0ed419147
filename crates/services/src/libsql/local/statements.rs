//! The compiled statements that a connection keeps, by their text.

use std::{collections::HashMap, sync::Arc};

use moorline_sqlite::{Connection, StatementId};

use crate::libsql::local::inline::InlineUse;

/// Compiled statements kept per connection.
const KEPT_STATEMENTS: usize = 100;
/// SQL longer than this is rarely run twice.
const KEPT_SQL_BYTES: usize = 4096;

/// A statement that was compiled.
pub(super) struct Prepared {
    pub(super) statement: StatementId,
    /// Whether it inserts rows.
    pub(super) inserts: bool,
    pub(super) is_readonly: bool,
    /// Whether it means something else the next time.
    pub(super) is_for_once: bool,
    pub(super) inline: InlineUse,
}

impl Prepared {
    pub(super) fn finalize(self, connection: &mut Connection) {
        connection.finalize(self.statement);
        self.inline.finalize(connection);
    }
}

struct Slot {
    sql: Arc<str>,
    last_use: u64,
    // Out while it runs.
    prepared: Option<Prepared>,
}

/// The kept statements. One that is in use is taken out and put back.
#[derive(Default)]
pub(super) struct Statements {
    slots: Vec<Slot>,
    by_sql: HashMap<Arc<str>, usize>,
    uses: u64,
}

impl Statements {
    /// Takes out the statement with this text.
    pub(super) fn take(&mut self, sql: &str) -> Option<Prepared> {
        let index = *self.by_sql.get(sql)?;
        self.slots.get_mut(index)?.prepared.take()
    }

    /// Keeps a statement that was reset; the one longest unused makes room.
    pub(super) fn put(&mut self, connection: &mut Connection, sql: &str, prepared: Prepared) {
        if sql.len() > KEPT_SQL_BYTES || prepared.is_for_once {
            return prepared.finalize(connection);
        }
        self.uses += 1;
        let index = match self.by_sql.get(sql) {
            Some(index) => *index,
            None => self.free_slot(connection, sql),
        };
        let slot = &mut self.slots[index];
        slot.last_use = self.uses;
        if let Some(replaced) = slot.prepared.replace(prepared) {
            replaced.finalize(connection);
        }
    }

    fn free_slot(&mut self, connection: &mut Connection, sql: &str) -> usize {
        let sql: Arc<str> = sql.into();
        let slot = Slot {
            sql: Arc::clone(&sql),
            last_use: 0,
            prepared: None,
        };
        let oldest = (0..self.slots.len()).min_by_key(|index| self.slots[*index].last_use);
        let index = match oldest {
            Some(oldest) if self.slots.len() >= KEPT_STATEMENTS => {
                let evicted = std::mem::replace(&mut self.slots[oldest], slot);
                self.by_sql.remove(&evicted.sql);
                if let Some(prepared) = evicted.prepared {
                    prepared.finalize(connection);
                }
                oldest
            }
            _ => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.by_sql.insert(sql, index);
        index
    }

    /// Frees all of them.
    pub(super) fn clear(&mut self, connection: &mut Connection) {
        self.by_sql.clear();
        for prepared in self.slots.drain(..).filter_map(|slot| slot.prepared) {
            prepared.finalize(connection);
        }
    }
}
