//! Statements on a thread that must not wait.
//!
//! While [`Connection::run_nonblocking`] is on, a lock that is held is an error at once, a value that is too long is one, a
//! statement is interrupted at its deadline, and a page that is not in memory is a failed read: Linux is asked with
//! `RWF_NOWAIT` for what its cache has, and on other systems every read of a file fails, so that only the connection's own cache
//! serves. A write is a copy into the system's cache, except where the engine waits for the disk after it: it does so after the
//! header of a new write-ahead log, so that is a failed write, and when it moves the log into the database, which is left to the
//! caller ([`Connection::take_log_size`]) and to later commits. The engine reads and writes by functions of ours for that, which for all other
//! threads are `pread` and `pwrite`.

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
const INSTRUCTIONS_PER_CHECK: c_int = 64;

thread_local! {
    /// The end of the work that must not wait; `None` where it may.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The limits of what must not wait.
#[derive(Clone, Copy, Debug)]
pub struct NonblockingLimits {
    /// The moment at which a running statement is interrupted.
    pub deadline: Instant,
    /// The longest text or blob in bytes; reading a longer one is `SQLITE_TOOBIG`.
    pub value_bytes: u32,
}

/// Whether this system lets reads of files be refused that might wait for a disk.
pub const fn supports_nonblocking_reads() -> bool {
    cfg!(unix)
}

impl Connection {
    /// Calls `work`, in which this connection neither waits nor goes on after the deadline. Statements that were compiled with
    /// [`crate::Compilation::Renewed`] may still be compiled in it.
    pub fn run_nonblocking<R>(
        &mut self,
        limits: NonblockingLimits,
        work: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let guard = NonblockingGuard::set(self, limits);
        work(guard.connection)
    }
}

/// Holds a connection and its thread to their limits until it is dropped.
struct NonblockingGuard<'c> {
    connection: &'c mut Connection,
    previous_value_bytes: c_int,
    defers_checkpoints: bool,
}

impl<'c> NonblockingGuard<'c> {
    fn set(connection: &'c mut Connection, limits: NonblockingLimits) -> Self {
        DEADLINE.set(Some(limits.deadline));
        let (raw, hooks) = (connection.raw.as_ptr(), connection.hooks.as_ptr());
        let value_bytes = c_int::try_from(limits.value_bytes).unwrap_or(c_int::MAX);
        // SAFETY: an open connection on which nothing runs, so that nothing else refers to its hooks, which live as long.
        let previous_value_bytes = unsafe {
            (*hooks).has_begun_commit = false;
            ffi::sqlite3_commit_hook(raw, Some(record_commit), hooks.cast());
            ffi::sqlite3_progress_handler(
                raw,
                INSTRUCTIONS_PER_CHECK,
                Some(check_deadline),
                hooks.cast(),
            );
            ffi::sqlite3_busy_timeout(raw, 0);
            ffi::sqlite3_limit(raw, ffi::SQLITE_LIMIT_LENGTH, value_bytes)
        };
        let defers_checkpoints = connection.defer_checkpoints();
        Self {
            connection,
            previous_value_bytes,
            defers_checkpoints,
        }
    }
}

impl Drop for NonblockingGuard<'_> {
    fn drop(&mut self) {
        let raw = self.connection.raw.as_ptr();
        if !self.defers_checkpoints {
            self.connection.restore_checkpoints();
        }
        // SAFETY: as above.
        unsafe {
            ffi::sqlite3_commit_hook(raw, None, ptr::null_mut());
            ffi::sqlite3_progress_handler(raw, 0, None, ptr::null_mut());
            ffi::sqlite3_busy_timeout(raw, self.connection.busy_timeout);
            ffi::sqlite3_limit(raw, ffi::SQLITE_LIMIT_LENGTH, self.previous_value_bytes);
        }
        DEADLINE.set(None);
    }
}

/// # Safety
/// Called by the engine with the hooks of the connection on which a statement runs.
unsafe extern "C" fn check_deadline(hooks: *mut c_void) -> c_int {
    // SAFETY: the hooks live as long as the connection, and nothing else has a reference to them while it runs.
    let has_begun_commit = unsafe { (*hooks.cast::<Hooks>()).has_begun_commit };
    // The engine asks once more after a statement's end, when there is nothing left to undo.
    c_int::from(!has_begun_commit && DEADLINE.get().is_some_and(is_over))
}

/// # Safety
/// Called by the engine with the hooks of the connection that begins to commit.
unsafe extern "C" fn record_commit(hooks: *mut c_void) -> c_int {
    // SAFETY: as above.
    unsafe { (*hooks.cast::<Hooks>()).has_begun_commit = true };
    // It may commit.
    0
}

fn is_over(deadline: Instant) -> bool {
    Instant::now() >= deadline
}

type Sleep = unsafe extern "C" fn(*mut ffi::sqlite3_vfs, c_int) -> c_int;

/// The engine's own way to sleep.
static SLEEP: OnceLock<Sleep> = OnceLock::new();

/// Puts our functions in the place of those by which the engine reads, writes and sleeps.
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
            let read = std::mem::transmute::<system_calls::Read, unsafe extern "C" fn()>(
                system_calls::pread,
            );
            set_system_call(vfs, c"pread".as_ptr(), Some(read));
            let write = std::mem::transmute::<system_calls::Write, unsafe extern "C" fn()>(
                system_calls::pwrite,
            );
            set_system_call(vfs, c"pwrite".as_ptr(), Some(write));
        }
    }
}

/// # Safety
/// Called by the engine, with its file system.
unsafe extern "C" fn sleep_unless_nonblocking(vfs: *mut ffi::sqlite3_vfs, us: c_int) -> c_int {
    match SLEEP.get() {
        // SAFETY: the arguments are the engine's own.
        Some(sleep) if DEADLINE.get().is_none() => unsafe { sleep(vfs, us) },
        _ => 0,
    }
}

#[cfg(unix)]
mod system_calls {
    use std::ffi::{c_int, c_void};

    use libc::off_t;

    use super::{DEADLINE, is_over};

    pub(super) type Read = unsafe extern "C" fn(c_int, *mut c_void, usize, off_t) -> isize;
    pub(super) type Write = unsafe extern "C" fn(c_int, *const c_void, usize, off_t) -> isize;

    /// `pread`; on a thread that must not wait, of what is in memory only, and not after the deadline: the engine goes through
    /// all pages of a long value in a single step.
    ///
    /// # Safety
    /// As for `pread`.
    pub(super) unsafe extern "C" fn pread(
        file: c_int,
        to: *mut c_void,
        length: usize,
        at: off_t,
    ) -> isize {
        // SAFETY: the arguments are the caller's own.
        unsafe {
            match DEADLINE.get() {
                None => libc::pread(file, to, length, at),
                Some(deadline) if is_over(deadline) => refuse(),
                Some(_) => pread_cached(file, to, length, at),
            }
        }
    }

    /// The length of the header of a write-ahead log (<https://sqlite.org/fileformat2.html#the_write_ahead_log>): no other
    /// write of the engine to the beginning of a file has it.
    const LOG_HEADER_BYTES: usize = 32;

    /// `pwrite`; on a thread that must not wait, of what the engine does not wait for afterwards.
    ///
    /// # Safety
    /// As for `pwrite`.
    pub(super) unsafe extern "C" fn pwrite(
        file: c_int,
        from: *const c_void,
        length: usize,
        at: off_t,
    ) -> isize {
        if DEADLINE.get().is_some() && length == LOG_HEADER_BYTES && at == 0 {
            return refuse();
        }
        // SAFETY: the arguments are the caller's own.
        unsafe { libc::pwrite(file, from, length, at) }
    }

    /// Fails as a call that would wait. Any error does, but for the one that has the engine try again; without one it would
    /// take a file to end here.
    fn refuse() -> isize {
        // SAFETY: the address of the thread's own error.
        unsafe {
            #[cfg(target_os = "linux")]
            let error = libc::__errno_location();
            #[cfg(target_os = "android")]
            let error = libc::__errno();
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            let error = libc::__error();
            *error = libc::EAGAIN;
        }
        -1
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    unsafe fn pread_cached(file: c_int, to: *mut c_void, length: usize, at: off_t) -> isize {
        /// Fails instead of waiting for a disk.
        const RWF_NOWAIT: c_int = 8;
        let part = libc::iovec {
            iov_base: to,
            iov_len: length,
        };
        // SAFETY: one part, of the length that the caller vouches for. By number, since older C libraries lack the function; the
        // system takes the upper half of the offset on its own where a long is shorter.
        unsafe {
            let one: libc::c_long = 1;
            libc::syscall(
                libc::SYS_preadv2,
                file,
                &raw const part,
                one,
                at as libc::c_long,
                (at >> 32) as libc::c_long,
                RWF_NOWAIT,
            ) as isize
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    unsafe fn pread_cached(_: c_int, _: *mut c_void, _: usize, _: off_t) -> isize {
        refuse()
    }
}
