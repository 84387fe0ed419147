//! Every step can be abandoned: however dialling, checking and closing go, and whenever the borrower
//! leaves, no connection is too many and the next borrower is served.

use std::time::Duration;

use moorline_core::limit::Limit;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::server::{Gate, Gates, OPEN, Server, at_most, within};

/// How a borrower ends its wait.
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
            drop(borrowed);
        }
    };
    match leave {
        Leave::Never => borrowing.await,
        Leave::DropAfter(ms) => drop(timeout(Duration::from_millis(ms), borrowing).await),
        Leave::CancelAfter(ms) => {
            let fuse = async {
                sleep(Duration::from_millis(ms)).await;
                cancel.cancel();
            };
            tokio::join!(borrowing, fuse);
        }
    }
}

/// One connection idle long enough to be checked, then two borrowers while the server behaves as told.
async fn walk(gates: Gates, leave: Leave) {
    let server = Server::new();
    let pool = server.pool(at_most(1));
    let never = CancellationToken::new();
    drop(pool.acquire(&never).await.unwrap());
    sleep(Duration::from_secs(1)).await;

    server.set(gates);
    tokio::join!(
        borrow_and_leave(pool.clone(), leave),
        borrow_and_leave(pool.clone(), leave)
    );

    server.set(OPEN);
    let wait = Limit::At(Duration::from_mins(1));
    let survivor = pool.acquire_within(within(wait), &never).await;
    assert!(
        survivor.is_ok(),
        "{gates:?} {leave:?}: {survivor:?}",
        survivor = survivor.err()
    );
    drop(survivor);
    assert_eq!(server.peak(), 1, "{gates:?} {leave:?}");
    assert!(
        pool.drain(Limit::At(Duration::from_secs(30))).await,
        "{gates:?} {leave:?}"
    );
    assert_eq!(
        (pool.stats().total, server.alive()),
        (0, 0),
        "{gates:?} {leave:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn no_step_that_fails_stalls_or_is_abandoned_costs_a_slot() {
    let answers = [Gate::Ok, Gate::Err, Gate::Slow, Gate::Never];
    let goodbyes = [Gate::Ok, Gate::Slow, Gate::Never, Gate::Panic];
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
            for close in goodbyes {
                for leave in exits {
                    let gates = Gates {
                        connect,
                        validate,
                        close,
                    };
                    walk(gates, leave).await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_driver_frees_its_slot() {
    let server = Server::new();
    let pool = server.pool(at_most(1));
    server.set(Gates {
        connect: Gate::Panic,
        ..OPEN
    });
    let attempt = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire(&CancellationToken::new()).await.is_ok() }
    });
    assert!(attempt.await.unwrap_err().is_panic());
    server.set(OPEN);
    assert!(pool.acquire(&CancellationToken::new()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_gives_up_its_place_at_once() {
    let server = Server::new();
    let pool = server.pool(at_most(1));
    let never = CancellationToken::new();
    let _held = pool.acquire(&never).await.unwrap();
    let mut leaver = Box::pin(pool.acquire(&never));
    assert!(futures_util::poll!(&mut leaver).is_pending());
    assert_eq!(pool.stats().waiting, 1);
    drop(leaver);
    assert_eq!(pool.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_comes_as_the_waiter_leaves_goes_to_the_next() {
    let server = Server::new();
    let pool = server.pool(at_most(1));
    let never = CancellationToken::new();
    let held = pool.acquire(&never).await.unwrap();
    let mut leaver = Box::pin(pool.acquire(&never));
    assert!(futures_util::poll!(&mut leaver).is_pending());
    let mut next = Box::pin(pool.acquire(&never));
    assert!(futures_util::poll!(&mut next).is_pending());
    // The first waiter's turn is already in its channel when it leaves without looking.
    drop(held);
    drop(leaver);
    assert!(next.await.is_ok());
    assert_eq!(server.opened(), 1);
}
