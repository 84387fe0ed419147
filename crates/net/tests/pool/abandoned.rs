//! Abandoned borrows: at whatever step a borrower leaves, the pool stays within its limit and serves the next one.

use std::time::Duration;

use moorline_core::limit::Limit;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::server::{HEALTHY, Server, ServerBehaviour, StepBehaviour, config_with_max, wait_limit};

/// The way in which a borrower ends its wait.
#[derive(Clone, Copy, Debug)]
enum Leave {
    Never,
    CancelAfter(u64),
    DropAfter(u64),
}

async fn borrow_and_leave(pool: moorline_net::pool::Pool<Server>, leave: Leave) {
    let cancel = CancellationToken::new();
    let borrowing = async {
        if let Ok(borrowed) = pool.acquire(&cancel).await {
            sleep(Duration::from_millis(5)).await;
            borrowed.with(|socket| socket.dirty = true);
            drop(borrowed);
        }
    };
    match leave {
        Leave::Never => borrowing.await,
        Leave::DropAfter(ms) => drop(timeout(Duration::from_millis(ms), borrowing).await),
        Leave::CancelAfter(ms) => {
            let cancelling = async {
                sleep(Duration::from_millis(ms)).await;
                cancel.cancel();
            };
            tokio::join!(borrowing, cancelling);
        }
    }
}

/// Lets one connection idle until it must be checked, then two borrowers in while the server behaves as `behaviour` says.
async fn run_scenario(behaviour: ServerBehaviour, leave: Leave) {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    let never = CancellationToken::new();
    drop(pool.acquire(&never).await.unwrap());
    sleep(Duration::from_secs(1)).await;

    server.set(behaviour);
    tokio::join!(
        borrow_and_leave(pool.clone(), leave),
        borrow_and_leave(pool.clone(), leave)
    );

    server.set(HEALTHY);
    let wait = Limit::At(Duration::from_mins(1));
    let survivor = pool.acquire_within(wait_limit(wait), &never).await;
    assert!(
        survivor.is_ok(),
        "{behaviour:?} {leave:?}: {survivor:?}",
        survivor = survivor.err()
    );
    drop(survivor);
    assert_eq!(server.peak(), 1, "{behaviour:?} {leave:?}");
    assert!(
        pool.drain(Limit::At(Duration::from_secs(30))).await,
        "{behaviour:?} {leave:?}"
    );
    assert_eq!(
        (pool.stats().total, server.alive()),
        (0, 0),
        "{behaviour:?} {leave:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn no_step_that_fails_stalls_or_is_abandoned_costs_a_slot() {
    let answers = [
        StepBehaviour::Ok,
        StepBehaviour::Err,
        StepBehaviour::Slow,
        StepBehaviour::Never,
    ];
    let closings = [
        StepBehaviour::Ok,
        StepBehaviour::Slow,
        StepBehaviour::Never,
        StepBehaviour::Panic,
    ];
    let exits = [
        Leave::Never,
        Leave::CancelAfter(0),
        Leave::CancelAfter(10),
        Leave::CancelAfter(60),
        Leave::DropAfter(0),
        Leave::DropAfter(10),
        Leave::DropAfter(60),
        Leave::DropAfter(5_020),
    ];
    for connect in answers {
        for validate in answers {
            for recycle in answers {
                for (close, leave) in closings
                    .iter()
                    .flat_map(|close| exits.map(|leave| (*close, leave)))
                {
                    let behaviour = ServerBehaviour {
                        connect,
                        validate,
                        recycle,
                        close,
                    };
                    run_scenario(behaviour, leave).await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_driver_frees_its_slot() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    server.set(ServerBehaviour {
        connect: StepBehaviour::Panic,
        ..HEALTHY
    });
    let attempt = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire(&CancellationToken::new()).await.is_ok() }
    });
    assert!(attempt.await.unwrap_err().is_panic());
    server.set(HEALTHY);
    assert!(pool.acquire(&CancellationToken::new()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_gives_up_its_place_at_once() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    let never = CancellationToken::new();
    let _held = pool.acquire(&never).await.unwrap();
    let mut leaver = Box::pin(pool.acquire(&never));
    assert!(futures_util::poll!(&mut leaver).is_pending());
    assert_eq!(pool.stats().waiting, 1);
    drop(leaver);
    assert_eq!(pool.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_grant_to_a_waiter_that_leaves_goes_to_the_next() {
    let server = Server::new();
    let pool = server.pool(config_with_max(1));
    let never = CancellationToken::new();
    let held = pool.acquire(&never).await.unwrap();
    let mut leaver = Box::pin(pool.acquire(&never));
    assert!(futures_util::poll!(&mut leaver).is_pending());
    let mut next = Box::pin(pool.acquire(&never));
    assert!(futures_util::poll!(&mut next).is_pending());
    // The grant is already in the first waiter's channel when it leaves.
    drop(held);
    drop(leaver);
    assert!(next.await.is_ok());
    assert_eq!(server.dialled(), 1);
}
