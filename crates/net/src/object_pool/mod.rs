//! A pool of objects that live elsewhere: their owner makes, checks and closes them when it is asked to.
//!
//! The owner is given at construction as an [`ObjectOwner`]. It knows an object by a number: that of the request which it
//! was made for.

mod connector;
mod events;
mod requests;

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use moorline_core::{
    connection::pool::{ConnectionPoolConfig, TIMEOUT_SECONDS_KEY, creation_backoff},
    error::{Failure, Kind, Outcome},
    limit::{Limit, TimeLimit},
    pool::{Lease, Stats, acquire_timed_out},
    sync::lock,
};
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{connector::ObjectConnector, events::PoolEvents, requests::PendingRequests};
use crate::pool::{Pool, PoolConfig, PooledConnection, TimeoutNames};

/// The options that bound the waits of a pool of objects, as users write them.
const NAMES: TimeoutNames = TimeoutNames {
    acquire: "acquireTimeout",
    connect: "connectTimeout",
    close: "releaseTimeout",
};

/// The owner of the objects. Both methods must return at once.
pub trait ObjectOwner: Send + Sync + 'static {
    /// Starts to do what is requested; what comes of it is given to [`ObjectPool::answer`].
    fn request(&self, request: Request);

    /// Receives an event that the owner cannot know of by itself.
    fn on_event(&self, event: ObjectPoolEvent);
}

/// A request to the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Make an object, which has the number `id` from then on.
    Create {
        /// The number of the request.
        id: u32,
    },
    /// Find out whether an object still works.
    Check {
        /// The number of the request.
        id: u32,
        /// The object.
        object: u32,
    },
    /// Close an object.
    Close {
        /// The number of the request; none where no answer is expected.
        id: Option<u32>,
        /// The object.
        object: u32,
    },
}

/// An event in the life of a pool of objects.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectPoolEvent {
    /// An object has been borrowed suspiciously long.
    Leak {
        /// The object, if it is borrowed still.
        object: Option<u32>,
        /// The time since it was borrowed.
        held: Duration,
    },
    /// The end of the pool began.
    Drain,
    /// Something failed in the background.
    Error(Failure),
}

/// The leases of borrowed objects, by number.
type Leases = Arc<Mutex<HashMap<u32, Lease>>>;

/// A pool of objects that live elsewhere.
pub struct ObjectPool {
    pool: Pool<ObjectConnector>,
    requests: Arc<PendingRequests>,
    leases: Leases,
}

impl ObjectPool {
    /// A pool of the objects of `owner`, whose tasks run on `runtime`.
    pub fn open(
        owner: Arc<dyn ObjectOwner>,
        config: &ConnectionPoolConfig,
        runtime: Handle,
    ) -> Self {
        let pool_config = PoolConfig {
            connect_timeout: config.connect_timeout,
            validate_timeout: config.release_timeout,
            close_timeout: config.release_timeout,
            names: NAMES,
            ..PoolConfig::new(config.ledger)
        };
        let requests = PendingRequests::new(Arc::clone(&owner));
        let leases = Leases::default();
        let events = PoolEvents {
            owner,
            leases: Arc::clone(&leases),
        };
        let connector = ObjectConnector(Arc::clone(&requests));
        let pool = Pool::with_listener(connector, pool_config, runtime, Some(Arc::new(events)));
        Self {
            pool,
            requests,
            leases,
        }
    }

    /// Shows the pool in the metrics of the process under `name`.
    pub fn register_metrics(&self, name: &str) {
        self.pool.register_metrics(name, "connection");
    }

    /// The number of a free object at once, if there is one.
    pub fn take(&self) -> Option<u32> {
        let borrowed = self.pool.take()?;
        self.lease(borrowed)
    }

    /// The number of an object, after waiting for one for at most `wait` (`acquireTimeout`). While none can be made, it
    /// is tried again until then.
    ///
    /// Called, it has its place in the queue at once, whenever the future is polled.
    pub fn acquire(
        self: &Arc<Self>,
        wait: Option<Limit<Duration>>,
        cancel: CancellationToken,
    ) -> impl Future<Output = Outcome<u32>> + Send + use<> {
        let wait = wait.map_or(self.pool.config().acquire_timeout(), |time| TimeLimit {
            time,
            option: TIMEOUT_SECONDS_KEY,
        });
        let first = self.pool.acquire_within(wait, &cancel);
        let this = Arc::clone(self);
        async move {
            let number = this.retry(first, wait, &cancel).await;
            number.map_err(|failure| failure.during("pool", "acquire"))
        }
    }

    /// Waits for `first`; where no object could be made, waits for another after a while, until the time is over.
    async fn retry(
        &self,
        first: impl Future<Output = Outcome<PooledConnection<ObjectConnector>>>,
        wait: TimeLimit,
        cancel: &CancellationToken,
    ) -> Outcome<u32> {
        let mut last = None;
        let attempts = async {
            let mut borrowed = first.await;
            for retry in 1_u32.. {
                match borrowed {
                    Ok(borrowed) => return self.lease(borrowed).ok_or_else(closed),
                    Err(failure) if failure.kind == Kind::Connect => last = Some(failure),
                    Err(failure) => return Err(failure),
                }
                sleep(creation_backoff(retry)).await;
                borrowed = self.pool.acquire_within(wait, cancel).await;
            }
            Err(Failure::defect())
        };
        let Limit::At(limit) = wait.time else {
            return attempts.await;
        };
        if let Ok(outcome) = timeout(limit, attempts).await {
            return outcome;
        }
        let late = acquire_timed_out(wait);
        Err(match last {
            Some(failure) => late.with_cause(failure.message.clone(), None),
            None => late,
        })
    }

    fn lease(&self, borrowed: PooledConnection<ObjectConnector>) -> Option<u32> {
        let number = borrowed.with(|object| object.number)?;
        lock(&self.leases).insert(number, borrowed.into_lease());
        Some(number)
    }

    /// Releases an object, which is closed unless it is `usable`. Returns false when it is not borrowed.
    pub fn release(&self, object: u32, usable: bool) -> bool {
        let lease = lock(&self.leases).remove(&object);
        lease.is_some_and(|lease| {
            if usable {
                self.pool.release(lease)
            } else {
                self.pool.discard(lease)
            }
        })
    }

    /// Answers a request: with a problem, or that it is done. False when its answer is not awaited any more.
    pub fn answer(&self, id: u32, problem: Option<String>) -> bool {
        self.requests.answer(id, problem)
    }

    /// Marks these objects as dead: the free ones are closed at once, the others when they come back.
    pub fn evict(&self, objects: &[u32]) {
        for number in objects {
            self.requests.mark_dead(*number);
        }
        self.pool.evict_unusable();
    }

    /// The present numbers of objects and borrowers.
    pub fn stats(&self) -> Stats {
        self.pool.stats()
    }

    /// Ends the pool at once: free and borrowed objects are closed, waiting borrowers are refused.
    pub async fn stop(&self) {
        self.pool.drain(Limit::At(Duration::ZERO)).await;
    }
}

fn closed() -> Failure {
    Failure::new(Kind::Closed, "Pool is shutting down")
}
