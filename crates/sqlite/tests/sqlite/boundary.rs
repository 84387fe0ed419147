//! What C leaves to its caller: lifetimes, threads, panics, and whatever is given for SQL.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use moorline_sqlite::{
    Action, Authorization, Compilation, Connection, Row, RowSink, RunError, Value, ValueRef,
};
use proptest::prelude::*;

use crate::{OwnedValue, Rows, memory, run};

/// SQL that runs long enough to be interrupted.
const ENDLESS_QUERY: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

proptest! {
    #[test]
    fn any_text_is_compiled_or_refused(sql in "(?s).{0,60}") {
        let mut connection = memory();
        let _ = run(&mut connection, &sql, &[]);
        prop_assert!(connection.is_autocommit() || sql.to_ascii_lowercase().contains('b'));
    }

    #[test]
    fn any_pieces_of_sql_are_compiled_or_refused_and_what_follows_still_runs(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "SELECT", "INSERT", "INTO", "t", "VALUES", "(", ")", "?", "?1", ":a", ",", "*", "1", "'a'", "x'00'", "FROM",
                "WHERE", "a", "=", "BEGIN", ";", "COMMIT", "ROLLBACK", "DELETE", "UPDATE", "SET", "--", "/*", "*/", "\n",
                "RETURNING", "EXPLAIN", "PRAGMA", "user_version", "ORDER BY", "NULL", "CREATE TABLE", "DROP TABLE", "\"", "'",
            ]),
            0..14,
        ),
        arguments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 0..3),
    ) {
        let mut connection = memory();
        run(&mut connection, "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2)", &[]).unwrap();
        let arguments: Vec<_> = arguments.into_iter().map(Value::Blob).collect();
        let _ = run(&mut connection, &pieces.join(" "), &arguments);
        prop_assert_eq!(run(&mut connection, "SELECT 7", &[]).unwrap(), [[OwnedValue::Integer(7)]]);
    }
}

#[test]
fn the_rest_of_a_text_is_what_follows_its_first_statement() {
    let mut connection = memory();
    let mut rest_of = |sql| {
        let (statement, rest) = connection.prepare(sql, Compilation::Renewed).unwrap();
        (statement.is_some(), rest)
    };
    assert_eq!(rest_of("SELECT 'é;'; SELECT 2"), (true, " SELECT 2"));
    assert_eq!(rest_of("SELECT 1"), (true, ""));
    assert_eq!(rest_of(" -- nothing"), (false, ""));
    assert_eq!(rest_of(""), (false, ""));
    let refused = connection.prepare("SELECT 1\0", Compilation::Renewed);
    assert_eq!(refused.unwrap_err().message, "the SQL contains U+0000");
}

#[test]
fn arguments_end_with_their_run() {
    let mut connection = memory();
    let (statement, _) = connection
        .prepare("SELECT ?1, ?2", Compilation::Renewed)
        .unwrap();
    let statement = statement.unwrap();
    for given in ["first", ""] {
        let text = given.repeat(1000);
        let mut rows = Rows::default();
        let arguments = [ValueRef::Text(text.as_bytes())];
        connection.run(&statement, &arguments, &mut rows).unwrap();
        let expected = [OwnedValue::Text(text.into_bytes()), OwnedValue::Null];
        assert_eq!(rows.rows, [expected]);
    }
    let mut rows = Rows::default();
    connection.run(&statement, &[], &mut rows).unwrap();
    assert_eq!(rows.rows, [[OwnedValue::Null, OwnedValue::Null]]);
    let many = [ValueRef::Null; 3];
    let refused = connection.run(&statement, &many, &mut rows);
    assert!(matches!(refused, Err(RunError::Engine(error)) if error.code == 25));
}

#[test]
fn a_statement_of_another_connection_is_refused() {
    let (mut one, mut other) = (memory(), memory());
    let (statement, _) = one.prepare("SELECT 1", Compilation::Renewed).unwrap();
    let statement = statement.unwrap();
    let refused = other.run(&statement, &[], &mut Rows::default());
    assert!(matches!(refused, Err(RunError::Engine(error)) if error.code == 21));
    other.finalize(statement);
}

/// Refuses every row, or panics at it.
struct RefusingSink {
    panics: bool,
}

impl RowSink for RefusingSink {
    type Refusal = ();

    fn begin(&mut self, _: &Row<'_>) {}

    fn row(&mut self, _: &Row<'_>) -> Result<(), ()> {
        assert!(!self.panics, "on purpose");
        Err(())
    }
}

#[test]
fn a_row_that_is_refused_undoes_what_its_statement_wrote() {
    let mut connection = memory();
    run(&mut connection, "CREATE TABLE t (a)", &[]).unwrap();
    let sql = "INSERT INTO t VALUES (1), (2) RETURNING a";
    let (statement, _) = connection.prepare(sql, Compilation::Renewed).unwrap();
    let statement = statement.unwrap();
    let refused = connection.run(&statement, &[], &mut RefusingSink { panics: false });
    assert_eq!(refused, Err(RunError::Refused(())));
    let count = run(&mut connection, "SELECT count(*) FROM t", &[]).unwrap();
    assert_eq!(count, [[OwnedValue::Integer(0)]]);
}

#[test]
fn a_panic_of_its_receiver_leaves_a_connection_that_goes_on() {
    let mut connection = memory();
    let (statement, _) = connection
        .prepare("SELECT ?", Compilation::Renewed)
        .unwrap();
    let statement = statement.unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let text = "given".repeat(100);
        let arguments = [ValueRef::Text(text.as_bytes())];
        connection.run(&statement, &arguments, &mut RefusingSink { panics: true })
    }));
    assert!(panicked.is_err());
    let mut rows = Rows::default();
    connection.run(&statement, &[], &mut rows).unwrap();
    assert_eq!(rows.rows, [[OwnedValue::Null]]);
}

#[test]
fn an_authorizer_decides_about_functions_settings_and_tables_and_its_panic_is_a_refusal() {
    let mut connection = memory();
    run(&mut connection, "CREATE TABLE t (a)", &[]).unwrap();
    connection.set_authorizer(|action| match action {
        Action::Function { name: "abs" }
        | Action::Pragma {
            name: "user_version",
            value: Some("7"),
        } => Authorization::Deny,
        Action::Insert {
            table: "t",
            indirect: false,
        } => panic!("on purpose"),
        _ => Authorization::Allow,
    });
    let mut code = |sql| run(&mut connection, sql, &[]).map_or_else(|error| error.code, |_| 0);
    assert_eq!(code("SELECT abs(1)"), 1);
    assert_eq!(code("PRAGMA user_version = 7"), 23);
    assert_eq!(code("INSERT INTO t VALUES (1)"), 23);
    assert_eq!(code("PRAGMA user_version = 6; SELECT max(1, 2)"), 0);
}

#[test]
fn an_interrupt_from_another_thread_ends_a_statement_and_one_after_the_end_of_the_connection_is_nothing()
 {
    let mut connection = memory();
    let handle = connection.interrupt_handle();
    let (done, is_done) = mpsc::channel::<()>();
    let interrupting = thread::spawn({
        let handle = handle.clone();
        // One that comes before the statement has begun is forgotten.
        move || {
            while is_done.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
                handle.interrupt();
            }
        }
    });
    let error = run(&mut connection, ENDLESS_QUERY, &[]).unwrap_err();
    drop(done);
    interrupting.join().unwrap();
    assert_eq!(error.code, 9);
    drop(connection);
    handle.interrupt();
}

#[test]
fn a_connection_goes_from_thread_to_thread() {
    let mut connection = memory();
    run(&mut connection, "CREATE TABLE t (a)", &[]).unwrap();
    for number in 0..8 {
        connection = thread::spawn(move || {
            run(
                &mut connection,
                "INSERT INTO t VALUES (?)",
                &[Value::Integer(number)],
            )
            .unwrap();
            connection
        })
        .join()
        .unwrap();
    }
    let sum = run(&mut connection, "SELECT sum(a) FROM t", &[]).unwrap();
    assert_eq!(sum, [[OwnedValue::Integer(28)]]);
    assert_eq!(connection.last_insert_rowid(), 8);
    assert_eq!((connection.changes(), connection.total_changes()), (1, 8));
}

#[test]
fn a_database_that_cannot_be_opened_says_so() {
    let open = |path| Connection::open(path).map(drop).unwrap_err().code;
    assert_eq!(open("/nowhere/at/all.db"), 14);
    assert_eq!(open("a\0b"), 14);
}
