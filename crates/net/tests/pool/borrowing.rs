//! The guarantees for a borrower.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use moorline_core::{error::Kind, limit::Limit, pool::LedgerConfig};
use moorline_net::pool::{Event, Pool};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::server::{HEALTHY, Server, ServerBehaviour, StepBehaviour, config_with_max, wait_limit};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn acquire_number(pool: &Pool<Server>) -> usize {
    let borrowed = pool.acquire(&CancellationToken::new()).await.unwrap();
    borrowed.with(|socket| socket.number).unwrap()
}

#[tokio::test(start_paused = true)]
async fn two_hundred_callers_share_five_connections() {
    let server = Server::new();
    server.set(ServerBehaviour {
        connect: StepBehaviour::Slow,
        ..HEALTHY
    });
    let pool = server.pool(config_with_max(5));
    let callers = (0..200).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let borrowed = pool.acquire(&CancellationToken::new()).await.unwrap();
            sleep(ms(10)).await;
            drop(borrowed);
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert_eq!((server.dialled(), server.peak()), (5, 5));
    assert_eq!(pool.stats().available, 5);
    assert_eq!(pool.counters().acquired, 200);
}

#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_the_order_they_came() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    let held = pool.acquire(&CancellationToken::new()).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let waiters: Vec<_> = (0..20)
        .map(|index| {
            let (pool, order) = (pool.clone(), Arc::clone(&order));
            tokio::spawn(async move {
                let _borrowed = pool.acquire(&CancellationToken::new()).await.unwrap();
                order.lock().unwrap().push(index);
            })
        })
        .collect();
    sleep(ms(1)).await;
    assert_eq!(pool.stats().waiting, 20);
    drop(held);
    for waiter in waiters {
        waiter.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_names_its_limit_and_leaves_no_waiter() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    let cancel = CancellationToken::new();
    let _held = pool.acquire(&cancel).await.unwrap();
    let asked = Instant::now();
    let failure = pool
        .acquire_within(wait_limit(Limit::At(ms(250))), &cancel)
        .await
        .err()
        .unwrap();
    assert_eq!(failure.kind, Kind::PoolTimeout);
    assert_eq!(failure.code, "ETIMEDOUT");
    assert_eq!(failure.message, "Connection timeout after 250ms (waitMs)");
    assert!(asked.elapsed() >= ms(250) && asked.elapsed() < ms(260));
    assert_eq!(pool.stats().waiting, 0);
    assert_eq!(pool.counters().timeouts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_wait_behind_a_longer_one_still_ends_in_time() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    let cancel = CancellationToken::new();
    let _held = pool.acquire(&cancel).await.unwrap();
    let asked = Instant::now();
    let (long, short) = tokio::join!(
        pool.acquire_within(wait_limit(Limit::At(ms(400))), &cancel),
        async {
            let answer = pool
                .acquire_within(wait_limit(Limit::At(ms(100))), &cancel)
                .await;
            (answer.err().unwrap(), asked.elapsed())
        }
    );
    assert!(short.1 < ms(110), "{:?}", short.1);
    assert_eq!(short.0.message, "Connection timeout after 100ms (waitMs)");
    assert_eq!(
        long.err().unwrap().message,
        "Connection timeout after 400ms (waitMs)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_fresh_connection_is_taken_at_once_and_a_stale_one_is_not() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    assert!(pool.take().is_none());
    drop(pool.acquire(&CancellationToken::new()).await.unwrap());
    drop(pool.take().unwrap());
    sleep(ms(600)).await;
    assert!(pool.take().is_none());
    assert_eq!(acquire_number(&pool).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_died_while_idle_is_replaced_before_anybody_sees_it() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    assert_eq!(acquire_number(&pool).await, 0);
    sleep(ms(600)).await;
    server.set(ServerBehaviour {
        validate: StepBehaviour::Err,
        ..HEALTHY
    });
    assert_eq!(acquire_number(&pool).await, 1);
    assert_eq!((server.alive(), server.peak()), (1, 1));
    assert_eq!(pool.counters().destroyed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_never_answers_is_a_no_after_five_seconds() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    assert_eq!(acquire_number(&pool).await, 0);
    sleep(ms(600)).await;
    server.set(ServerBehaviour {
        validate: StepBehaviour::Never,
        ..HEALTHY
    });
    let asked = Instant::now();
    assert_eq!(acquire_number(&pool).await, 1);
    assert!(asked.elapsed() < ms(5_010));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_comes_back_broken_is_closed() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    let borrowed = pool.acquire(&CancellationToken::new()).await.unwrap();
    borrowed.with(|socket| socket.broken = true).unwrap();
    drop(borrowed);
    assert_eq!(acquire_number(&pool).await, 1);
    assert_eq!(server.peak(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_never_ends_fails_after_ten_seconds() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    server.set(ServerBehaviour {
        connect: StepBehaviour::Never,
        ..HEALTHY
    });
    let failure = pool.acquire(&CancellationToken::new()).await.err().unwrap();
    assert_eq!(
        (failure.kind, failure.code.as_ref()),
        (Kind::Connect, "ETIMEDOUT")
    );
    assert_eq!(
        failure.message,
        "Connecting took longer than 10000ms (connectTimeoutMs)"
    );
    assert_eq!((pool.stats().total, server.alive()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lease_given_back_twice_does_not_free_its_next_holder() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    let cancel = CancellationToken::new();
    let first = pool.acquire(&cancel).await.unwrap().into_lease();
    assert!(pool.release(first));
    let second = pool.acquire(&cancel).await.unwrap().into_lease();
    assert!(!pool.release(first));
    assert!(!pool.discard(first));
    assert_eq!(pool.with(first, |_| ()).unwrap_err().kind, Kind::Closed);
    assert!(pool.with(second, |_| ()).is_ok());
    assert_eq!(pool.stats().in_use, 1);
}

#[tokio::test(start_paused = true)]
async fn the_events_of_a_lease_come_in_order() {
    let server = Server::new();
    let pool = server.pool(LedgerConfig {
        leak_after: Limit::At(ms(100)),
        idle_timeout: Limit::At(ms(1_000)),
        ..config_with_max(1)
    });
    let borrowed = pool.acquire(&CancellationToken::new()).await.unwrap();
    sleep(ms(5_000)).await;
    let lease = borrowed.lease();
    drop(borrowed);
    sleep(ms(1_010)).await;
    assert_eq!(
        server.words(),
        ["create", "acquire", "leak", "release", "destroy"]
    );
    let leaks = server
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Leak { .. }));
    match leaks.collect::<Vec<_>>()[..] {
        [
            Event::Leak {
                lease: leaked,
                held,
            },
        ] => {
            assert_eq!(leaked, lease);
            assert!(held >= ms(100) && held < ms(110), "{held:?}");
        }
        ref other => panic!("one leak, once: {other:?}"),
    }
    assert_eq!(server.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_minimum_is_open_before_anybody_asks_and_opened_again_after_an_outage() {
    let server = Server::new();
    server.set(ServerBehaviour {
        connect: StepBehaviour::Err,
        ..HEALTHY
    });
    let pool = server.pool(LedgerConfig {
        min: 2,
        ..config_with_max(3)
    });
    sleep(ms(1)).await;
    assert_eq!(server.words(), ["error", "error"]);
    server.set(HEALTHY);
    sleep(ms(5_100)).await;
    assert_eq!(pool.stats().available, 2);
    assert!(
        server.dialled() <= 5,
        "the server was dialled {} times",
        server.dialled()
    );
}
