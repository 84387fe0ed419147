//! Operations driven through a pipeline, in real time with short delays.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    limit::Limit,
    resilience::{
        breaker::{BreakerConfig, Trip},
        bulkhead::BulkheadConfig,
        config::{BREAKER, RETRY},
        pipeline::{BreakerScope, Pipeline, PipelineConfig},
        registry::SharedBreaker,
        retry::{Jitter, RetryPolicy},
    },
};
use moorline_net::pipeline::{Run, run};
use tokio_util::sync::CancellationToken;

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_mins(1);

/// Two retries, 5 ms apart at first.
const CONFIG: PipelineConfig = PipelineConfig {
    timeout: Limit::At(LONG),
    attempt_timeout: Limit::At(LONG),
    retry: Some(RetryPolicy {
        base_delay: SHORT,
        jitter: Jitter::Symmetric(0.0),
        ..RETRY
    }),
    limiter: None,
    bulkhead: None,
};

const ONE_AT_A_TIME: PipelineConfig = PipelineConfig {
    bulkhead: Some(BulkheadConfig {
        max_concurrent: 1,
        max_queue: 8,
    }),
    ..CONFIG
};

fn call() -> Run {
    Run::new("test", "operate")
}

fn refused() -> Failure {
    Failure::new(Kind::Connect, "connection refused")
}

#[tokio::test]
async fn an_operation_is_retried_until_it_succeeds() {
    let pipeline = Pipeline::new(CONFIG);
    let started = Instant::now();
    let outcome = run(&pipeline, call(), async |attempt| match attempt.number {
        3 => Ok(attempt.number),
        _ => Err(refused()),
    });
    assert_eq!(outcome.await.unwrap(), 3);
    // 5 ms, then 10.
    assert!(started.elapsed() >= SHORT * 3);
}

#[tokio::test]
async fn the_last_failure_comes_out_with_the_number_of_attempts() {
    let pipeline = Pipeline::new(CONFIG);
    let outcome: Outcome<()> = run(&pipeline, call(), async |_| Err(refused())).await;
    let failure = outcome.unwrap_err();
    assert_eq!((failure.kind, failure.attempts), (Kind::Connect, 3));
}

#[tokio::test]
async fn an_attempt_that_hangs_times_out_and_only_an_idempotent_one_is_repeated() {
    for (idempotent, attempts) in [(true, 3), (false, 1)] {
        let attempt_timeout = Limit::At(SHORT);
        let pipeline = Pipeline::new(PipelineConfig {
            attempt_timeout,
            ..CONFIG
        });
        let hang = async |_| -> Outcome<()> { std::future::pending().await };
        let outcome = run(
            &pipeline,
            Run {
                idempotent,
                ..call()
            },
            hang,
        )
        .await;
        let failure = outcome.unwrap_err();
        assert_eq!((failure.kind, failure.attempts), (Kind::Timeout, attempts));
        assert_eq!((failure.service, &*failure.operation), ("test", "operate"));
    }
}

#[tokio::test]
async fn the_whole_call_ends_at_its_deadline() {
    let timeout = Limit::At(SHORT * 4);
    let pipeline = Pipeline::new(PipelineConfig { timeout, ..CONFIG });
    let started = Instant::now();
    let hang = async |_| -> Outcome<()> { std::future::pending().await };
    let failure = run(&pipeline, call(), hang).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout);
    assert!(started.elapsed() < LONG / 10);
}

#[tokio::test]
async fn an_abort_during_the_delay_ends_the_call_at_once() {
    let retry = RetryPolicy {
        base_delay: LONG / 10,
        ..CONFIG.retry.unwrap()
    };
    let pipeline = Pipeline::new(PipelineConfig {
        retry: Some(retry),
        ..CONFIG
    });
    let cancel = CancellationToken::new();
    let failing = async |_| -> Outcome<()> {
        cancel.cancel();
        Err(refused())
    };
    let started = Instant::now();
    let aborted = Run {
        cancel: cancel.clone(),
        ..call()
    };
    let failure = run(&pipeline, aborted, failing).await.unwrap_err();
    assert_eq!(failure.code, "ABORT_ERR");
    assert!(started.elapsed() < LONG / 20);
}

#[tokio::test]
async fn an_open_breaker_refuses_without_running_the_operation() {
    let trip = Trip::Consecutive { failures: 1 };
    let breaker = Arc::new(SharedBreaker::new("db", BreakerConfig { trip, ..BREAKER }));
    let pipeline = Pipeline::new(CONFIG).with_breaker(BreakerScope::Calls, breaker);
    let ran = AtomicU32::new(0);
    let failing = async |_| -> Outcome<()> {
        ran.fetch_add(1, Ordering::Relaxed);
        Err(refused())
    };
    let first = run(&pipeline, call(), failing).await.unwrap_err();
    assert_eq!((first.kind, first.attempts), (Kind::Connect, 3));
    let second = run(&pipeline, call(), failing).await.unwrap_err();
    assert_eq!((second.kind, second.attempts), (Kind::CircuitOpen, 0));
    let message = "Circuit breaker 'db' is open; next attempt in ";
    assert!(second.message.starts_with(message), "{}", second.message);
    assert!(second.retry_after.is_some());
    assert_eq!(ran.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn calls_pass_the_bulkhead_in_order() {
    let pipeline = Pipeline::new(ONE_AT_A_TIME);
    let inside = AtomicU32::new(0);
    let order = std::sync::Mutex::new(Vec::new());
    let one = async |number: u32| {
        run(&pipeline, call(), async |_| {
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            tokio::task::yield_now().await;
            inside.fetch_sub(1, Ordering::SeqCst);
            order.lock().unwrap().push(number);
            Ok(())
        })
        .await
    };
    let (a, b, c, d) = tokio::join!(one(1), one(2), one(3), one(4));
    assert!([a, b, c, d].iter().all(Result::is_ok));
    assert_eq!(*order.lock().unwrap(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_dropped_call_gives_its_place_to_the_next() {
    let pipeline = Pipeline::new(ONE_AT_A_TIME);
    let hang = async |_| -> Outcome<()> { std::future::pending().await };
    let dropped = tokio::time::timeout(SHORT, run(&pipeline, call(), hang)).await;
    assert!(dropped.is_err());
    run(&pipeline, call(), async |_| Ok(())).await.unwrap();
    assert_eq!(pipeline.occupancy(), Some((0, 0)));
}
