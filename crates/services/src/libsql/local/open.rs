//! Opening a database of this machine.

use moorline_core::error::{Failure, Kind, Outcome};
use moorline_sqlite::Connection;

use crate::libsql::{error::open_failure, local::LocalTarget};

/// Opens one connection, without a thread or any set-up.
pub(in crate::libsql) fn open(target: &LocalTarget) -> Outcome<Connection> {
    Connection::open(&target.path).map_err(|error| explain(target, open_failure(&error)))
}

/// Adds the reason why a file cannot be opened, which the engine does not give.
fn explain(target: &LocalTarget, failure: Failure) -> Failure {
    use std::{fs, io::ErrorKind, path::Path};

    let path = Path::new(&target.path);
    if failure.code != "SQLITE_CANTOPEN" || target.in_memory() {
        return failure;
    }
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let reason = match (directory.map(fs::metadata), fs::File::open(path)) {
        (Some(Err(error)), _) if error.kind() == ErrorKind::NotFound => {
            "its directory does not exist"
        }
        (Some(Ok(parent)), _) if !parent.is_dir() => "its parent directory is a file",
        (_, Err(error)) if error.kind() == ErrorKind::PermissionDenied => "permission denied",
        (_, Ok(_)) if path.is_dir() => "it is a directory",
        _ => "the system refused access",
    };
    let shown = path.display();
    let origin = target.origin.as_ref();
    let origin = origin.map_or_else(String::new, |origin| format!(" (by {origin})"));
    Failure::new(
        Kind::Connect,
        format!("SQLITE_CANTOPEN: unable to open {shown}{origin}: {reason}"),
    )
    .with_code("SQLITE_CANTOPEN")
    .with_retryable(false)
}
