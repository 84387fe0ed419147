//! Loss and recovery: at once, with delays, to their end, and again when somebody needs it.

use std::time::Duration;

use futures_util::future::join_all;
use moorline_core::{error::Kind, limit::Limit};
use moorline_net::ssh::{TunnelConfig, TunnelEvent};
use tokio::{
    io::AsyncReadExt,
    time::{Instant, sleep, timeout},
};

use super::{Found, Network, config, connected, exchange, open_echo, until};
use crate::server::failure;

#[tokio::test(start_paused = true)]
async fn a_lost_tunnel_is_back_at_once_and_opens_wait_for_it() {
    let network = Network::new();
    let (tunnel, events) = connected(&network, config()).await;
    let mut stream = open_echo(&tunnel).await.unwrap();
    sleep(Duration::from_secs(20)).await;
    network.cut();
    let opened = join_all((0..5).map(|_| open_echo(&tunnel))).await;
    assert!(opened.iter().all(Result::is_ok));
    assert!(stream.read(&mut [0]).await.is_err());
    assert_eq!((events.outages(), events.reconnects()), (1, 1));
    assert_eq!(tunnel.stats().reconnects, 1);
    assert_eq!(network.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_so_many_retries_it_waits_until_somebody_needs_it() {
    let network = Network::new();
    let without_checks = TunnelConfig {
        reconnect: moorline_core::ssh::ReconnectPolicy {
            check_interval: Limit::Off,
            ..config().reconnect
        },
        ..config()
    };
    let (tunnel, events) = connected(&network, without_checks).await;
    network.set(Found::Nothing);
    network.cut();
    let exceeded = || events.count(|event| matches!(event, TunnelEvent::RetriesExceeded { .. }));
    until("exceeded", || exceeded() == 1).await;
    assert_eq!(network.dials(), 1 + 4);
    let attempts: Vec<_> = events.all().iter().filter_map(attempt).collect();
    assert_eq!(
        attempts.iter().map(|one| one.0).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert_eq!(attempts[0].1, Duration::ZERO);
    for (index, (_, delay)) in attempts.iter().enumerate().skip(1) {
        assert!(
            *delay <= Duration::from_secs(1 << (index - 1)),
            "{attempts:?}"
        );
    }
    sleep(Duration::from_hours(1)).await;
    assert_eq!(network.dials(), 5, "nobody needed it");
    // Each need leads to all attempts once more.
    let failed = failure(open_echo(&tunnel).await);
    assert_eq!(failed.message, "Failed to reconnect after maximum retries");
    assert_eq!(failed.code, "ECONNREFUSED");
    assert!(failed.cause.is_some());
    assert_eq!((network.dials(), exceeded()), (9, 2));
    let waiting = tokio::spawn(tunnel.connect());
    sleep(Duration::from_millis(1)).await;
    network.set(Found::Server);
    waiting.await.unwrap().unwrap();
    open_echo(&tunnel).await.unwrap();
    assert_eq!((events.outages(), events.reconnects()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn connecting_waits_for_the_attempt_that_is_due() {
    let network = Network::new();
    let mut patient = config();
    patient.reconnect.retry_delay = Duration::from_hours(1);
    let (tunnel, events) = connected(&network, patient).await;
    network.set(Found::Nothing);
    network.cut();
    until("two attempts", || {
        events.all().iter().filter_map(attempt).count() == 2
    })
    .await;
    network.set(Found::Server);
    let both = join_all([tunnel.connect(), tunnel.connect()]);
    let opened = async { tokio::join!(both, open_echo(&tunnel)) };
    let mut opened = Box::pin(opened);
    assert!(
        timeout(Duration::from_millis(1), &mut opened)
            .await
            .is_err()
    );
    assert_eq!(network.dials(), 2);
    let (connects, stream) = timeout(Duration::from_hours(2), opened).await.unwrap();
    assert!(connects.iter().all(Result::is_ok) && stream.is_ok());
    assert_eq!(network.dials(), 3);
}

fn attempt(event: &TunnelEvent) -> Option<(u32, Duration)> {
    match event {
        TunnelEvent::Reconnecting { attempt, delay } => Some((*attempt, *delay)),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn the_check_connects_again_when_nobody_else_does() {
    let network = Network::new();
    let (tunnel, events) = connected(&network, config()).await;
    network.set(Found::Nothing);
    network.cut();
    until("exceeded", || {
        events.count(|event| matches!(event, TunnelEvent::RetriesExceeded { .. })) == 1
    })
    .await;
    network.set(Found::Server);
    let started = Instant::now();
    until("connected again", || tunnel.is_connected()).await;
    assert!(started.elapsed() <= Duration::from_secs(31));
    assert_eq!(events.reconnects(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_check_measures_a_round_trip_and_nothing_else_wakes_an_idle_tunnel() {
    let network = Network::new();
    let quiet = TunnelConfig {
        keep_alive_interval: Duration::from_hours(24),
        ..config()
    };
    let (tunnel, _) = connected(&network, quiet).await;
    assert_eq!(tunnel.stats().round_trip, None);
    sleep(Duration::from_secs(31)).await;
    assert!(tunnel.stats().round_trip.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_changed_host_key_is_not_connected_to_again() {
    let network = Network::new();
    let (tunnel, events) = connected(&network, config()).await;
    network.set(Found::OtherServer);
    network.cut();
    let refused = || events.count(|event| matches!(event, TunnelEvent::Refused(_)));
    until("refused", || refused() == 1).await;
    sleep(Duration::from_hours(1)).await;
    for _ in 0..3 {
        let failed = failure(open_echo(&tunnel).await);
        assert_eq!(
            (failed.kind, failed.code.as_ref()),
            (Kind::Auth, "ERR_SSH_HOST_KEY_MISMATCH")
        );
    }
    assert_eq!(network.dials(), 2, "it was asked once");
    let failed = tunnel.connect().await.unwrap_err();
    assert_eq!(failed.code, "ERR_SSH_HOST_KEY_MISMATCH");
    network.set(Found::Server);
    tunnel.connect().await.unwrap();
    open_echo(&tunnel).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_is_found_out_and_opens_succeed_afterwards() {
    let network = Network::new();
    let (tunnel, events) = connected(&network, config()).await;
    let mut stream = open_echo(&tunnel).await.unwrap();
    network.hold();
    assert!(
        timeout(Duration::from_secs(5), open_echo(&tunnel))
            .await
            .is_err()
    );
    let mut opened = open_echo(&tunnel).await.unwrap();
    exchange(&mut opened).await;
    assert!(stream.read(&mut [0]).await.is_err());
    let lost = events.all().iter().any(
        |event| matches!(event, TunnelEvent::Lost { failure, .. } if failure.code == "ETIMEDOUT"),
    );
    assert!(lost, "{:?}", events.all());
}

/// Under calls, killed and restarted again and again: the events add up, and nothing is left.
#[tokio::test(start_paused = true)]
async fn outages_and_recoveries_add_up_under_calls() {
    let network = Network::new();
    let (tunnel, events) = connected(&network, config()).await;
    for round in 0..10 {
        let calls = join_all((0..50).map(|_| timeout(Duration::from_mins(1), open_echo(&tunnel))));
        let faults = async {
            network.set(Found::Nothing);
            network.cut();
            sleep(Duration::from_millis(300 * round)).await;
            network.set(Found::Server);
        };
        let (calls, ()) = tokio::join!(calls, faults);
        for call in calls {
            // Those that waited when the last attempt failed are told so.
            if let Err(failed) = call.expect("a call that ends") {
                assert_eq!(failed.code, "ECONNREFUSED");
            }
        }
        timeout(Duration::from_mins(1), tunnel.connect())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(events.outages(), events.reconnects());
        sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(events.outages(), 10);
    until("nothing left", || {
        let stats = tunnel.stats();
        stats.open_channels + stats.opening_channels + stats.waiting == 0
    })
    .await;
}
