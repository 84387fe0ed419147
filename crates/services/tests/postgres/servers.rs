//! Several servers, and which of them is wanted.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use moorline_core::error::{Delivery, Kind};
use moorline_services::postgres::service::{CallLimits, PostgresPool};
use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::server::{
    begin, error, failure, one_row, parameter, pool_with, query, read_message, read_start, send,
    serve, value,
};

/// A pool over these servers.
fn pool(addresses: &[SocketAddr], rest: &str) -> PostgresPool {
    let ports: Vec<_> = addresses
        .iter()
        .map(|address| address.port().to_string())
        .collect();
    let hosts = vec!["127.0.0.1"; addresses.len()].join(",");
    let string = format!(
        "host={hosts} port={} user=me sslmode=disable {rest}",
        ports.join(",")
    );
    pool_with(&string, &[], None)
}

async fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// A server that answers every statement by its name, and tells these parameters.
async fn named(
    name: &'static str,
    parameters: &'static [(&'static str, &'static str)],
) -> SocketAddr {
    serve(move |_, mut stream| async move {
        begin(&mut stream, parameters).await;
        while read_message(&mut stream).await.is_some() {
            send(&mut stream, &one_row(name).concat()).await;
        }
    })
    .await
}

const PRIMARY: &[(&str, &str)] = &[
    ("in_hot_standby", "off"),
    ("default_transaction_read_only", "off"),
];
const STANDBY: &[(&str, &str)] = &[
    ("in_hot_standby", "on"),
    ("default_transaction_read_only", "off"),
];

#[tokio::test]
async fn servers_are_tried_in_their_order_until_one_lets_us_in() {
    let starting = serve(|_, mut stream| async move {
        read_start(&mut stream).await;
        send(&mut stream, &error("FATAL", "57P03", "starting up")).await;
    })
    .await;
    let up = named("up", &[]).await;
    let pool = pool(&[closed().await, starting, up, closed().await], "");
    assert_eq!(value(&pool, "SELECT 1").await, "up");
}

#[tokio::test]
async fn what_came_of_each_server_is_told_together() {
    let full = serve(|_, mut stream| async move {
        read_start(&mut stream).await;
        send(&mut stream, &error("FATAL", "53300", "too many clients")).await;
    })
    .await;
    let gone = closed().await;
    let told = failure(&pool(&[full, gone], "")).await;
    assert_eq!(
        (told.kind, told.code.as_ref(), told.delivery),
        (Kind::Overloaded, "53300", Delivery::None)
    );
    assert!(told.message.contains("too many clients") && told.message.contains("ECONNREFUSED"));
    let servers = told.detail["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 2);
    assert_eq!(servers[0]["code"], "53300");
    assert_eq!(servers[1]["port"], gone.port());
    assert_eq!(servers[1]["kind"], "connect");
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_at_the_next_server() {
    let refusing = serve(|_, mut stream| async move {
        read_start(&mut stream).await;
        send(&mut stream, &error("FATAL", "28P01", "no")).await;
    })
    .await;
    let up = named("up", &[]).await;
    let refused = failure(&pool(&[refusing, up], "")).await;
    assert_eq!((refused.kind, refused.code.as_ref()), (Kind::Auth, "28P01"));
}

#[tokio::test]
async fn a_silent_server_leaves_time_for_the_next_one() {
    let silent = serve(|_, mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let up = named("up", &[]).await;
    let pool = pool(&[silent, up], "");
    assert_eq!(value(&pool, "SELECT 1").await, "up");
}

#[tokio::test]
async fn the_server_that_is_wanted_is_found_by_what_it_tells() {
    let (primary, standby) = (
        named("primary", PRIMARY).await,
        named("standby", STANDBY).await,
    );
    for (target, first, found) in [
        ("any", standby, "standby"),
        ("read-write", standby, "primary"),
        ("read-only", primary, "standby"),
        ("primary", standby, "primary"),
        ("standby", primary, "standby"),
        ("prefer-standby", primary, "standby"),
    ] {
        let second = if first == primary { standby } else { primary };
        let pool = pool(&[first, second], &format!("target_session_attrs={target}"));
        assert_eq!(value(&pool, "SELECT 1").await, found, "{target}");
    }
    let only = pool(&[primary], "target_session_attrs=prefer-standby");
    assert_eq!(value(&only, "SELECT 1").await, "primary");
    let none = failure(&pool(&[standby], "target_session_attrs=read-write")).await;
    assert_eq!(
        (none.kind, none.code.as_ref(), none.retryable),
        (Kind::Connect, "ERR_POSTGRES_SESSION_TARGET", true)
    );
}

#[tokio::test]
async fn a_server_that_tells_nothing_is_asked() {
    let old = |is_standby: bool| {
        serve(move |_, mut stream| async move {
            begin(&mut stream, &[]).await;
            while let Some((_, body)) = read_message(&mut stream).await {
                let text = String::from_utf8_lossy(&body).into_owned();
                let answer = match text.trim_end_matches('\0') {
                    "SHOW transaction_read_only" if is_standby => "on",
                    "SHOW transaction_read_only" => "off",
                    "SELECT pg_catalog.pg_is_in_recovery()" if is_standby => "t",
                    "SELECT pg_catalog.pg_is_in_recovery()" => "f",
                    _ if is_standby => "standby",
                    _ => "primary",
                };
                send(&mut stream, &one_row(answer).concat()).await;
            }
        })
    };
    let (primary, standby) = (old(false).await, old(true).await);
    for (target, found) in [
        ("read-write", "primary"),
        ("read-only", "standby"),
        ("primary", "primary"),
        ("standby", "standby"),
        ("prefer-standby", "standby"),
    ] {
        for servers in [[primary, standby], [standby, primary]] {
            let pool = pool(&servers, &format!("target_session_attrs={target}"));
            assert_eq!(value(&pool, "SELECT 1").await, found, "{target}");
        }
    }
}

#[tokio::test]
async fn a_connection_whose_server_has_changed_is_replaced() {
    // The first server becomes a standby, and refuses to write.
    let is_demoted = Arc::new(AtomicBool::new(false));
    let demoted = Arc::clone(&is_demoted);
    let first = serve(move |_, mut stream| {
        let demoted = Arc::clone(&demoted);
        async move {
            let told = if demoted.load(Ordering::SeqCst) {
                STANDBY
            } else {
                PRIMARY
            };
            begin(&mut stream, told).await;
            while read_message(&mut stream).await.is_some() {
                let answer = if demoted.swap(true, Ordering::SeqCst) {
                    [
                        error("ERROR", "25006", "read-only"),
                        crate::server::READY.to_vec(),
                    ]
                    .concat()
                } else {
                    one_row("first").concat()
                };
                send(&mut stream, &answer).await;
            }
        }
    })
    .await;
    let second = named("second", PRIMARY).await;
    let pool = pool(&[first, second], "target_session_attrs=read-write");
    assert_eq!(value(&pool, "SELECT 1").await, "first");
    let refused = query(&pool, None, "INSERT").await.unwrap_err();
    assert_eq!(refused.code, "25006");
    assert_eq!(value(&pool, "SELECT 1").await, "second");
}

#[tokio::test]
async fn a_standby_that_tells_of_its_promotion_is_no_standby_any_more() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let promoted = serve(move |number, mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            let told = if number == 0 { STANDBY } else { PRIMARY };
            begin(&mut stream, told).await;
            while read_message(&mut stream).await.is_some() {
                let promotion = parameter("in_hot_standby", "off");
                send(
                    &mut stream,
                    &[promotion, one_row("promoted").concat()].concat(),
                )
                .await;
            }
        }
    })
    .await;
    let standby = named("standby", STANDBY).await;
    let pool = pool(&[promoted, standby], "target_session_attrs=standby");
    assert_eq!(value(&pool, "SELECT 1").await, "promoted");
    assert_eq!(value(&pool, "SELECT 1").await, "standby");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn servers_are_shuffled_where_that_is_wanted() {
    let (one, two) = (named("one", &[]).await, named("two", &[]).await);
    let pool = pool(&[one, two], "load_balance_hosts=random");
    let mut found = [0, 0];
    // By chance all 64 are the same once in 2^63 runs.
    for _ in 0..64 {
        let lease = pool.acquire(None, CallLimits::default()).await.unwrap();
        let results = query(&pool, Some(lease), "SELECT 1").await.unwrap();
        found[usize::from(results[0].json.contains("\"two\""))] += 1;
        pool.release(lease, false);
    }
    assert!(found[0] > 0 && found[1] > 0, "{found:?}");
}
