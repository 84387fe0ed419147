//! What must not wait does not.

use std::{
    fs::File,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use moorline_sqlite::{
    Compilation, Connection, LogSize, NonblockingLimits, Result, StatementId, Value,
};

use crate::{OwnedValue, Rows, memory, run};

const ENDLESS_QUERY: &str =
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

/// A directory of its own, removed at the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("moorline-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn open(&self) -> Connection {
        Connection::open(self.file().to_str().unwrap()).unwrap()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("test.db")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn compile(connection: &mut Connection, sql: &str) -> StatementId {
    let (statement, _) = connection.prepare(sql, Compilation::Once).unwrap();
    statement.unwrap()
}

/// The code with which a statement ends that must not wait; zero for success.
fn code_of(connection: &mut Connection, statement: &StatementId, within: Duration) -> i32 {
    let limits = NonblockingLimits {
        deadline: Instant::now() + within,
        value_bytes: 1000,
    };
    let outcome = connection.run_nonblocking(limits, |connection| {
        connection.run(statement, &[], &mut Rows::default())
    });
    match outcome {
        Ok(()) => 0,
        Err(moorline_sqlite::RunError::Engine(error)) => error.code,
        Err(refused) => panic!("{refused:?}"),
    }
}

fn write(connection: &mut Connection, sql: &str) -> Result<()> {
    run(connection, sql, &[]).map(drop)
}

#[test]
fn a_statement_ends_at_its_deadline_and_is_free_of_it_afterwards() {
    let mut connection = memory();
    let forever = compile(&mut connection, ENDLESS_QUERY);
    assert_eq!(
        code_of(&mut connection, &forever, Duration::from_micros(500)),
        9
    );
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) SELECT count(*) FROM n";
    assert_eq!(
        run(&mut connection, sql, &[]).unwrap(),
        [[OwnedValue::Integer(100_000)]]
    );
}

#[test]
fn a_value_that_is_too_long_is_not_read() {
    let mut connection = memory();
    write(
        &mut connection,
        "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(100000))",
    )
    .unwrap();
    let long = compile(&mut connection, "SELECT a FROM t");
    assert_eq!(code_of(&mut connection, &long, Duration::from_secs(9)), 18);
    let rows = run(&mut connection, "SELECT length(a) FROM t", &[]).unwrap();
    assert_eq!(rows, [[OwnedValue::Integer(100_000)]]);
}

#[test]
fn a_lock_is_not_waited_for() {
    let directory = Directory::new("lock");
    let (mut one, mut other) = (directory.open(), directory.open());
    one.set_busy_timeout(Duration::from_mins(1));
    write(&mut one, "CREATE TABLE t (a)").unwrap();
    let read = compile(&mut one, "SELECT a FROM t");
    write(&mut other, "BEGIN EXCLUSIVE").unwrap();
    assert_eq!(code_of(&mut one, &read, Duration::from_mins(1)), 5);
    write(&mut other, "COMMIT").unwrap();
    assert_eq!(code_of(&mut one, &read, Duration::from_mins(1)), 0);
}

#[test]
fn a_statement_that_is_compiled_once_fails_after_a_change_of_the_schema() {
    let directory = Directory::new("schema");
    let (mut one, mut other) = (directory.open(), directory.open());
    write(&mut one, "CREATE TABLE t (a)").unwrap();
    let read = compile(&mut one, "SELECT * FROM t");
    assert_eq!(code_of(&mut one, &read, Duration::from_mins(1)), 0);
    write(&mut other, "ALTER TABLE t ADD COLUMN b").unwrap();
    assert_eq!(code_of(&mut one, &read, Duration::from_mins(1)), 17);
}

#[cfg(unix)]
#[test]
fn a_commit_waits_for_no_disk() {
    let directory = Directory::new("log");
    let mut connection = directory.open();
    let set_up = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE t (a);
        PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 4";
    write(&mut connection, set_up).unwrap();
    let insert = compile(&mut connection, "INSERT INTO t VALUES (1)");
    let count = |connection: &mut Connection| {
        let rows = run(connection, "SELECT count(*) FROM t", &[]).unwrap();
        rows[0][0].clone()
    };
    // The header of a new log is waited for.
    let code = code_of(&mut connection, &insert, Duration::from_mins(1));
    assert_eq!(code & 0xff, 10);
    assert_eq!(count(&mut connection), OwnedValue::Integer(0));
    run(&mut connection, "INSERT INTO t VALUES (1)", &[]).unwrap();
    // What follows is not, until the log is as long as the engine lets it become.
    let log = directory.0.join("test.db-wal");
    for pages in 2..=4 {
        assert_eq!(code_of(&mut connection, &insert, Duration::from_mins(1)), 0);
        let log = LogSize { pages, limit: 4 };
        assert_eq!(connection.take_log_size(), Some(log));
    }
    assert_eq!(connection.take_log_size(), None);
    let database = || std::fs::read(directory.file()).unwrap();
    let before = database();
    assert_eq!(code_of(&mut connection, &insert, Duration::from_mins(1)), 0);
    assert_eq!(database(), before);
    // The next commit that may wait moves it.
    run(&mut connection, "INSERT INTO t VALUES (1)", &[]).unwrap();
    assert_ne!(database(), before);
    assert_eq!(count(&mut connection), OwnedValue::Integer(6));
    let length = std::fs::metadata(&log).unwrap().len();
    // The log begins anew, with a header.
    let code = code_of(&mut connection, &insert, Duration::from_mins(1));
    assert_eq!(code & 0xff, 10);
    run(&mut connection, "INSERT INTO t VALUES (1)", &[]).unwrap();
    assert_eq!(std::fs::metadata(&log).unwrap().len(), length);
    assert_eq!(count(&mut connection), OwnedValue::Integer(7));
}

#[test]
fn a_write_that_is_interrupted_has_had_no_effect() {
    let directory = Directory::new("undone");
    for mut connection in [memory(), directory.open()] {
        let set_up =
            "PRAGMA journal_mode = WAL; CREATE TABLE t (a PRIMARY KEY); INSERT INTO t VALUES (1)";
        write(&mut connection, set_up).unwrap();
        let sql = "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n LIMIT 10000000)
            INSERT INTO t SELECT i FROM n";
        let statement = compile(&mut connection, sql);
        assert_eq!(
            code_of(&mut connection, &statement, Duration::from_millis(2)),
            9
        );
        let rows = run(&mut connection, "SELECT a FROM t", &[]).unwrap();
        assert_eq!(rows, [[OwnedValue::Integer(1)]]);
        assert!(connection.is_autocommit());
    }
}

#[test]
fn a_write_that_ends_too_late_is_done_or_undone() {
    let mut connection = memory();
    write(&mut connection, "CREATE TABLE t (a)").unwrap();
    let insert = compile(&mut connection, "INSERT INTO t VALUES (1)");
    // The engine counts instructions over all runs, so that at some time it looks at the clock at each of them.
    let done = (0..500).filter(|_| code_of(&mut connection, &insert, Duration::ZERO) == 0);
    let done = done.count();
    assert!((1..500).contains(&done), "{done}");
    let rows = run(&mut connection, "SELECT count(*) FROM t", &[]).unwrap();
    assert_eq!(rows, [[OwnedValue::Integer(i64::try_from(done).unwrap())]]);
}

#[cfg(unix)]
#[test]
fn no_page_is_read_after_the_deadline() {
    let directory = Directory::new("late");
    let mut filler = directory.open();
    write(&mut filler, "CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
    drop(filler);
    let mut connection = directory.open();
    let read = compile(&mut connection, "SELECT a FROM t");
    // Too short for the engine to look at the clock.
    assert_eq!(code_of(&mut connection, &read, Duration::ZERO) & 0xff, 10);
    assert_eq!(code_of(&mut connection, &read, Duration::from_mins(1)), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_page_that_is_not_in_memory_is_not_read() {
    use std::os::fd::AsRawFd;

    let directory = Directory::new("cold");
    let mut filler = directory.open();
    write(
        &mut filler,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a); BEGIN",
    )
    .unwrap();
    for id in 0..2000 {
        let values = [Value::Integer(id), Value::Blob(vec![1; 900])];
        run(&mut filler, "INSERT INTO t VALUES (?, ?)", &values).unwrap();
    }
    write(&mut filler, "COMMIT").unwrap();
    drop(filler);
    let mut connection = directory.open();
    run(&mut connection, "SELECT count(*) FROM sqlite_schema", &[]).unwrap();
    let read = compile(&mut connection, "SELECT a FROM t WHERE id = 1234");
    let mut file = File::options().append(true).open(directory.file()).unwrap();
    file.flush().unwrap();
    file.sync_all().unwrap();
    // SAFETY: advice about an open file.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    let code = code_of(&mut connection, &read, Duration::from_mins(1));
    // A file system in memory has all of its pages.
    assert!(code & 0xff == 10 || code == 0, "{code}");
    run(&mut connection, "SELECT a FROM t WHERE id = 1234", &[]).unwrap();
    assert_eq!(code_of(&mut connection, &read, Duration::from_mins(1)), 0);
}
