//! Borrowers on several threads at once, in real time.

use std::time::Duration;

use moorline_core::limit::Limit;
use moorline_net::pool::{Pool, PooledConnection};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::server::{HEALTHY, Server, ServerBehaviour, StepBehaviour, config_with_max};

const BORROWERS: usize = 64;
const BORROWS: usize = 200;

/// Borrows many times; some connections break, some waits are given up.
async fn borrow_repeatedly(pool: Pool<Server>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let never = CancellationToken::new();
    for _ in 0..BORROWS {
        let limit = Duration::from_micros(random.u64(0..2_000));
        let lease = match random.u8(0..4) {
            0 => pool.take().map(PooledConnection::into_lease),
            1 => {
                let acquired = timeout(limit, pool.acquire(&never)).await;
                acquired
                    .ok()
                    .and_then(Result::ok)
                    .map(PooledConnection::into_lease)
            }
            _ => pool
                .acquire(&never)
                .await
                .ok()
                .map(PooledConnection::into_lease),
        };
        let Some(lease) = lease else { continue };
        if random.u8(0..8) == 0 {
            sleep(Duration::from_micros(random.u64(0..500))).await;
        } else {
            tokio::task::yield_now().await;
        }
        let broken = random.u8(0..20) == 0;
        let leaves_something = random.u8(0..5) == 0;
        pool.with(lease, |socket| {
            assert!(!socket.dirty, "a borrower saw what another one left");
            socket.broken = broken;
            socket.dirty = leaves_something;
        })
        .unwrap();
        match random.u8(0..10) {
            0 => assert!(pool.discard(lease)),
            1 => {
                assert!(pool.release(lease));
                assert!(!pool.release(lease), "given back twice");
            }
            _ => assert!(pool.release(lease)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_borrowers_never_exceed_the_cap_and_all_get_served() {
    let server = Server::new();
    server.set(ServerBehaviour {
        validate: StepBehaviour::Err,
        ..HEALTHY
    });
    let mut config = config_with_max(3);
    // Every connection that was idle at all is checked, found dead and replaced.
    config.validate_after = Limit::At(Duration::from_micros(50));
    let pool = server.pool(config);
    let borrowers: Vec<_> = (0..BORROWERS)
        .map(|seed| tokio::spawn(borrow_repeatedly(pool.clone(), seed as u64)))
        .collect();
    for borrower in borrowers {
        let finished = timeout(Duration::from_secs(20), borrower).await;
        finished.expect("a borrower is stranded").unwrap();
    }
    assert!(server.peak() <= 3, "{} connections of 3", server.peak());
    assert!(pool.drain(Limit::At(Duration::from_secs(5))).await);
    assert_eq!((pool.stats().total, server.alive()), (0, 0));
    let counters = pool.counters();
    assert_eq!(counters.created, counters.destroyed);
}
