//! Moving a write-ahead log into its database beside the connections that write, so that no commit waits for the disk.
//!
//! The engine has a commit do it when the log reaches its limit. Here a thread does, over a connection of its own, which it
//! opens each time: one that stayed open would keep others from changing how the file is locked, and the last one that closes
//! from removing the log. A log that grows faster than it is moved is moved by a commit, which the writer waits for.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use moorline_core::sync::lock;
use moorline_sqlite::{Compilation, Connection, LogSize};

use crate::libsql::local::{executor::StatementExecutor, rows::DiscardingSink, threads};

/// The number of limits at which a commit moves the log.
const MOST_LIMITS: u32 = 8;
/// The same while a thread moves it, for whose end the commit has to wait.
const MOST_LIMITS_WHILE_MOVED: u32 = 16;

/// Moves the log of the database of one pool.
#[derive(Debug, Default)]
pub struct Checkpointer {
    state: Mutex<CheckpointerState>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct CheckpointerState {
    is_running: bool,
    /// The number of pauses that are not over.
    pauses: usize,
    /// The size of the log when it was moved last.
    moved_at: u32,
}

/// Who moves a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mover {
    /// No one: it is too early.
    Nobody,
    /// A thread.
    Thread,
    /// The connection that has committed.
    Commit,
}

impl CheckpointerState {
    /// Decides who moves a log that has this size after a commit.
    fn mover(&mut self, log: LogSize) -> Mover {
        let most = if self.is_running {
            MOST_LIMITS_WHILE_MOVED
        } else {
            MOST_LIMITS
        };
        if log.limit == 0 {
            return Mover::Nobody;
        }
        if log.pages >= log.limit.saturating_mul(most) {
            return Mover::Commit;
        }
        // It has begun anew.
        if log.pages < self.moved_at {
            self.moved_at = 0;
        }
        // What was written meanwhile keeps a log from beginning anew; it is moved when it is worth it.
        if self.is_running || self.pauses > 0 || log.pages - self.moved_at < log.limit {
            return Mover::Nobody;
        }
        self.moved_at = log.pages;
        Mover::Thread
    }
}

impl Checkpointer {
    fn state(&self) -> MutexGuard<'_, CheckpointerState> {
        lock(&self.state)
    }

    /// Takes note of the log after a commit to the database at `path`, and has it moved when it is time. True when the commit
    /// has to do that itself.
    fn record(self: &Arc<Self>, log: LogSize, path: &str) -> bool {
        let mut state = self.state();
        let mover = state.mover(log);
        state.is_running |= mover == Mover::Thread;
        drop(state);
        if mover == Mover::Thread {
            let (ongoing, path) = (OngoingCheckpoint(Arc::clone(self)), path.to_owned());
            // Without a thread, or where it fails, a later commit does it.
            let _ = threads::run(move || {
                let _ = move_log(&path);
                drop(ongoing);
            });
        }
        mover == Mover::Commit
    }

    /// Waits until no thread moves the log, and has none begin until the pause is dropped.
    pub(super) fn pause(self: &Arc<Self>) -> CheckpointPause {
        let mut state = self.state();
        state.pauses += 1;
        while state.is_running {
            let woken = self.ended.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        CheckpointPause(Arc::clone(self))
    }
}

/// The time in which a thread moves the log.
struct OngoingCheckpoint(Arc<Checkpointer>);

impl Drop for OngoingCheckpoint {
    fn drop(&mut self) {
        self.0.state().is_running = false;
        self.0.ended.notify_all();
    }
}

/// A time in which no thread moves the log.
pub(super) struct CheckpointPause(Arc<Checkpointer>);

impl Drop for CheckpointPause {
    fn drop(&mut self) {
        self.0.state().pauses -= 1;
    }
}

/// Moves the log of the database at `path`, as far as nobody reads it.
fn move_log(path: &str) -> moorline_sqlite::Result<()> {
    let mut connection = Connection::open_existing(path)?;
    // A connection knows of a log when it has read something.
    let (statement, _) = connection.prepare("PRAGMA schema_version", Compilation::Renewed)?;
    if let Some(statement) = statement {
        // A failure shows in what follows.
        let _ = connection.run(&statement, &[], &mut DiscardingSink);
        connection.finalize(statement);
    }
    connection.checkpoint()
}

impl StatementExecutor {
    /// Has the log moved after a commit, when it is time. True when the next commit that may wait has to do it.
    pub(super) fn record_commit(&mut self) -> bool {
        let Some(checkpointer) = &self.checkpointer else {
            return false;
        };
        let log = self.connection.take_log_size();
        log.is_some_and(|log| {
            let path = self.connection.file();
            path.is_some_and(|path| checkpointer.record(log, path))
        })
    }

    /// Has the log moved after a commit, when it is time, and waits for the disk where it has to be done here.
    pub(super) fn keep_log_short(&mut self) {
        if self.record_commit() {
            let _pause = self.pause_checkpoints();
            // Where another connection reads what it would move, the next commit does it.
            let _ = self.connection.checkpoint();
        }
    }

    /// Waits until no thread moves the log of the database, and has none begin until the pause is dropped.
    pub(super) fn pause_checkpoints(&self) -> Option<CheckpointPause> {
        self.checkpointer.as_ref().map(Checkpointer::pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn log(pages: u32) -> LogSize {
        LogSize { pages, limit: 10 }
    }

    #[test]
    fn a_log_is_moved_at_each_limit_and_by_a_commit_when_that_is_not_enough() {
        let mut state = CheckpointerState::default();
        let mut moved = Vec::new();
        for pages in 1..=80 {
            match state.mover(log(pages)) {
                Mover::Thread => moved.push(pages),
                Mover::Commit => assert_eq!(pages, 80),
                Mover::Nobody => {}
            }
        }
        assert_eq!(moved, [10, 20, 30, 40, 50, 60, 70]);
        // A log that has begun anew.
        assert_eq!(state.mover(log(9)), Mover::Nobody);
        assert_eq!(state.mover(log(10)), Mover::Thread);
    }

    #[test]
    fn a_log_that_is_being_moved_may_become_twice_as_long() {
        let mut state = CheckpointerState {
            is_running: true,
            ..CheckpointerState::default()
        };
        assert_eq!(state.mover(log(159)), Mover::Nobody);
        assert_eq!(state.mover(log(160)), Mover::Commit);
    }

    #[test]
    fn no_thread_begins_in_a_pause_and_none_moves_a_log_without_a_limit() {
        let checkpointer = Arc::new(Checkpointer::default());
        let pause = checkpointer.pause();
        assert_eq!(checkpointer.state().mover(log(79)), Mover::Nobody);
        assert_eq!(checkpointer.state().mover(log(80)), Mover::Commit);
        drop(pause);
        let unlimited = LogSize {
            pages: 1 << 30,
            limit: 0,
        };
        assert_eq!(checkpointer.state().mover(unlimited), Mover::Nobody);
        assert_eq!(checkpointer.state().mover(log(79)), Mover::Thread);
    }

    #[test]
    fn a_pause_waits_for_the_thread_that_moves_a_log_and_failures_end_it_too() {
        let checkpointer = Arc::new(Checkpointer::default());
        for round in 0..100 {
            // A file that is not there.
            assert!(!checkpointer.record(log(10), "/nowhere/at/all.db"));
            if round % 2 == 0 {
                drop(checkpointer.pause());
                assert!(!checkpointer.state().is_running);
            }
            checkpointer.state().moved_at = 0;
        }
    }
}
