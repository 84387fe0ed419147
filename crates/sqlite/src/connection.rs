//! A connection of the engine.

use std::{
    ffi::{CString, c_int, c_void},
    ptr::{self, NonNull},
    sync::{Arc, Mutex, Once, PoisonError},
    time::Duration,
};

use libsql::ffi;

use crate::{
    Action, Authorization, Error, Result, authorizer::authorize, hooks::Hooks, nonblocking,
};

/// A connection to one database. Dropping it closes it, and rolls back what is open.
pub struct Connection {
    pub(crate) raw: NonNull<ffi::sqlite3>,
    /// Compiled statements by the number of their [`crate::StatementId`].
    pub(crate) statements: Vec<Option<NonNull<ffi::sqlite3_stmt>>>,
    pub(crate) hooks: NonNull<Hooks>,
    pub(crate) busy_timeout: c_int,
    interrupt: InterruptHandle,
}

// SAFETY: the engine is compiled with SQLITE_THREADSAFE, and a connection that is opened with SQLITE_OPEN_NOMUTEX may be used
// by any thread as long as it is one at a time, which `&mut` holds. The hooks belong to the connection and are `Send`.
unsafe impl Send for Connection {}

impl Connection {
    /// Opens the database at `path`, a path or a `file:` URI; a file that is not there is created.
    pub fn open(path: &str) -> Result<Self> {
        Self::open_with(path, ffi::SQLITE_OPEN_CREATE)
    }

    /// As [`Self::open`], but a file that is not there is an error.
    pub fn open_existing(path: &str) -> Result<Self> {
        Self::open_with(path, 0)
    }

    fn open_with(path: &str, flags: c_int) -> Result<Self> {
        initialize()?;
        let misuse = || Error::new(ffi::SQLITE_CANTOPEN, "the path contains U+0000");
        let path = CString::new(path).map_err(|_| misuse())?;
        let flags = flags | ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_NOMUTEX;
        let mut raw = ptr::null_mut();
        // SAFETY: the path ends with NUL, and the rest are locals.
        let code = unsafe { ffi::sqlite3_open_v2(path.as_ptr(), &raw mut raw, flags, ptr::null()) };
        let raw = NonNull::new(raw).ok_or_else(Error::out_of_memory)?;
        let hooks = NonNull::from(Box::leak(Box::<Hooks>::default()));
        // From here on dropping it closes it, also when it could not be opened.
        let connection = Self {
            raw,
            statements: Vec::new(),
            hooks,
            busy_timeout: 0,
            interrupt: InterruptHandle(Arc::new(Mutex::new(Some(Target(raw))))),
        };
        if code == ffi::SQLITE_OK {
            // Without its own stock of small pieces of memory, which takes 48 KB of each connection and is no faster than the
            // allocator.
            // SAFETY: a connection that has used none of it; the arguments are those that the option takes.
            unsafe {
                let nothing = ptr::null_mut::<c_void>();
                let none: c_int = 0;
                ffi::sqlite3_db_config(
                    raw.as_ptr(),
                    ffi::SQLITE_DBCONFIG_LOOKASIDE,
                    nothing,
                    none,
                    none,
                );
            }
            return Ok(connection);
        }
        // SAFETY: the connection that failed to open can be asked for its error.
        Err(unsafe { Error::last_of(raw) })
    }

    /// The handle that interrupts what runs on this connection.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        self.interrupt.clone()
    }

    /// Has `authorizer` decide about every action of the statements that are compiled from now on.
    pub fn set_authorizer(
        &mut self,
        authorizer: impl FnMut(Action<'_>) -> Authorization + Send + 'static,
    ) {
        // SAFETY: no statement is being compiled, so nothing else refers to the hooks.
        unsafe {
            (*self.hooks.as_ptr()).authorizer = Some(Box::new(authorizer));
            let hooks = self.hooks.as_ptr().cast();
            ffi::sqlite3_set_authorizer(self.raw.as_ptr(), Some(authorize), hooks);
        }
    }

    /// Has the engine wait this long for a lock; it waits in whole milliseconds.
    pub fn set_busy_timeout(&mut self, timeout: Duration) {
        self.busy_timeout = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: an open connection.
        unsafe { ffi::sqlite3_busy_timeout(self.raw.as_ptr(), self.busy_timeout) };
    }

    /// Whether no transaction is open.
    pub fn is_autocommit(&self) -> bool {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_get_autocommit(self.raw.as_ptr()) != 0 }
    }

    /// The number of rows that the last INSERT, UPDATE or DELETE changed itself.
    pub fn changes(&self) -> u64 {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_changes64(self.raw.as_ptr()) }.unsigned_abs()
    }

    /// The number of rows that were changed since the connection was opened, by triggers and foreign keys too.
    pub fn total_changes(&self) -> u64 {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_total_changes64(self.raw.as_ptr()) }.unsigned_abs()
    }

    /// The rowid of the last row that was inserted.
    pub fn last_insert_rowid(&self) -> i64 {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_last_insert_rowid(self.raw.as_ptr()) }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.interrupt.detach();
        // SAFETY: nobody else has the connection, its statements or its hooks any more, and each is freed once. The hooks go
        // last, because closing rolls back and may call them.
        unsafe {
            for statement in self.statements.drain(..).flatten() {
                ffi::sqlite3_finalize(statement.as_ptr());
            }
            ffi::sqlite3_close_v2(self.raw.as_ptr());
            drop(Box::from_raw(self.hooks.as_ptr()));
        }
    }
}

/// Prepares the engine once in a process.
fn initialize() -> Result<()> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: before the first connection, and once. What is refused leaves the defaults in force, which are as sound.
        unsafe {
            // Its statistics, which nobody reads, would take a lock of the process for each allocation.
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int);
        }
        nonblocking::install();
    });
    // SAFETY: it may be called at any time, and tells whether the engine can be used.
    match unsafe { ffi::sqlite3_initialize() } {
        ffi::SQLITE_OK => Ok(()),
        code => Err(Error::new(code, "the engine cannot be initialized")),
    }
}

struct Target(NonNull<ffi::sqlite3>);

// SAFETY: interrupting is the one thing that any thread may do to an open connection.
unsafe impl Send for Target {}

/// Interrupts a connection from any thread. After the end of the connection it does nothing.
#[derive(Clone)]
pub struct InterruptHandle(Arc<Mutex<Option<Target>>>);

impl InterruptHandle {
    /// Interrupts what runs at this moment; it ends with `SQLITE_INTERRUPT`, and a write that is outside of a transaction is
    /// undone.
    pub fn interrupt(&self) {
        if let Some(Target(raw)) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            // SAFETY: the connection is open, because it detaches itself under this lock before it is closed.
            unsafe { ffi::sqlite3_interrupt(raw.as_ptr()) };
        }
    }

    fn detach(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
