//! A server whose every door can be opened, jammed or slammed.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use std::time::Duration;

use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::{Limit, TimeLimit},
    pool::LedgerConfig,
};
use moorline_net::pool::{Connect, Event, Pool, PoolConfig, PoolListener};
use tokio::{runtime::Handle, time::sleep};

/// A wait of a borrower's own.
pub(crate) fn within(time: Limit<Duration>) -> TimeLimit {
    TimeLimit {
        time,
        option: "waitMs",
    }
}

/// The behaviour of one kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Ok,
    Err,
    /// Succeeds after [`SLOW`].
    Slow,
    Never,
    Panic,
}

pub(crate) const SLOW: Duration = Duration::from_millis(50);

impl Gate {
    async fn pass(self) -> Outcome<()> {
        match self {
            Self::Ok => Ok(()),
            Self::Err => Err(Failure::new(Kind::Connect, "refused by the test")),
            Self::Slow => {
                sleep(SLOW).await;
                Ok(())
            }
            Self::Never => std::future::pending().await,
            Self::Panic => panic!("a defect in a driver"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Gates {
    pub(crate) connect: Gate,
    pub(crate) validate: Gate,
    pub(crate) close: Gate,
}

pub(crate) const OPEN: Gates = Gates {
    connect: Gate::Ok,
    validate: Gate::Ok,
    close: Gate::Ok,
};

/// The server's view.
#[derive(Debug, Default)]
struct Sight {
    /// Connections that exist or are being made.
    alive: AtomicUsize,
    peak: AtomicUsize,
    opened: AtomicUsize,
}

/// One connection as the server sees it, from the first packet to the last.
#[derive(Debug)]
pub(crate) struct Socket {
    sight: Arc<Sight>,
    pub(crate) number: usize,
    pub(crate) broken: bool,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.sight.alive.fetch_sub(1, SeqCst);
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    gates: Arc<Mutex<Gates>>,
    sight: Arc<Sight>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            gates: Arc::new(Mutex::new(OPEN)),
            sight: Arc::default(),
            events: Arc::default(),
        }
    }

    pub(crate) fn set(&self, gates: Gates) {
        *self.gates.lock().unwrap() = gates;
    }

    fn gates(&self) -> Gates {
        *self.gates.lock().unwrap()
    }

    pub(crate) fn alive(&self) -> usize {
        self.sight.alive.load(SeqCst)
    }

    pub(crate) fn peak(&self) -> usize {
        self.sight.peak.load(SeqCst)
    }

    pub(crate) fn opened(&self) -> usize {
        self.sight.opened.load(SeqCst)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// The words of the events so far.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        let word = |event: &Event| match event {
            Event::Acquire { .. } => "acquire",
            Event::Release { .. } => "release",
            Event::Create { .. } => "create",
            Event::Destroy { .. } => "destroy",
            Event::Timeout { .. } => "timeout",
            Event::Leak { .. } => "leak",
            Event::Drain => "drain",
            Event::Error(_) => "error",
        };
        self.events().iter().map(word).collect()
    }

    /// A pool of connections to this server.
    pub(crate) fn pool(&self, limits: LedgerConfig) -> Pool<Self> {
        let settings = PoolConfig::new(limits);
        let listener: Arc<dyn PoolListener> = Arc::new(self.clone());
        Pool::with_listener(self.clone(), settings, Handle::current(), Some(listener))
    }
}

impl Connect for Server {
    type Connection = Socket;

    async fn connect(&self) -> Outcome<Socket> {
        let alive = self.sight.alive.fetch_add(1, SeqCst) + 1;
        self.sight.peak.fetch_max(alive, SeqCst);
        let socket = Socket {
            sight: Arc::clone(&self.sight),
            number: self.sight.opened.fetch_add(1, SeqCst),
            broken: false,
        };
        self.gates().connect.pass().await?;
        Ok(socket)
    }

    fn is_usable(&self, socket: &Socket) -> bool {
        !socket.broken
    }

    async fn validate(&self, _: &mut Socket) -> Outcome<()> {
        self.gates().validate.pass().await
    }

    async fn close(&self, socket: Socket) {
        let _ = self.gates().close.pass().await;
        drop(socket);
    }
}

impl PoolListener for Server {
    fn on_event(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

/// The defaults with a cap, and without ageing.
pub(crate) fn at_most(max: u32) -> LedgerConfig {
    LedgerConfig {
        max,
        max_lifetime: Limit::Off,
        ..LedgerConfig::defaults(false)
    }
}
