//! Metrics of a pool under names of PostgreSQL's: its connections, and the durations of its statements.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, Weak},
    time::Instant,
};

use moorline_core::{
    error::{Failure, Outcome},
    metrics::{Counter, DATABASE_SECONDS, Gauge, Histogram, Registry, UserSeries},
    pool::UsageSeries,
    sync::lock,
};
use moorline_net::pool::{Event, PoolListener};

use super::{address::Server, config::Config, result::ResultText};

/// Bucket bounds in seconds for the lives of connections, of which most end after half an hour, ±25 %.
const LIFETIME_SECONDS: [f64; 10] = [
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1_800.0, 2_700.0, 3_600.0, 14_400.0,
];
/// The commands whose series are kept at hand.
const COMMANDS: [&str; 10] = [
    "SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN", "COMMIT", "ROLLBACK", "SET", "COPY", "FETCH",
];
/// The command of several statements in one text, as OpenTelemetry has it.
const BATCH: &str = "BATCH";

/// The metrics of the connections of a pool. Its user may write to them as well.
pub struct ConnectionSeries {
    active: Weak<Gauge>,
    errors: Arc<Counter>,
    health_check_failures: Arc<Counter>,
    acquisition: Arc<Histogram>,
    lifetime: Arc<Histogram>,
    log_dropped: Arc<Counter>,
    /// By their servers; none where they are not shown.
    statements: Vec<StatementSeries>,
}

impl ConnectionSeries {
    /// The series of a pool called `name`, and those in which it shows its usage. Without `monitoring` they count, and are not shown.
    pub(super) fn new(name: &str, config: &Config) -> (Self, UsageSeries) {
        let registry = config.manager.is_monitoring.then(Registry::global);
        let own = [("pool", name)];
        // The registry fails only for a name that another metric has, and none of ours does.
        let counter = |registry: Option<&Registry>, name, help| {
            let shown = registry.and_then(|registry| registry.counter(name, help, &own).ok());
            shown.unwrap_or_default()
        };
        let histogram = |name, help, bounds: &[f64]| {
            let shown = registry.and_then(|one| one.histogram(name, help, &own, bounds).ok());
            shown.unwrap_or_else(|| Arc::new(Histogram::new(bounds)))
        };
        let in_use = registry.and_then(|registry| {
            let help = "Borrowed connections to PostgreSQL.";
            registry
                .gauge("moorline_postgres_connections_active", help, &own)
                .ok()
        });
        let in_use = in_use.unwrap_or_default();
        let series = Self {
            active: Arc::downgrade(&in_use),
            errors: counter(
                registry,
                "moorline_postgres_connection_errors_total",
                "Connections to PostgreSQL that could not be had, or were lost.",
            ),
            health_check_failures: counter(
                registry,
                "moorline_postgres_health_check_failures_total",
                "Health checks of PostgreSQL that failed.",
            ),
            acquisition: histogram(
                "moorline_postgres_connection_acquisition_seconds",
                "Times until borrowers had a connection to PostgreSQL.",
                &DATABASE_SECONDS,
            ),
            lifetime: histogram(
                "moorline_postgres_connection_lifetime_seconds",
                "Times for which connections to PostgreSQL were open.",
                &LIFETIME_SECONDS,
            ),
            log_dropped: counter(
                registry.filter(|_| config.manager.has_connection_log),
                "moorline_postgres_connection_log_dropped_total",
                "Events of connections to PostgreSQL that are missing in their log.",
            ),
            statements: if config.manager.is_monitoring {
                StatementSeries::of_each(config)
            } else {
                Vec::new()
            },
        };
        let errors = Arc::clone(&series.errors);
        (series, UsageSeries { in_use, errors })
    }

    /// Those that are written to from outside: active connections, errors, failed health checks, acquisitions, lifetimes, events that
    /// are missing in the log.
    pub fn writable(&self) -> [UserSeries; 6] {
        [
            UserSeries::State(Weak::clone(&self.active)),
            UserSeries::Counter(Arc::clone(&self.errors)),
            UserSeries::Counter(Arc::clone(&self.health_check_failures)),
            UserSeries::Histogram(Arc::clone(&self.acquisition)),
            UserSeries::Histogram(Arc::clone(&self.lifetime)),
            UserSeries::Counter(Arc::clone(&self.log_dropped)),
        ]
    }

    /// A statement that was sent to a server at `began` has ended.
    pub(super) fn on_statement(
        &self,
        server: &Server,
        began: Instant,
        outcome: &Outcome<Vec<ResultText>>,
    ) {
        let series = match &self.statements[..] {
            [only] => Some(only),
            all => all.iter().find(|one| one.server.address == server.address),
        };
        if let Some(histogram) = series.and_then(|series| series.histogram(outcome)) {
            histogram.observe(began.elapsed().as_secs_f64());
        }
    }
}

/// The durations of the statements on one server, called as OpenTelemetry calls them.
struct StatementSeries {
    server: Server,
    database: String,
    /// In the order of [`COMMANDS`].
    known: [OnceLock<Option<Arc<Histogram>>>; COMMANDS.len()],
}

impl StatementSeries {
    fn of_each(config: &Config) -> Vec<Self> {
        let of = |server: &Server| Self {
            server: server.clone(),
            database: config.database.clone(),
            known: Default::default(),
        };
        config.servers.iter().map(of).collect()
    }

    fn histogram(&self, outcome: &Outcome<Vec<ResultText>>) -> Option<Arc<Histogram>> {
        let command = match outcome {
            Ok(results) => match &results[..] {
                [only] => only.command().unwrap_or_default(),
                _ => BATCH,
            },
            Err(failure) => return self.find("", Some(failure)),
        };
        let place = COMMANDS.iter().position(|known| *known == command);
        match place.and_then(|place| self.known.get(place)) {
            Some(known) => known.get_or_init(|| self.find(command, None)).clone(),
            None => self.find(command, None),
        }
    }

    /// The series of these values; none where the user has another metric of the same name.
    fn find(&self, command: &str, failure: Option<&Failure>) -> Option<Arc<Histogram>> {
        let code = failure.map_or("", |failure| &*failure.code);
        let is_of_server = failure.is_some_and(|failure| failure.detail.contains_key("server"));
        let labels = [
            ("db_system_name", "postgresql"),
            ("db_namespace", &self.database),
            ("db_operation_name", command),
            (
                "db_response_status_code",
                if is_of_server { code } else { "" },
            ),
            ("error_type", code),
            ("server_address", &self.server.host()),
            ("server_port", &self.server.port().to_string()),
        ];
        let found = Registry::global().histogram(
            "db_client_operation_duration_seconds",
            "Durations of operations of databases' clients.",
            &labels,
            &DATABASE_SECONDS,
        );
        found.ok()
    }
}

/// Measures by the events of a pool, and passes them on.
pub(super) struct MeasuringListener {
    series: Arc<ConnectionSeries>,
    next: Arc<dyn PoolListener>,
    /// Since when connections are open, by their slots.
    opened: Mutex<HashMap<u32, Instant>>,
}

impl MeasuringListener {
    pub(super) fn new(series: Arc<ConnectionSeries>, next: Arc<dyn PoolListener>) -> Self {
        Self {
            series,
            next,
            opened: Mutex::default(),
        }
    }

    fn on_end(&self, opened: Instant) {
        self.series.lifetime.observe(opened.elapsed().as_secs_f64());
    }
}

impl PoolListener for MeasuringListener {
    fn on_event(&self, event: Event) {
        match &event {
            Event::Acquire { waited, .. } => self.series.acquisition.observe(waited.as_secs_f64()),
            Event::Create { lease, .. } => {
                lock(&self.opened).insert(lease.slot, Instant::now());
            }
            Event::Destroy { lease } => {
                let opened = lock(&self.opened).remove(&lease.slot);
                if let Some(opened) = opened {
                    self.on_end(opened);
                }
            }
            Event::Lost(_) => self.series.errors.increment(),
            _ => {}
        }
        self.next.on_event(event);
    }
}

impl Drop for MeasuringListener {
    fn drop(&mut self) {
        // A pool that nobody has any more closes its connections without an event.
        let left: Vec<_> = lock(&self.opened).drain().collect();
        for (_, opened) in left {
            self.on_end(opened);
        }
    }
}
