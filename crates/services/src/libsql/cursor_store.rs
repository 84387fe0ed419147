//! A cursor store in a database: the places of readers in their streams.

use std::sync::Arc;

use moorline_core::{
    cursor::{CursorStore, StoreFuture},
    error::Outcome,
    options::{PlainValue, Read},
};
use moorline_sqlite::Value;
use tokio::{runtime::Handle, sync::OnceCell};
use tokio_util::sync::CancellationToken;

use crate::libsql::{
    config::{Config, OptionStyle},
    operation::Operation,
    service::{CallLimits, LibsqlPool},
    statement::{Args, Statement},
};
use moorline_net::pool::{Event, PoolListener};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS moorline_cursors (
    name TEXT PRIMARY KEY, place TEXT NOT NULL, stored_at TEXT NOT NULL) WITHOUT ROWID";
const LOAD: &str = "SELECT place FROM moorline_cursors WHERE name = ?";
const STORE: &str = "INSERT INTO moorline_cursors VALUES (?, ?, datetime('now'))
    ON CONFLICT (name) DO UPDATE SET place = excluded.place, stored_at = excluded.stored_at";

/// A [`CursorStore`] in the table `moorline_cursors` of a database.
pub struct LibsqlCursorStore {
    pool: Arc<LibsqlPool>,
    has_table: OnceCell<()>,
}

impl LibsqlCursorStore {
    /// Reads where the database is: the options of a pool, whose calls come one after the other.
    pub fn read_config(path: &str, options: &PlainValue) -> Read<Config> {
        let mut options = options.clone();
        if let PlainValue::Map(entries) = &mut options {
            entries.push(("poolSize".to_owned(), PlainValue::Number(1.0)));
        }
        Config::read_at(path, &options, OptionStyle::Pool, true)
    }

    /// A store. What runs when `closed` fires is aborted.
    pub fn open(config: Config, runtime: Handle, closed: CancellationToken) -> Outcome<Self> {
        Ok(Self {
            pool: Arc::new(LibsqlPool::open(
                config,
                runtime,
                Arc::new(NoListener),
                closed,
            )?),
            has_table: OnceCell::new(),
        })
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.pool.drain(None).await;
    }

    async fn execute_with_table(&self, sql: &str, args: &[&str]) -> Outcome<String> {
        let table = async { self.execute(CREATE, &[]).await.map(drop) };
        self.has_table.get_or_try_init(|| table).await?;
        self.execute(sql, args).await
    }

    async fn execute(&self, sql: &str, args: &[&str]) -> Outcome<String> {
        let text = |text: &&str| Value::Text((*text).to_owned());
        let statement = Statement {
            sql: sql.to_owned(),
            args: Args::Positional(args.iter().map(text).collect()),
        };
        let limits = CallLimits {
            timeout: None,
            cancel: CancellationToken::new(),
        };
        let results = self.pool.run(None, Operation::Execute(statement), limits);
        Ok(results.await?.into_iter().next().unwrap_or_default().json)
    }
}

impl CursorStore for LibsqlCursorStore {
    fn load<'a>(&'a self, name: &'a str) -> StoreFuture<'a, Option<String>> {
        Box::pin(async move {
            let result = self.execute_with_table(LOAD, &[name]).await?;
            let body = result.split_once('\n').map_or("", |(_, body)| body);
            let result: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
            Ok(result["values"][0].as_str().map(str::to_owned))
        })
    }

    fn store<'a>(&'a self, name: &'a str, event_id: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.execute_with_table(STORE, &[name, event_id])
                .await
                .map(drop)
        })
    }
}

/// A listener for a pool whose events have no reader.
struct NoListener;

impl PoolListener for NoListener {
    fn on_event(&self, _: Event) {}
}
