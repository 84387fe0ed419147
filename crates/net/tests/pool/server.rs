//! A server of which each step can succeed, fail, hang or panic.

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
pub(crate) fn wait_limit(time: Limit<Duration>) -> TimeLimit {
    TimeLimit {
        time,
        option: "waitMs",
    }
}

/// The behaviour of one kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepBehaviour {
    Ok,
    Err,
    /// Succeeds after [`SLOW`].
    Slow,
    Never,
    Panic,
}

pub(crate) const SLOW: Duration = Duration::from_millis(50);

impl StepBehaviour {
    async fn run(self) -> Outcome<()> {
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
pub(crate) struct ServerBehaviour {
    pub(crate) connect: StepBehaviour,
    pub(crate) validate: StepBehaviour,
    pub(crate) recycle: StepBehaviour,
    pub(crate) close: StepBehaviour,
}

pub(crate) const HEALTHY: ServerBehaviour = ServerBehaviour {
    connect: StepBehaviour::Ok,
    validate: StepBehaviour::Ok,
    recycle: StepBehaviour::Ok,
    close: StepBehaviour::Ok,
};

/// The connections as the server counts them.
#[derive(Debug, Default)]
struct ConnectionCounts {
    /// Connections that exist or are being made.
    alive: AtomicUsize,
    peak: AtomicUsize,
    dialled: AtomicUsize,
    /// Connections that are being made.
    dialling: AtomicUsize,
    dialling_peak: AtomicUsize,
}

/// One connection as the server sees it, from the first packet to the last.
#[derive(Debug)]
pub(crate) struct Socket {
    counts: Arc<ConnectionCounts>,
    pub(crate) number: usize,
    pub(crate) broken: bool,
    /// Something of its borrower's is left on it.
    pub(crate) dirty: bool,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.counts.alive.fetch_sub(1, SeqCst);
    }
}

/// One connection that is being made.
struct Dialling(Arc<ConnectionCounts>);

impl Dialling {
    fn begin(counts: &Arc<ConnectionCounts>) -> Self {
        let dialling = counts.dialling.fetch_add(1, SeqCst) + 1;
        counts.dialling_peak.fetch_max(dialling, SeqCst);
        Self(Arc::clone(counts))
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.dialling.fetch_sub(1, SeqCst);
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    behaviour: Arc<Mutex<ServerBehaviour>>,
    counts: Arc<ConnectionCounts>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            behaviour: Arc::new(Mutex::new(HEALTHY)),
            counts: Arc::default(),
            events: Arc::default(),
        }
    }

    pub(crate) fn set(&self, behaviour: ServerBehaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    fn behaviour(&self) -> ServerBehaviour {
        *self.behaviour.lock().unwrap()
    }

    pub(crate) fn alive(&self) -> usize {
        self.counts.alive.load(SeqCst)
    }

    pub(crate) fn peak(&self) -> usize {
        self.counts.peak.load(SeqCst)
    }

    pub(crate) fn dialled(&self) -> usize {
        self.counts.dialled.load(SeqCst)
    }

    /// The most connections that were being made at once.
    pub(crate) fn dialling_peak(&self) -> usize {
        self.counts.dialling_peak.load(SeqCst)
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
            Event::Lost(_) => "lost",
            Event::Error(_) => "error",
        };
        self.events().iter().map(word).collect()
    }

    /// A pool of connections to this server.
    pub(crate) fn pool(&self, config: LedgerConfig) -> Pool<Self> {
        let pool_config = PoolConfig::new(config);
        let listener: Arc<dyn PoolListener> = Arc::new(self.clone());
        Pool::with_listener(self.clone(), pool_config, Handle::current(), Some(listener))
    }
}

impl Connect for Server {
    type Connection = Socket;

    async fn connect(&self) -> Outcome<Socket> {
        let alive = self.counts.alive.fetch_add(1, SeqCst) + 1;
        self.counts.peak.fetch_max(alive, SeqCst);
        let socket = Socket {
            counts: Arc::clone(&self.counts),
            number: self.counts.dialled.fetch_add(1, SeqCst),
            broken: false,
            dirty: false,
        };
        let dialling = Dialling::begin(&self.counts);
        self.behaviour().connect.run().await?;
        drop(dialling);
        Ok(socket)
    }

    fn is_usable(&self, socket: &Socket) -> bool {
        !socket.broken
    }

    fn needs_recycling(&self, socket: &Socket) -> bool {
        socket.dirty
    }

    async fn recycle(&self, socket: &mut Socket) -> Outcome<()> {
        self.behaviour().recycle.run().await?;
        socket.dirty = false;
        Ok(())
    }

    async fn validate(&self, _: &mut Socket) -> Outcome<()> {
        self.behaviour().validate.run().await
    }

    async fn close(&self, socket: Socket) {
        let _ = self.behaviour().close.run().await;
        drop(socket);
    }
}

impl PoolListener for Server {
    fn on_event(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

/// The defaults with a cap, and without ageing.
pub(crate) fn config_with_max(max: u32) -> LedgerConfig {
    LedgerConfig {
        max,
        max_lifetime: Limit::Off,
        ..LedgerConfig::defaults(false)
    }
}
