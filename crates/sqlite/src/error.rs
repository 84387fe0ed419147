//! Errors of the engine.

use std::{ffi::CStr, fmt, ptr::NonNull};

use libsql::ffi;

/// A result of the engine.
pub type Result<T> = std::result::Result<T, Error>;

/// An error as the engine reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The extended result code (<https://sqlite.org/rescode.html>).
    pub code: i32,
    /// The message of the engine.
    pub message: String,
}

impl Error {
    pub(crate) fn new(code: i32, message: &str) -> Self {
        Self {
            code,
            message: message.to_owned(),
        }
    }

    /// The last error of a connection.
    ///
    /// # Safety
    /// `raw` is an open connection that no other thread uses.
    pub(crate) unsafe fn last_of(raw: NonNull<ffi::sqlite3>) -> Self {
        // SAFETY: the message is valid until the next call on the connection, and is copied here.
        unsafe {
            let message = CStr::from_ptr(ffi::sqlite3_errmsg(raw.as_ptr()));
            Self {
                code: ffi::sqlite3_extended_errcode(raw.as_ptr()),
                message: message.to_string_lossy().into_owned(),
            }
        }
    }

    pub(crate) fn out_of_memory() -> Self {
        Self::new(ffi::SQLITE_NOMEM, "out of memory")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Error {}
