//! Errors of the engine and of the remote protocol as failures.

use moorline_core::{
    error::{Delivery, Failure, Kind},
    limit::TimeLimit,
};
use moorline_sqlite::Error;

/// The service's name in failures and events.
pub const SERVICE: &str = "libsql";

/// Primary result codes by number (<https://sqlite.org/rescode.html>).
const PRIMARY: [&str; 29] = [
    "SQLITE_OK",
    "SQLITE_ERROR",
    "SQLITE_INTERNAL",
    "SQLITE_PERM",
    "SQLITE_ABORT",
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_NOMEM",
    "SQLITE_READONLY",
    "SQLITE_INTERRUPT",
    "SQLITE_IOERR",
    "SQLITE_CORRUPT",
    "SQLITE_NOTFOUND",
    "SQLITE_FULL",
    "SQLITE_CANTOPEN",
    "SQLITE_PROTOCOL",
    "SQLITE_EMPTY",
    "SQLITE_SCHEMA",
    "SQLITE_TOOBIG",
    "SQLITE_CONSTRAINT",
    "SQLITE_MISMATCH",
    "SQLITE_MISUSE",
    "SQLITE_NOLFS",
    "SQLITE_AUTH",
    "SQLITE_FORMAT",
    "SQLITE_RANGE",
    "SQLITE_NOTADB",
    "SQLITE_NOTICE",
    "SQLITE_WARNING",
];

/// Extended result codes with names of their own: the suffix after the primary name, by number.
const EXTENDED: [(i32, &str); 22] = [
    (261, "RECOVERY"),
    (517, "SNAPSHOT"),
    (773, "TIMEOUT"),
    (262, "SHAREDCACHE"),
    (264, "RECOVERY"),
    (520, "CANTLOCK"),
    (776, "ROLLBACK"),
    (1032, "DBMOVED"),
    (1544, "DIRECTORY"),
    (275, "CHECK"),
    (531, "COMMITHOOK"),
    (787, "FOREIGNKEY"),
    (1043, "FUNCTION"),
    (1299, "NOTNULL"),
    (1555, "PRIMARYKEY"),
    (1811, "TRIGGER"),
    (2067, "UNIQUE"),
    (2323, "VTAB"),
    (2579, "ROWID"),
    (2835, "PINNED"),
    (3091, "DATATYPE"),
    (516, "ROLLBACK"),
];

/// `SQLITE_BUSY` itself, without its extended codes, for which waiting does not help.
pub const BUSY: i32 = 5;
/// The busy and locked codes that a retry can cure: another connection holds a lock, or recovers the file. The others
/// need an action of the caller: to begin the transaction anew, or to finish a statement of its own.
const TRANSIENT: [i32; 4] = [BUSY, 261, 773, 262];
const INTERRUPT: i32 = 9;
const CANTOPEN: i32 = 14;
/// The code of `@libsql/client` for a server error without one.
pub const SERVICE_ERROR_CODE: &str = "SERVER_ERROR";
/// The code of `@libsql/client` for use after close.
pub const CODE_CLIENT_CLOSED: &str = "CLIENT_CLOSED";

/// The name of a primary code, from any result code.
pub fn primary_name(raw: i32) -> &'static str {
    usize::try_from(raw & 0xff)
        .ok()
        .and_then(|index| PRIMARY.get(index))
        .copied()
        .unwrap_or("SQLITE_UNKNOWN")
}

/// The name of an extended code; that of its primary code where it has none of its own here.
pub fn extended_name(raw: i32) -> String {
    let primary = primary_name(raw);
    EXTENDED
        .iter()
        .find(|(number, _)| *number == raw)
        .map_or_else(
            || primary.to_owned(),
            |(_, suffix)| format!("{primary}_{suffix}"),
        )
}

/// The failure for a result code of SQLite.
pub fn sqlite_failure(raw: i32, message: &str) -> Failure {
    let code = primary_name(raw);
    let kind = match raw & 0xff {
        BUSY | 6 => Kind::Overloaded,
        CANTOPEN => Kind::Connect,
        // Only a connection that is being closed is interrupted while a caller still waits.
        INTERRUPT => Kind::Closed,
        _ => Kind::Rejected,
    };
    let failure = if kind == Kind::Closed {
        closed_failure(&format!("{code}: {message}"))
    } else {
        Failure::new(kind, format!("{code}: {message}")).with_code(code)
    };
    failure
        .with_attempts(1)
        .with_delivery(if kind == Kind::Connect {
            Delivery::None
        } else {
            Delivery::Answered
        })
        .with_retryable(TRANSIENT.contains(&raw))
        .with_detail("extendedCode", extended_name(raw))
        .with_detail("rawCode", raw)
}

/// The failure for an error of the engine.
pub fn engine_failure(Error { code, message }: Error) -> Failure {
    sqlite_failure(code, &message)
}

/// The failure for a database that cannot be opened.
pub fn open_failure(error: &Error) -> Failure {
    Failure::new(
        Kind::Connect,
        "SQLITE_CANTOPEN: the database cannot be opened",
    )
    .with_code("SQLITE_CANTOPEN")
    .with_retryable(false)
    .with_cause(error.to_string(), None)
}

/// The failure for SQL without a statement in it.
pub fn no_statement() -> Failure {
    Failure::new(
        Kind::Rejected,
        "SQLITE_ERROR: the SQL contains no statement",
    )
    .with_code("SQLITE_ERROR")
    .with_delivery(Delivery::Answered)
}

/// The failure for several statements where one is run, with the code that servers have for it.
pub fn many_statements() -> Failure {
    Failure::new(
        Kind::Rejected,
        "SQL_MANY_STATEMENTS: the SQL contains more than one statement; use executeMultiple or batch",
    )
    .with_code("SQL_MANY_STATEMENTS")
    .with_delivery(Delivery::Answered)
}

/// The failure for text that is not UTF-8.
pub fn not_text(column: &str) -> Failure {
    Failure::new(
        Kind::Protocol,
        format!("SQLITE_FORMAT: column '{column}' holds text that is not valid UTF-8; read it with CAST(… AS BLOB)"),
    )
    .with_code("SQLITE_FORMAT")
    .with_delivery(Delivery::Answered)
}

/// The failure for an integer that no JavaScript number equals.
pub fn inexact_integer(integer: i64, column: &str) -> Failure {
    let message = format!(
        "ERR_OUT_OF_RANGE: the integer {integer} in column '{column}' cannot be represented exactly as a JavaScript \
         number; use intMode 'bigint' or 'string'"
    );
    Failure::new(Kind::Rejected, message)
        .with_code("ERR_OUT_OF_RANGE")
        .with_delivery(Delivery::Answered)
}

/// The failure for a result that is too long for JavaScript.
pub fn too_long(max: usize) -> Failure {
    let message = format!(
        "SQLITE_TOOBIG: the result is longer as text than the {max} characters of a JavaScript string; read fewer rows, \
         or long text in parts with substr(…) or as bytes with CAST(… AS BLOB)"
    );
    Failure::new(Kind::Rejected, message)
        .with_code("SQLITE_TOOBIG")
        .with_delivery(Delivery::Answered)
}

/// The failure for a named argument without a parameter.
pub fn unknown_parameter(name: &str) -> Failure {
    Failure::new(
        Kind::Rejected,
        format!("SQLITE_RANGE: the statement has no parameter named '{name}'"),
    )
    .with_code("SQLITE_RANGE")
    .with_delivery(Delivery::None)
}

/// The failure for more positional arguments than parameters.
pub fn too_many_arguments(given: usize, parameters: usize) -> Failure {
    Failure::new(
        Kind::Rejected,
        format!(
            "SQLITE_RANGE: {given} arguments were given, the statement has {parameters} parameters"
        ),
    )
    .with_code("SQLITE_RANGE")
    .with_delivery(Delivery::None)
}

/// The failure for a statement whose transaction was ended before, by a statement or by the server.
pub fn transaction_closed() -> Failure {
    let message = "TRANSACTION_CLOSED: the statement was not run because the transaction had ended";
    Failure::new(Kind::Rejected, message)
        .with_code("TRANSACTION_CLOSED")
        .with_delivery(Delivery::None)
}

/// The failure for the use of a connection, lease or client after its end.
pub fn closed_failure(what: &str) -> Failure {
    Failure::new(Kind::Closed, format!("{CODE_CLIENT_CLOSED}: {what}"))
        .with_code(CODE_CLIENT_CLOSED)
        .with_attempts(0)
}

/// The failure of a call that its caller aborted.
pub fn abort_failure() -> Failure {
    closed_failure("the call was aborted")
}

/// The failure of an operation that exceeded its time limit.
pub fn timeout_failure(TimeLimit { time, option }: TimeLimit) -> Failure {
    let message = format!("Query timeout after {}ms", time.as_ms());
    Failure::timed_out(Kind::Timeout, message, option)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_the_libsql_client() {
        for (raw, primary, extended) in [
            (1, "SQLITE_ERROR", "SQLITE_ERROR"),
            (5, "SQLITE_BUSY", "SQLITE_BUSY"),
            (517, "SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT"),
            (2067, "SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_UNIQUE"),
            (1555, "SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_PRIMARYKEY"),
            (787, "SQLITE_CONSTRAINT", "SQLITE_CONSTRAINT_FOREIGNKEY"),
            (26, "SQLITE_NOTADB", "SQLITE_NOTADB"),
        ] {
            assert_eq!(primary_name(raw), primary);
            assert_eq!(extended_name(raw), extended);
        }
    }

    #[test]
    fn each_extended_code_belongs_to_its_primary() {
        for (raw, _) in EXTENDED {
            assert_ne!(primary_name(raw), "SQLITE_UNKNOWN", "{raw}");
            assert!(raw > 255);
        }
    }

    #[test]
    fn only_transient_codes_are_retryable() {
        let retryable = |raw| sqlite_failure(raw, "x").retryable;
        assert!([5, 261, 773, 262].into_iter().all(retryable));
        // SNAPSHOT; LOCKED by a statement of one's own, LOCKED_VTAB; what is no lock.
        assert!(![517, 6, 518, 1, 19, 14, 9].into_iter().any(retryable));
    }

    #[test]
    fn engine_errors_map_to_kinds() {
        let error = |code| Error {
            code,
            message: "x".to_owned(),
        };
        let kind = |code| engine_failure(error(code)).kind;
        assert_eq!(kind(5), Kind::Overloaded);
        assert_eq!(kind(2067), Kind::Rejected);
        assert_eq!(kind(14), Kind::Connect);
        let refused = open_failure(&error(14));
        assert_eq!(
            (refused.kind, refused.delivery),
            (Kind::Connect, Delivery::None)
        );
    }
}
