//! An origin (scheme, host and port) and its connections.

mod checkout;
mod metrics;

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::Limit,
    pool::{LedgerConfig, Stats},
    sync::lock,
};
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{config::HttpConfig, h1::H1, h2::H2};
use crate::{
    dial::{Alpn, Dialer, Shared, Stream, Target, Tunnel},
    pool::{Connect, Pool, PoolConfig, PoolMetrics},
};

pub(super) use checkout::{Checkout, PooledHttpConnection};

/// The time by which the pool's connect timeout exceeds the dialer's, whose failure has more detail.
const DIAL_MARGIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Opens connections for the pool.
pub(super) struct OriginConnector {
    dialer: Arc<Dialer>,
    target: Target,
    alpn: Alpn,
    dialling: Arc<AtomicU32>,
}

/// Counts one more while it is held.
struct CountGuard<'a>(&'a AtomicU32);

impl<'a> CountGuard<'a> {
    fn new(number: &'a AtomicU32) -> Self {
        number.fetch_add(1, Ordering::Relaxed);
        Self(number)
    }
}

impl Drop for CountGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pooled value. A request takes the connection out and puts it back when it can be used again.
#[derive(Default)]
pub(super) enum PooledHttp {
    /// The connection is in use, or was closed.
    #[default]
    Empty,
    /// A connection that carries one request at a time.
    H1(Box<H1>),
    /// A new connection that is about to be shared, outside of the pool.
    H2(H2),
}

impl Connect for OriginConnector {
    type Connection = PooledHttp;

    async fn connect(&self) -> Outcome<PooledHttp> {
        let _dialling = CountGuard::new(&self.dialling);
        let stream = self.dialer.dial(&self.target, self.alpn).await?;
        handshake(stream).await.map_err(|error| {
            let message = format!("{} is not an HTTP server", self.target.authority());
            Failure::new(Kind::Connect, message).with_cause(error.to_string(), None)
        })
    }

    fn is_usable(&self, connection: &PooledHttp) -> bool {
        // One that is kept for later would hold what others wait for.
        matches!(connection, PooledHttp::H1(_)) && !self.dialer.is_crowded()
    }

    async fn validate(&self, _: &mut PooledHttp) -> Outcome<()> {
        Ok(())
    }

    async fn close(&self, connection: PooledHttp) {
        drop(connection);
    }
}

async fn handshake(stream: Stream) -> hyper::Result<PooledHttp> {
    if stream.is_http2() {
        return H2::new(stream).await.map(PooledHttp::H2);
    }
    H1::new(stream).await.map(|h1| PooledHttp::H1(Box::new(h1)))
}

/// Closes unused connections whenever the tunnel has no room for all who wait.
async fn make_room(pool: Pool<OriginConnector>, tunnel: Arc<dyn Tunnel>, ended: CancellationToken) {
    loop {
        let crowded = tunnel.crowded();
        if tunnel.is_crowded() {
            pool.evict_unusable();
        }
        tokio::select! {
            () = ended.cancelled() => return,
            () = crowded => {}
        }
    }
}

pub(super) struct Origin {
    pub(super) peer: Arc<str>,
    pub(super) max_connections: u32,
    pool: Pool<OriginConnector>,
    /// Connections that are being opened.
    dialling: Arc<AtomicU32>,
    /// The HTTP/2 connection, once there is one.
    shared: Mutex<Option<H2>>,
    /// The permits for requests on it: as many as there could be HTTP/1 connections.
    stream_permits: Arc<Semaphore>,
    /// The number of requests that wait for a permit.
    waiting: AtomicU32,
    /// Whether the version of HTTP is known. Until then one connection is opened at a time, since one is enough for
    /// HTTP/2.
    protocol_known: AtomicBool,
    opening_lock: tokio::sync::Mutex<()>,
    never_cancelled: CancellationToken,
    keep_alive: std::time::Duration,
    closed: CancellationToken,
    _dropped: DropGuard,
    metrics: PoolMetrics,
}

impl Origin {
    pub(super) fn new(
        target: Target,
        dialer: &Arc<Dialer>,
        config: &HttpConfig,
        runtime: &Handle,
        closed: CancellationToken,
    ) -> Self {
        let ledger = LedgerConfig {
            max: config.max_connections,
            max_idle: config.max_idle_connections,
            // A burst of requests is answered soonest with a connection each.
            max_connecting: Limit::Off,
            acquire_timeout: Limit::Off,
            idle_timeout: Limit::At(config.keep_alive),
            // `own_checkout` checks a connection when it takes it, without a round trip.
            validate_after: Limit::Off,
            leak_after: Limit::Off,
            ..LedgerConfig::defaults(true)
        };
        let pool = PoolConfig {
            connect_timeout: config.dial.connect_timeout + DIAL_MARGIN,
            ..PoolConfig::new(ledger)
        };
        let alpn = if config.http2 {
            Alpn::HTTP
        } else {
            Alpn::HTTP1
        };
        let peer = target.authority().into();
        let protocol_known = !(target.secure && config.http2);
        let dialling = Arc::default();
        let connector = OriginConnector {
            dialer: Arc::clone(dialer),
            target,
            alpn,
            dialling: Arc::clone(&dialling),
        };
        let pool = Pool::new(connector, pool, runtime.clone());
        let dropped = closed.child_token();
        if let Some(Shared(tunnel)) = &dialer.config().tunnel {
            let tunnel = Arc::clone(tunnel);
            runtime.spawn(make_room(pool.clone(), tunnel, dropped.clone()));
        }
        Self {
            peer,
            max_connections: config.max_connections,
            pool,
            shared: Mutex::default(),
            stream_permits: Arc::new(Semaphore::new(config.max_connections as usize)),
            waiting: AtomicU32::new(0),
            protocol_known: AtomicBool::new(protocol_known),
            dialling,
            opening_lock: tokio::sync::Mutex::default(),
            never_cancelled: CancellationToken::new(),
            keep_alive: config.keep_alive,
            closed,
            _dropped: dropped.drop_guard(),
            metrics: PoolMetrics::default(),
        }
    }

    /// A connection, opened if need be. Dropping the future gives the place in the queue back.
    pub(super) async fn checkout(self: &Arc<Self>) -> Outcome<Checkout> {
        loop {
            if let Some(checkout) = self.shared_checkout().await {
                return Ok(checkout);
            }
            if self.protocol_known.load(Ordering::Relaxed) {
                if let Some(checkout) = self.own_checkout().await? {
                    return Ok(checkout);
                }
                continue;
            }
            let opening = self.opening_lock.lock().await;
            if self.protocol_known.load(Ordering::Relaxed) {
                continue;
            }
            let found = self.own_checkout().await;
            // After a failure too: the requests behind the lock must not fail one after the other.
            self.protocol_known.store(true, Ordering::Relaxed);
            drop(opening);
            if let Some(checkout) = found? {
                return Ok(checkout);
            }
        }
    }

    /// Whether a waiting request waits for a connection that is being opened, as opposed to one in use.
    pub(super) fn is_dialling(&self) -> bool {
        self.dialling.load(Ordering::Relaxed) > 0
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.pool.stats();
        stats.waiting += self.waiting.load(Ordering::Relaxed);
        stats
    }

    /// Whether an HTTP/2 connection is open.
    pub(super) fn has_open_h2(&self) -> bool {
        self.lock_shared().as_ref().is_some_and(H2::is_open)
    }

    fn lock_shared(&self) -> MutexGuard<'_, Option<H2>> {
        lock(&self.shared)
    }

    /// A stream on the HTTP/2 connection; `None` when there is no such connection.
    async fn shared_checkout(&self) -> Option<Checkout> {
        if !self.retain_open_h2() {
            return None;
        }
        let permit = if let Ok(permit) = Arc::clone(&self.stream_permits).try_acquire_owned() {
            permit
        } else {
            let _waiting = CountGuard::new(&self.waiting);
            Arc::clone(&self.stream_permits)
                .acquire_owned()
                .await
                .ok()?
        };
        let h2 = self.lock_shared().clone().filter(H2::is_open)?;
        let (in_use, reused) = h2.begin_stream();
        Some(Checkout::H2 {
            h2,
            _in_use: in_use,
            _permit: permit,
            reused,
        })
    }

    /// Whether there is an HTTP/2 connection; drops one that has ended.
    fn retain_open_h2(&self) -> bool {
        let mut shared = self.lock_shared();
        let Some(ended) = shared.take_if(|h2| !h2.is_open()) else {
            return shared.is_some();
        };
        ended.retire();
        self.protocol_known.store(false, Ordering::Relaxed);
        false
    }

    /// An HTTP/1 connection; `None` when there turned out to be a shared one, or the one found was dead.
    async fn own_checkout(self: &Arc<Self>) -> Outcome<Option<Checkout>> {
        let pooled = match self.pool.take() {
            Some(pooled) => pooled,
            None => self.pool.acquire(&self.never_cancelled).await?,
        };
        match pooled.with(std::mem::take) {
            Some(PooledHttp::H1(mut h1)) => {
                let ready = !h1.used || h1.is_ready();
                Ok(ready.then_some(Checkout::H1 { h1, pooled }))
            }
            Some(PooledHttp::H2(h2)) => {
                self.share_h2(h2);
                Ok(None)
            }
            Some(PooledHttp::Empty) => Ok(None),
            None => Err(Failure::new(Kind::Closed, "the transport was closed")),
        }
    }

    fn share_h2(self: &Arc<Self>, h2: H2) {
        let mut shared = self.lock_shared();
        if shared.as_ref().is_some_and(H2::is_open) {
            return;
        }
        *shared = Some(h2.clone());
        drop(shared);
        let (origin, limit) = (Arc::downgrade(self), self.keep_alive);
        let closed = self.closed.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = h2.wait_until_idle(limit) => {}
                () = closed.cancelled() => {}
            }
            if let Some(origin) = origin.upgrade() {
                origin.forget(&h2);
            }
        });
    }

    /// Drops a shared connection, so that the next request opens another; it ends with the requests on it.
    pub(super) fn forget(&self, h2: &H2) {
        let mut shared = self.lock_shared();
        if shared.take_if(|known| known.is_same(h2)).is_some() {
            // The next one will very likely be shared as well.
            self.protocol_known.store(false, Ordering::Relaxed);
        }
        h2.retire();
    }

    /// Closes idle connections at once, and the others when their requests end.
    pub(super) async fn close(&self) {
        *self.lock_shared() = None;
        self.pool.drain(Limit::At(std::time::Duration::ZERO)).await;
    }
}
