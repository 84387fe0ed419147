//! The write-ahead log: how long it is, and moving it into the database.
//!
//! The engine has a commit do that when the log reaches a limit, and the commit waits for the disk then. A caller can do it
//! instead, over this connection or another one ([`Connection::defer_checkpoints`]).

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    ptr,
};

use libsql::ffi;

use crate::{Connection, Error, Result, hooks::Hooks};

/// The name of the database that a connection was opened for.
const MAIN: &CStr = c"main";

/// The size of the log after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSize {
    /// Its pages, those included that are in the database already.
    pub pages: u32,
    /// The number of pages at which it is to be moved, which is `PRAGMA wal_autocheckpoint`; zero for never.
    pub limit: u32,
}

impl Connection {
    /// From now on a commit to the main database does not move the log, and tells its size instead. Attached databases are left
    /// to the engine. A limit that `PRAGMA wal_autocheckpoint` sets is in force after another call of this; until then
    /// commits move the log again. True where they were deferred before.
    pub fn defer_checkpoints(&mut self) -> bool {
        let hooks = self.hooks.as_ptr();
        // SAFETY: an open connection on which nothing runs, so that nothing else refers to its hooks, which live as long.
        unsafe {
            // With its own function the engine keeps the limit.
            let previous =
                ffi::sqlite3_wal_hook(self.raw.as_ptr(), Some(record_commit), hooks.cast());
            let was_deferred = previous == hooks.cast();
            if !was_deferred {
                (*hooks).log_limit = c_int::try_from(previous.addr()).unwrap_or_default();
            }
            was_deferred
        }
    }

    /// Leaves it to commits again to move the log. False where it was not deferred.
    pub fn restore_checkpoints(&mut self) -> bool {
        let (raw, hooks) = (self.raw.as_ptr(), self.hooks.as_ptr());
        // SAFETY: as above.
        unsafe {
            let previous = ffi::sqlite3_wal_hook(raw, None, ptr::null_mut());
            let was_deferred = previous == hooks.cast();
            let limit = if was_deferred {
                (*hooks).log_limit
            } else {
                c_int::try_from(previous.addr()).unwrap_or_default()
            };
            ffi::sqlite3_wal_autocheckpoint(raw, limit);
            was_deferred
        }
    }

    /// The size of the log, once after a commit that did not move it.
    pub fn take_log_size(&mut self) -> Option<LogSize> {
        // SAFETY: the hooks live as long as the connection, and are written only while a statement runs.
        let hooks = unsafe { &mut *self.hooks.as_ptr() };
        let pages = hooks.log_pages.take()?;
        Some(LogSize {
            pages: u32::try_from(pages).unwrap_or_default(),
            limit: u32::try_from(hooks.log_limit).unwrap_or_default(),
        })
    }

    /// Moves what nobody reads any more of the log into the main database. It waits for the disk, and for no other connection:
    /// it fails with `SQLITE_BUSY` where another one moves it, or writes its header, at this moment. A connection that has not read anything yet does not know that there is a log.
    pub fn checkpoint(&mut self) -> Result<()> {
        let (raw, mode) = (self.raw.as_ptr(), ffi::SQLITE_CHECKPOINT_PASSIVE);
        let (pages, moved) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: an open connection and a name that ends with NUL.
        match unsafe { ffi::sqlite3_wal_checkpoint_v2(raw, MAIN.as_ptr(), mode, pages, moved) } {
            ffi::SQLITE_OK => Ok(()),
            // SAFETY: an open connection.
            _ => Err(unsafe { Error::last_of(self.raw) }),
        }
    }

    /// The whole path of the file of the main database; `None` for one that is not in a file, or whose path is no text.
    pub fn file(&self) -> Option<&str> {
        // SAFETY: an open connection and a name that ends with NUL; the path lives as long as the connection.
        let path = unsafe {
            let path = ffi::sqlite3_db_filename(self.raw.as_ptr(), MAIN.as_ptr());
            (!path.is_null()).then(|| CStr::from_ptr(path))
        };
        path?.to_str().ok().filter(|path| !path.is_empty())
    }
}

/// Takes the place of the engine's own function, which would move the log of any database.
///
/// # Safety
/// Called by the engine, with the hooks of the connection that has committed.
unsafe extern "C" fn record_commit(
    hooks: *mut c_void,
    connection: *mut ffi::sqlite3,
    database: *const c_char,
    pages: c_int,
) -> c_int {
    // SAFETY: the hooks live as long as the connection, and nothing else has a reference to them in a commit; the name ends
    // with NUL.
    unsafe {
        let hooks = &mut *hooks.cast::<Hooks>();
        if CStr::from_ptr(database) == MAIN {
            hooks.log_pages = Some(pages);
        } else if hooks.log_limit > 0 && pages >= hooks.log_limit {
            ffi::sqlite3_wal_checkpoint(connection, database);
        }
    }
    ffi::SQLITE_OK
}
