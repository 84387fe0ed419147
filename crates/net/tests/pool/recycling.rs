//! What a borrower leaves on a connection, connections that are made at once, and a transport that is gone.

use std::time::Duration;

use moorline_core::limit::Limit;
use moorline_net::pool::{Pool, PooledConnection};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::server::{HEALTHY, SLOW, Server, ServerBehaviour, StepBehaviour, config_with_max};

async fn acquire(pool: &Pool<Server>) -> PooledConnection<Server> {
    pool.acquire(&CancellationToken::new()).await.unwrap()
}

fn leave_something(borrowed: &PooledConnection<Server>) {
    borrowed.with(|socket| socket.dirty = true).unwrap();
}

/// The number of the connection, which must be clean.
fn clean_number(borrowed: &PooledConnection<Server>) -> usize {
    borrowed
        .with(|socket| {
            assert!(!socket.dirty, "a borrower saw what another one left");
            socket.number
        })
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_recycled_before_the_next_borrower_gets_it() {
    let server = Server::new();
    server.set(ServerBehaviour {
        recycle: StepBehaviour::Slow,
        ..HEALTHY
    });
    let pool = server.pool(config_with_max(1));
    let borrowed = acquire(&pool).await;
    leave_something(&borrowed);
    drop(borrowed);
    assert!(pool.take().is_none(), "it is not free yet");
    let asked = Instant::now();
    assert_eq!(clean_number(&acquire(&pool).await), 0);
    assert_eq!(asked.elapsed(), SLOW);
    // A borrower that left nothing has nothing removed.
    let asked = Instant::now();
    assert_eq!(clean_number(&acquire(&pool).await), 0);
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_recycled_in_time_is_replaced() {
    for recycle in [
        StepBehaviour::Err,
        StepBehaviour::Never,
        StepBehaviour::Panic,
    ] {
        let server = Server::new();
        server.set(ServerBehaviour { recycle, ..HEALTHY });
        let pool = server.pool(config_with_max(1));
        let borrowed = acquire(&pool).await;
        leave_something(&borrowed);
        drop(borrowed);
        let asked = Instant::now();
        assert_eq!(clean_number(&acquire(&pool).await), 1, "{recycle:?}");
        let limit = pool.config().recycle_timeout;
        assert!(asked.elapsed() <= limit + Duration::from_millis(2));
        assert_eq!((server.alive(), server.peak()), (1, 1), "{recycle:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_ends_waits_for_no_recycling() {
    let server = Server::new();
    server.set(ServerBehaviour {
        recycle: StepBehaviour::Never,
        ..HEALTHY
    });
    let pool = server.pool(config_with_max(1));
    let borrowed = acquire(&pool).await;
    leave_something(&borrowed);
    drop(borrowed);
    let asked = Instant::now();
    pool.drain(Limit::At(Duration::from_millis(100))).await;
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert_eq!(server.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn four_connections_are_made_at_once() {
    let server = Server::new();
    server.set(ServerBehaviour {
        connect: StepBehaviour::Slow,
        ..HEALTHY
    });
    let pool = server.pool(config_with_max(20));
    let held: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { acquire(&pool).await })
        })
        .collect();
    for borrowed in held {
        borrowed.await.unwrap();
    }
    assert_eq!(server.dialling_peak(), 4);
}

#[tokio::test(start_paused = true)]
async fn borrowers_that_replace_dead_connections_make_four_at_once() {
    let server = Server::new();
    let pool = server.pool(config_with_max(20));
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(acquire(&pool).await);
    }
    drop(held);
    // Unused for so long, they are checked.
    sleep(Duration::from_secs(1)).await;
    server.set(ServerBehaviour {
        connect: StepBehaviour::Slow,
        validate: StepBehaviour::Err,
        ..HEALTHY
    });
    let borrowers: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { acquire(&pool).await })
        })
        .collect();
    for borrower in borrowers {
        borrower.await.unwrap();
    }
    assert_eq!(server.dialling_peak(), 4);
    assert_eq!(server.peak(), 20);
}

#[tokio::test(start_paused = true)]
async fn without_a_transport_free_connections_close_at_once_and_others_when_they_come_back() {
    let server = Server::new();
    let pool = server.pool(config_with_max(3));
    let (first, second) = (acquire(&pool).await, acquire(&pool).await);
    drop(first);
    pool.evict_all();
    sleep(Duration::from_millis(1)).await;
    assert_eq!((server.alive(), pool.stats().available), (1, 0));
    assert!(second.with(|socket| socket.number).is_some());
    drop(second);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(server.alive(), 0);
    assert_eq!(clean_number(&acquire(&pool).await), 2);
}
