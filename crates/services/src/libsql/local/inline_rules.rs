//! What the settings of a database allow: statements on the thread of a caller, and the log to be moved beside commits.

use std::time::Duration;

use crate::libsql::{local::executor::StatementExecutor, result::IntMode, statement::Statement};

/// What may run inline on one connection.
pub(super) struct InlineRules {
    /// The longest run that was asked for; zero for none.
    asked: Duration,
    in_memory: bool,
    reads: bool,
    writes: bool,
    /// A statement has set something since these were read.
    is_outdated: bool,
    /// The log is to be moved into the database, which the next commit of another thread does.
    pub(super) is_checkpoint_due: bool,
}

impl InlineRules {
    /// Rules before a setting was made; those of a file allow nothing then.
    pub(super) fn new(asked: Duration, in_memory: bool) -> Self {
        Self {
            asked,
            in_memory,
            reads: in_memory,
            writes: in_memory,
            is_outdated: false,
            is_checkpoint_due: false,
        }
    }

    /// Whether nothing is ever to run inline.
    pub(super) fn are_off(&self) -> bool {
        self.asked.is_zero()
    }

    /// How long a statement may run inline; `None` where it may not.
    pub(super) fn time_limit(&self, is_readonly: bool) -> Option<Duration> {
        let is_allowed = if is_readonly {
            self.reads
        } else {
            self.writes && !self.is_checkpoint_due
        };
        is_allowed.then_some(self.asked)
    }

    /// Allows nothing until the settings were read again.
    pub(super) fn outdate(&mut self) {
        self.reads = false;
        self.writes = false;
        self.is_outdated = true;
    }
}

impl StatementExecutor {
    /// Reads the settings on which it depends what may run inline and who moves the log, if they may have changed.
    ///
    /// Without a write-ahead log each read looks for a journal in the directory, and each commit waits for the disk; with one,
    /// a commit does so where `synchronous` is more than NORMAL. No other connection can move the log of a file that is locked.
    pub(super) fn update_rules(&mut self) {
        if !self.inline.is_outdated {
            return;
        }
        // First, as the questions are statements, too.
        self.inline.is_outdated = false;
        if self.inline.in_memory {
            self.inline.reads = true;
            self.inline.writes = true;
            return;
        }
        let is_logged = self.has_setting("journal_mode", &["\"wal\""])
            && self.has_setting("locking_mode", &["\"normal\""]);
        if is_logged && self.checkpointer.is_some() {
            self.connection.defer_checkpoints();
        }
        self.inline.reads = is_logged
            && !self.inline.are_off()
            && moorline_sqlite::supports_nonblocking_reads()
            && self.has_setting("mmap_size", &["0", ""]);
        self.inline.writes = self.inline.reads && self.has_setting("synchronous", &["0", "1"]);
    }

    /// Whether a setting has one of these values, as they are written in a result.
    fn has_setting(&mut self, name: &str, values: &[&str]) -> bool {
        let question = Statement::without_args(&format!("PRAGMA {name}"));
        self.execute(&question, IntMode::Number)
            .is_ok_and(|result| {
                let is = |value: &&str| result.json.contains(&format!("\"values\":[{value}],"));
                values.iter().any(is)
            })
    }
}
