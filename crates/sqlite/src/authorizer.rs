//! The authorizer: what a statement does, as the engine reports it when it compiles one.

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
};

use libsql::ffi;

use crate::hooks::Hooks;

/// One thing that a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// It calls a function.
    Function {
        /// The name of the function.
        name: &'a str,
    },
    /// It reads or writes a setting.
    Pragma {
        /// The name of the setting.
        name: &'a str,
        /// What it is set to.
        value: Option<&'a str>,
    },
    /// It inserts into a table.
    Insert {
        /// The name of the table.
        table: &'a str,
        /// Whether a trigger or a view does, and not the statement itself.
        indirect: bool,
    },
    /// Something else.
    Other,
}

/// Whether a statement may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// It may.
    Allow,
    /// It is not compiled.
    Deny,
}

/// # Safety
/// Called by the engine with the hooks of the connection that compiles a statement.
pub(crate) unsafe extern "C" fn authorize(
    hooks: *mut c_void,
    code: c_int,
    first: *const c_char,
    second: *const c_char,
    _database: *const c_char,
    accessor: *const c_char,
) -> c_int {
    // SAFETY: the engine's names end with NUL and live for the time of this call, and the hooks as long as the connection,
    // whose `&mut` is held by the caller of the engine.
    let (hooks, first, second) =
        unsafe { (&mut *hooks.cast::<Hooks>(), name_at(first), name_at(second)) };
    let action = match code {
        ffi::SQLITE_FUNCTION => Action::Function {
            name: second.unwrap_or_default(),
        },
        ffi::SQLITE_PRAGMA => Action::Pragma {
            name: first.unwrap_or_default(),
            value: second,
        },
        ffi::SQLITE_INSERT => Action::Insert {
            table: first.unwrap_or_default(),
            indirect: !accessor.is_null(),
        },
        _ => Action::Other,
    };
    let answer = hooks.authorizer.as_mut().map(|authorizer| {
        catch_unwind(AssertUnwindSafe(|| authorizer(action))).unwrap_or(Authorization::Deny)
    });
    match answer {
        Some(Authorization::Deny) => ffi::SQLITE_DENY,
        _ => ffi::SQLITE_OK,
    }
}

/// # Safety
/// `name` is NULL or ends with NUL, and lives for `'a`.
unsafe fn name_at<'a>(name: *const c_char) -> Option<&'a str> {
    // SAFETY: as the caller has it.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_str().unwrap_or_default())
}
