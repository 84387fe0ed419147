//! The log is moved into the database beside writers, and by whom its limit says.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use moorline_sqlite::{Compilation, Connection, LogSize, ValueRef};

use crate::{OwnedValue, Rows, memory, nonblocking::Directory, run};

/// `SQLITE_BUSY`.
const BUSY: i32 = 5;

const SET_UP: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE t (id INTEGER PRIMARY KEY, a)";

fn log_bytes(directory: &Directory) -> u64 {
    let log = directory.file().with_extension("db-wal");
    fs::metadata(log).map_or(0, |log| log.len())
}

fn ask(connection: &mut Connection, sql: &str) -> OwnedValue {
    run(connection, sql, &[]).unwrap()[0][0].clone()
}

#[test]
fn no_insert_is_refused_beside_checkpoints() {
    const INSERTS: i64 = 20_000;
    let directory = Directory::new("beside");
    let mut writer = directory.open();
    run(&mut writer, SET_UP, &[]).unwrap();
    writer.defer_checkpoints();
    let is_done = AtomicBool::new(false);
    let checkpoints = thread::scope(|scope| {
        let checkpoints = scope.spawn(|| {
            let mut checkpoints = 0;
            while !is_done.load(Ordering::Relaxed) {
                // A connection of its own each time, as it takes locks when it comes and goes.
                let mut other =
                    Connection::open_existing(directory.file().to_str().unwrap()).unwrap();
                // A reader waits where another one reads the log's header anew.
                other.set_busy_timeout(Duration::from_mins(1));
                run(&mut other, "PRAGMA schema_version", &[]).unwrap();
                match other.checkpoint() {
                    Ok(()) => checkpoints += 1,
                    // It waits for nobody, so a header that is being written at this moment refuses it.
                    Err(error) => assert_eq!(error.code, BUSY),
                }
            }
            checkpoints
        });
        let sql = "INSERT INTO t VALUES (?, randomblob(100))";
        let (insert, _) = writer.prepare(sql, Compilation::Renewed).unwrap();
        let insert = insert.unwrap();
        for id in 1..=INSERTS {
            let outcome = writer.run(&insert, &[ValueRef::Integer(id)], &mut Rows::default());
            if outcome != Ok(()) {
                is_done.store(true, Ordering::Relaxed);
            }
            assert_eq!(outcome, Ok(()));
        }
        is_done.store(true, Ordering::Relaxed);
        checkpoints.join().unwrap()
    });
    assert!(checkpoints > 0);
    assert_eq!(
        ask(&mut writer, "SELECT count(*) FROM t"),
        OwnedValue::Integer(INSERTS)
    );
    assert_eq!(
        ask(&mut writer, "PRAGMA integrity_check"),
        OwnedValue::Text(b"ok".to_vec())
    );
    drop(writer);
    assert_eq!(log_bytes(&directory), 0);
}

#[test]
fn commits_that_are_deferred_leave_the_log_to_a_checkpoint() {
    let directory = Directory::new("deferred");
    let mut connection = directory.open();
    run(&mut connection, SET_UP, &[]).unwrap();
    run(&mut connection, "PRAGMA wal_autocheckpoint = 4", &[]).unwrap();
    assert!(!connection.defer_checkpoints());
    assert!(connection.defer_checkpoints());
    let insert = "INSERT INTO t VALUES (NULL, zeroblob(100))";
    let database = || fs::read(directory.file()).unwrap();
    let before = database();
    for _ in 0..20 {
        run(&mut connection, insert, &[]).unwrap();
    }
    assert_eq!(database(), before);
    let log = connection.take_log_size().unwrap();
    assert!(log.pages > 20 && log.limit == 4, "{log:?}");
    connection.checkpoint().unwrap();
    assert_ne!(database(), before);
    // Everything was moved, so the log begins anew.
    run(&mut connection, insert, &[]).unwrap();
    let log = connection.take_log_size();
    assert_eq!(log, Some(LogSize { pages: 1, limit: 4 }));
}

#[test]
fn the_limit_is_that_of_the_pragma_and_the_engine_keeps_it() {
    let directory = Directory::new("limit");
    let mut connection = directory.open();
    run(&mut connection, SET_UP, &[]).unwrap();
    let limit = |connection: &mut Connection| ask(connection, "PRAGMA wal_autocheckpoint");
    connection.defer_checkpoints();
    assert!(connection.restore_checkpoints());
    assert!(!connection.restore_checkpoints());
    assert_eq!(limit(&mut connection), OwnedValue::Integer(1000));
    for set in [7, 0] {
        connection.defer_checkpoints();
        run(
            &mut connection,
            &format!("PRAGMA wal_autocheckpoint = {set}"),
            &[],
        )
        .unwrap();
        assert!(!connection.defer_checkpoints());
        run(&mut connection, "INSERT INTO t VALUES (NULL, 1)", &[]).unwrap();
        assert_eq!(connection.take_log_size().unwrap().limit, set);
        connection.restore_checkpoints();
        assert_eq!(limit(&mut connection), OwnedValue::Integer(set.into()));
    }
}

#[test]
fn an_attached_database_is_left_to_the_engine() {
    let (main, other) = (Directory::new("main"), Directory::new("attached"));
    run(&mut other.open(), SET_UP, &[]).unwrap();
    let mut connection = main.open();
    run(&mut connection, SET_UP, &[]).unwrap();
    let attach = format!(
        "PRAGMA wal_autocheckpoint = 4; ATTACH '{}' AS other",
        other.file().display()
    );
    run(&mut connection, &attach, &[]).unwrap();
    connection.defer_checkpoints();
    let before = fs::read(other.file()).unwrap();
    for _ in 0..9 {
        run(&mut connection, "INSERT INTO other.t VALUES (NULL, 1)", &[]).unwrap();
    }
    assert_eq!(connection.take_log_size(), None);
    assert_ne!(fs::read(other.file()).unwrap(), before);
}

#[test]
fn only_a_file_has_a_path_and_one_that_is_not_there_is_not_made() {
    assert_eq!(memory().file(), None);
    let directory = Directory::new("path");
    let path = directory.file();
    assert!(Connection::open_existing(path.to_str().unwrap()).is_err());
    assert!(!path.exists());
    assert!(directory.open().file().unwrap().ends_with("test.db"));
}
