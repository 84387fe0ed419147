//! The end of a pool.

use std::time::Duration;

use moorline_core::{error::Kind, limit::Limit, pool::LedgerConfig};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::server::{HEALTHY, Server, ServerBehaviour, StepBehaviour, config_with_max};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test(start_paused = true)]
async fn a_drain_refuses_newcomers_and_waiters_and_waits_for_borrowers() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    let cancel = CancellationToken::new();
    let held = pool.acquire(&cancel).await.unwrap();
    let waiter = tokio::spawn({
        let (pool, cancel) = (pool.clone(), cancel.clone());
        async move { pool.acquire(&cancel).await.err() }
    });
    sleep(ms(1)).await;
    let began = Instant::now();
    let drain = tokio::spawn({
        let pool = pool.clone();
        async move { pool.drain(Limit::At(ms(30_000))).await }
    });
    for failure in [
        waiter.await.unwrap().unwrap(),
        pool.acquire(&cancel).await.err().unwrap(),
    ] {
        assert_eq!(failure.kind, Kind::Closed);
        assert_eq!(failure.message, "Pool is shutting down");
    }
    sleep(ms(300)).await;
    assert!(!drain.is_finished());
    drop(held);
    assert!(drain.await.unwrap());
    assert!(began.elapsed() < ms(400));
    assert_eq!((pool.stats().total, server.alive()), (0, 0));
    assert!(pool.take().is_none());
}

#[tokio::test(start_paused = true)]
async fn borrowers_that_do_not_finish_are_cut_off_and_may_release_late() {
    let server = Server::new();
    let pool = server.pool(config_with_max(2));
    let cancel = CancellationToken::new();
    let lease = pool.acquire(&cancel).await.unwrap().into_lease();
    let began = Instant::now();
    assert!(!pool.drain(Limit::At(ms(50))).await);
    assert!(began.elapsed() < ms(60));
    assert_eq!((pool.stats().total, server.alive()), (0, 0));
    assert_eq!(pool.with(lease, |_| ()).unwrap_err().kind, Kind::Closed);
    assert!(!pool.release(lease));
}

#[tokio::test(start_paused = true)]
async fn a_dial_in_progress_is_cut_off_too() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    server.set(ServerBehaviour {
        connect: StepBehaviour::Never,
        ..HEALTHY
    });
    let dialling = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire(&CancellationToken::new()).await.err() }
    });
    sleep(ms(1)).await;
    assert!(!pool.drain(Limit::At(ms(50))).await);
    let failure = dialling.await.unwrap().unwrap();
    assert_eq!(failure.message, "Pool is shutting down");
    assert_eq!((pool.stats().total, server.alive()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_check_in_progress_is_cut_off_too() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    drop(pool.acquire(&CancellationToken::new()).await.unwrap());
    sleep(ms(600)).await;
    server.set(ServerBehaviour {
        validate: StepBehaviour::Never,
        ..HEALTHY
    });
    let checking = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire(&CancellationToken::new()).await.err() }
    });
    sleep(ms(1)).await;
    assert!(!pool.drain(Limit::At(ms(50))).await);
    assert_eq!(checking.await.unwrap().unwrap().kind, Kind::Closed);
    assert_eq!((pool.stats().total, server.alive()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_lets_go_does_not_hold_the_drain_up_for_ever() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    drop(pool.acquire(&CancellationToken::new()).await.unwrap());
    server.set(ServerBehaviour {
        close: StepBehaviour::Never,
        ..HEALTHY
    });
    let began = Instant::now();
    assert!(pool.drain(Limit::At(ms(30_000))).await);
    assert!(began.elapsed() < ms(5_100));
    assert_eq!((pool.stats().total, server.alive()), (0, 0));
    assert_eq!(server.words()[3..], ["drain", "error", "destroy"]);
}

#[tokio::test(start_paused = true)]
async fn draining_an_unused_pool_or_draining_twice_is_quiet() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    assert!(pool.drain(Limit::At(ms(10))).await);
    assert!(pool.drain(Limit::At(ms(10))).await);
    assert_eq!(server.dialled(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_pool_closes_its_connections_and_leaves_no_task() {
    let server = Server::new();
    let pool = server.pool(config_with_max(2));
    drop(pool.acquire(&CancellationToken::new()).await.unwrap());
    assert_eq!(server.alive(), 1);
    drop(pool);
    sleep(ms(10)).await;
    assert_eq!(server.alive(), 0);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drained_pool_leaves_no_task() {
    let server = Server::new();
    let pool = server.pool(config_with_max(2));
    drop(pool.acquire(&CancellationToken::new()).await.unwrap());
    assert!(pool.drain(Limit::At(ms(10))).await);
    sleep(ms(10)).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_minimum_is_restored_when_a_connection_was_discarded() {
    let server = Server::new();
    let pool = server.pool(LedgerConfig {
        min: 1,
        idle_timeout: Limit::Off,
        max_lifetime: Limit::Off,
        leak_after: Limit::Off,
        ..config_with_max(2)
    });
    let lease = pool
        .acquire(&CancellationToken::new())
        .await
        .unwrap()
        .into_lease();
    sleep(ms(1)).await;
    assert!(pool.discard(lease));
    sleep(ms(1)).await;
    assert_eq!((pool.stats().available, server.alive()), (1, 1));
}
