//! Statements on a thread that must not wait.
//!
//! While [`Connection::run_nonblocking`] is on, a lock that is held is an error at once, a value that is too long is one, a
//! statement is interrupted at its deadline, and a page that is not in memory is a failed read: Linux is asked with
//! `RWF_NOWAIT` for what its cache has, and on other systems every read of a file fails, so that only the connection's own cache
//! serves. The engine reads by a function of ours for that, which for all other threads is `read`.

use std::{
    cell::Cell,
    ffi::{c_int, c_void},
    ptr,
    sync::OnceLock,
    time::Instant,
};

use libsql::ffi;

use crate::{Connection, hooks::Hooks};

/// The number of the engine's instructions between two looks at the clock: the reading of a clock takes as long as
/// two or three of them.
const CHECK_EVERY: c_int = 64;

thread_local! {
    static IS_NONBLOCKING: Cell<bool> = const { Cell::new(false) };
}

/// The bounds of what must not wait.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The moment at which a running statement is interrupted.
    pub deadline: Instant,
    /// The longest text or blob in bytes; reading a longer one is `SQLITE_TOOBIG`.
    pub value_bytes: u32,
}

/// Whether this system lets reads of files be refused that might wait for a disk.
pub const fn reads_can_be_refused() -> bool {
    cfg!(unix)
}

impl Connection {
    /// Calls `work`, in which this connection neither waits nor goes on after the deadline. Statements that were compiled with
    /// [`crate::Compilation::Renewed`] may still be compiled in it.
    pub fn run_nonblocking<R>(&mut self, budget: Budget, work: impl FnOnce(&mut Self) -> R) -> R {
        let bounds = Bounds::set(self, budget);
        work(bounds.connection)
    }
}

/// The bounds on a connection and its thread, while they are in force.
struct Bounds<'c> {
    connection: &'c mut Connection,
    value_bytes: c_int,
}

impl<'c> Bounds<'c> {
    fn set(connection: &'c mut Connection, budget: Budget) -> Self {
        IS_NONBLOCKING.set(true);
        let (raw, hooks) = (connection.raw.as_ptr(), connection.hooks.as_ptr());
        let value_bytes = c_int::try_from(budget.value_bytes).unwrap_or(c_int::MAX);
        // SAFETY: an open connection on which nothing runs, so that nothing else refers to its hooks, which live as long.
        let value_bytes = unsafe {
            (*hooks).deadline = Some(budget.deadline);
            ffi::sqlite3_progress_handler(raw, CHECK_EVERY, Some(check_deadline), hooks.cast());
            ffi::sqlite3_busy_timeout(raw, 0);
            ffi::sqlite3_limit(raw, ffi::SQLITE_LIMIT_LENGTH, value_bytes)
        };
        Self {
            connection,
            value_bytes,
        }
    }
}

impl Drop for Bounds<'_> {
    fn drop(&mut self) {
        let raw = self.connection.raw.as_ptr();
        // SAFETY: as above.
        unsafe {
            ffi::sqlite3_progress_handler(raw, 0, None, ptr::null_mut());
            ffi::sqlite3_busy_timeout(raw, self.connection.busy_timeout);
            ffi::sqlite3_limit(raw, ffi::SQLITE_LIMIT_LENGTH, self.value_bytes);
        }
        IS_NONBLOCKING.set(false);
    }
}

/// # Safety
/// Called by the engine with the hooks of the connection on which a statement runs.
unsafe extern "C" fn check_deadline(hooks: *mut c_void) -> c_int {
    // SAFETY: the hooks live as long as the connection; only the deadline is read.
    let deadline = unsafe { (*hooks.cast::<Hooks>()).deadline };
    c_int::from(deadline.is_some_and(|deadline| Instant::now() >= deadline))
}

type Sleep = unsafe extern "C" fn(*mut ffi::sqlite3_vfs, c_int) -> c_int;

/// The engine's own way to sleep.
static SLEEP: OnceLock<Sleep> = OnceLock::new();

/// Puts our functions in the place of those by which the engine reads and sleeps.
///
/// Called once, before the first connection is opened.
pub(crate) fn install() {
    // SAFETY: the file system of the engine is a static object that nothing uses yet. Each function has the type of the one
    // that it replaces.
    unsafe {
        let Some(vfs) = ffi::sqlite3_vfs_find(ptr::null()).as_mut() else {
            return;
        };
        if let Some(sleep) = vfs.xSleep {
            let _ = SLEEP.set(sleep);
            vfs.xSleep = Some(sleep_unless_nonblocking);
        }
        #[cfg(unix)]
        if let Some(set_system_call) = vfs.xSetSystemCall {
            type Read = unsafe extern "C" fn(c_int, *mut c_void, usize) -> isize;
            let read = std::mem::transmute::<Read, unsafe extern "C" fn()>(read::read);
            set_system_call(vfs, c"read".as_ptr(), Some(read));
        }
    }
}

/// # Safety
/// Called by the engine, with its file system.
unsafe extern "C" fn sleep_unless_nonblocking(vfs: *mut ffi::sqlite3_vfs, us: c_int) -> c_int {
    match SLEEP.get() {
        // SAFETY: the arguments are the engine's own.
        Some(sleep) if !IS_NONBLOCKING.get() => unsafe { sleep(vfs, us) },
        _ => 0,
    }
}

#[cfg(unix)]
mod read {
    use std::ffi::{c_int, c_void};

    use super::IS_NONBLOCKING;

    /// `read`; on a thread that must not wait, of what is in memory only.
    ///
    /// # Safety
    /// As for `read`.
    pub(super) unsafe extern "C" fn read(file: c_int, to: *mut c_void, length: usize) -> isize {
        // SAFETY: the arguments are the caller's own.
        unsafe {
            if IS_NONBLOCKING.get() {
                read_cached(file, to, length)
            } else {
                libc::read(file, to, length)
            }
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    unsafe fn read_cached(file: c_int, to: *mut c_void, length: usize) -> isize {
        /// Fails instead of waiting for a disk.
        const RWF_NOWAIT: c_int = 8;
        /// From where the file's own offset is.
        const AT_OFFSET: libc::c_long = -1;
        let part = libc::iovec {
            iov_base: to,
            iov_len: length,
        };
        // SAFETY: one part, of the length that the caller vouches for. By number, since older C libraries lack the function.
        unsafe {
            let one: libc::c_long = 1;
            let none: libc::c_long = 0;
            libc::syscall(
                libc::SYS_preadv2,
                file,
                &raw const part,
                one,
                AT_OFFSET,
                none,
                RWF_NOWAIT,
            ) as isize
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    unsafe fn read_cached(_: c_int, _: *mut c_void, _: usize) -> isize {
        // Any error does, but for the one that has the engine try again; without one it would take the file to end here.
        // SAFETY: the address of the thread's own error.
        unsafe { *libc::__error() = libc::EAGAIN };
        -1
    }
}
