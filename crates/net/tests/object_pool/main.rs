//! Pools of objects and their owner, on a paused clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use moorline_core::{
    connection::pool::ConnectionPoolConfig,
    error::{Kind, Outcome},
    limit::Limit,
    options::PlainValue,
};
use moorline_net::object_pool::{ObjectOwner, ObjectPool, ObjectPoolEvent, Request};
use tokio::{
    runtime::Handle,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// An owner that records its requests and events; the test answers them.
struct RecordingOwner {
    requests: UnboundedSender<Request>,
    events: Mutex<Vec<ObjectPoolEvent>>,
}

impl ObjectOwner for RecordingOwner {
    fn request(&self, request: Request) {
        let _ = self.requests.send(request);
    }

    fn on_event(&self, event: ObjectPoolEvent) {
        self.events.lock().unwrap().push(event);
    }
}

struct Fixture {
    pool: Arc<ObjectPool>,
    owner: Arc<RecordingOwner>,
    requests: UnboundedReceiver<Request>,
}

impl Fixture {
    fn open(options: &[(&str, f64)]) -> Self {
        let options = options
            .iter()
            .map(|(key, value)| ((*key).to_owned(), PlainValue::Number(*value)))
            .collect();
        let config = ConnectionPoolConfig::read(&PlainValue::Map(options), 2, true).unwrap();
        let (sender, requests) = unbounded_channel();
        let owner = Arc::new(RecordingOwner {
            requests: sender,
            events: Mutex::default(),
        });
        let pool = ObjectPool::open(
            Arc::<RecordingOwner>::clone(&owner),
            &config,
            Handle::current(),
        );
        Self {
            pool: Arc::new(pool),
            owner,
            requests,
        }
    }

    fn acquire(&self, wait: Option<Duration>) -> JoinHandle<Outcome<u32>> {
        let wait = wait.map(Limit::At);
        tokio::spawn(self.pool.acquire(wait, CancellationToken::new()))
    }

    async fn next_creation(&mut self) -> u32 {
        match self.requests.recv().await.unwrap() {
            Request::Create { id } => id,
            other => panic!("expected to make one, got {other:?}"),
        }
    }

    async fn acquire_new(&mut self) -> u32 {
        let acquired = self.acquire(None);
        let id = self.next_creation().await;
        assert!(self.pool.answer(id, None));
        assert_eq!(acquired.await.unwrap().unwrap(), id);
        id
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_has_the_number_of_the_request_it_was_made_for() {
    let mut it = Fixture::open(&[]);
    let object = it.acquire_new().await;
    assert!(it.pool.release(object, true));
    assert!(!it.pool.release(object, true), "it was given back");
    assert_eq!(it.pool.take(), Some(object));
    assert_eq!(it.pool.take(), None);
    assert_eq!(it.pool.stats().in_use, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_creation_is_retried_until_the_timeout() {
    let mut it = Fixture::open(&[]);
    let acquired = it.acquire(None);
    for _ in 0..3 {
        let id = it.next_creation().await;
        assert!(it.pool.answer(id, Some("no".to_owned())));
    }
    let id = it.next_creation().await;
    it.pool.answer(id, None);
    assert_eq!(acquired.await.unwrap().unwrap(), id);

    let began = Instant::now();
    let mut failing = it.acquire(Some(Duration::from_secs(3)));
    let failure = loop {
        tokio::select! {
            outcome = &mut failing => break outcome.unwrap().unwrap_err(),
            id = it.next_creation() => it.pool.answer(id, Some("still no".to_owned())),
        };
    };
    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!((failure.kind, failure.service), (Kind::PoolTimeout, "pool"));
    assert_eq!(failure.detail["limit"], "timeoutSeconds");
    assert_eq!(failure.cause.as_ref().unwrap().message, "still no");
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_refused() {
    let mut it = Fixture::open(&[]);
    let acquired = it.acquire(Some(Duration::from_millis(10)));
    let id = it.next_creation().await;
    let failure = acquired.await.unwrap().unwrap_err();
    assert_eq!(failure.kind, Kind::PoolTimeout);
    assert!(!it.pool.answer(id, None));
    assert!(!it.pool.answer(id + 1, None), "there was no such request");
}

#[tokio::test(start_paused = true)]
async fn dead_objects_are_closed_at_once_or_when_they_come_back() {
    let mut it = Fixture::open(&[]);
    let (free, borrowed) = (it.acquire_new().await, it.acquire_new().await);
    it.pool.release(free, true);
    it.pool.evict(&[free, borrowed]);
    for object in [free, borrowed] {
        let Request::Close {
            id: Some(id),
            object: closed,
        } = it.requests.recv().await.unwrap()
        else {
            panic!("expected to close {object}");
        };
        assert_eq!(closed, object);
        assert!(it.pool.answer(id, None));
        if object == free {
            assert!(it.pool.release(borrowed, true));
        }
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(it.pool.stats().total, 0);
}

#[tokio::test(start_paused = true)]
async fn stopping_closes_every_object_and_emits_an_event() {
    let mut it = Fixture::open(&[]);
    let objects = [it.acquire_new().await, it.acquire_new().await];
    it.pool.release(objects[0], true);
    let stop = tokio::spawn({
        let pool = Arc::clone(&it.pool);
        async move { pool.stop().await }
    });
    let mut closed = Vec::new();
    while closed.len() < 2 {
        let Request::Close { id, object } = it.requests.recv().await.unwrap() else {
            panic!("nothing but closing is left to do");
        };
        closed.push(object);
        id.map(|id| it.pool.answer(id, None));
    }
    stop.await.unwrap();
    closed.sort_unstable();
    assert_eq!(closed, objects);
    assert_eq!(*it.owner.events.lock().unwrap(), [ObjectPoolEvent::Drain]);
    let refused = it.acquire(None).await.unwrap().unwrap_err();
    assert_eq!(refused.kind, Kind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_leak_names_its_object() {
    let mut it = Fixture::open(&[("leakAfter", 1.0)]);
    let object = it.acquire_new().await;
    sleep(Duration::from_secs(2)).await;
    let events = it.owner.events.lock().unwrap().clone();
    let [
        ObjectPoolEvent::Leak {
            object: Some(leaked),
            held,
        },
    ] = events.as_slice()
    else {
        panic!("expected a leak, got {events:?}");
    };
    assert_eq!(*leaked, object);
    assert!(*held >= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn only_failures_unknown_to_the_owner_are_emitted() {
    let mut it = Fixture::open(&[("minSize", 1.0), ("connectTimeout", 0.1)]);
    let id = it.next_creation().await;
    it.pool.answer(id, Some("the owner knows".to_owned()));
    sleep(Duration::from_millis(1)).await;
    assert!(it.owner.events.lock().unwrap().is_empty());
    let late = it.next_creation().await;
    sleep(Duration::from_millis(200)).await;
    assert!(!it.pool.answer(late, None));
    let events = it.owner.events.lock().unwrap().clone();
    let [ObjectPoolEvent::Error(failure), ..] = events.as_slice() else {
        panic!("expected an error, got {events:?}");
    };
    assert_eq!(
        (failure.code.as_ref(), failure.operation.as_ref()),
        ("ETIMEDOUT", "acquire")
    );
}
