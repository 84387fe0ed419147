//! Servers that begin no session.

use std::time::{Duration, Instant};

use moorline_core::{
    error::{Delivery, Kind},
    options::PlainValue,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{
    PATIENCE, authentication, echo, error, failure, greeting, message, of, plain_pool, pool_with,
    read_start, send, serve, value,
};

#[tokio::test]
async fn what_speaks_another_protocol_is_refused_and_shown() {
    let table: [(&[u8], &str); 5] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 400"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH"),
        (b"J\0\0\0\x0a5.7.33\0", "5.7.33"),
        (b"R\x80\0\0\0", "R\\x80"),
        (b"R\x40\0\0\0", "R@"),
    ];
    for (said, shown) in table {
        for mode in ["disable", "prefer"] {
            let address = serve(move |_, mut stream| async move {
                send(&mut stream, said).await;
                // Until the client goes.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            })
            .await;
            let pool = pool_with(&format!("{} sslmode={mode}", of(address)), &[], None);
            let failure = failure(&pool).await;
            assert_eq!(failure.kind, Kind::Protocol, "{shown} {failure}");
            assert_eq!(failure.delivery, Delivery::None);
            assert!(failure.message.contains(shown), "{failure}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_silent_takes_no_longer_than_the_limit() {
    for mode in ["disable", "prefer"] {
        let address = serve(|_, mut stream| async move {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let limit = ("connectionTimeoutMillis", PlainValue::Number(300.0));
        let pool = pool_with(&format!("{} sslmode={mode}", of(address)), &[limit], None);
        let began = Instant::now();
        let failure = failure(&pool).await;
        assert!(
            matches!(
                failure.kind,
                Kind::Connect | Kind::Timeout | Kind::PoolTimeout
            ),
            "{failure}"
        );
        assert_eq!(failure.delivery, Delivery::None);
        assert_eq!(failure.detail["limit"], "connectionTimeoutMillis");
        assert!(began.elapsed() >= Duration::from_millis(290) && began.elapsed() < PATIENCE / 4);
    }
}

#[tokio::test]
async fn a_greeting_that_is_cut_anywhere_is_no_session() {
    let whole = greeting(&[("server_version", "15.0")]);
    for cut in 0..=whole.len() {
        let said = whole[..cut].to_vec();
        let address = serve(move |_, mut stream| {
            let said = said.clone();
            async move {
                read_start(&mut stream).await;
                send(&mut stream, &said).await;
                if cut == whole_length() {
                    echo(&mut stream).await;
                }
            }
        })
        .await;
        let pool = plain_pool(address);
        if cut == whole.len() {
            assert_eq!(value(&pool, "yes").await, "yes");
            continue;
        }
        let failure = failure(&pool).await;
        assert_eq!(
            (failure.kind, failure.code.as_ref(), failure.delivery),
            (Kind::Connect, "ECONNRESET", Delivery::None),
            "{cut}"
        );
    }
}

fn whole_length() -> usize {
    greeting(&[("server_version", "15.0")]).len()
}

#[tokio::test]
async fn a_byte_behind_the_answer_about_tls_is_an_attack() {
    for said in [
        &b"SZ"[..],
        b"S\x16\x03\x03\0\x01\0",
        b"NR\0\0\0\x08\0\0\0\0",
    ] {
        for mode in ["prefer", "require", "verify-full"] {
            let address = serve(move |_, mut stream| async move {
                read_start(&mut stream).await;
                send(&mut stream, said).await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            })
            .await;
            let pool = pool_with(&format!("{} sslmode={mode}", of(address)), &[], None);
            let failure = failure(&pool).await;
            assert_eq!(failure.kind, Kind::Protocol, "{mode} {failure}");
            assert!(
                failure.message.starts_with("One byte was expected"),
                "{failure}"
            );
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_used_only_where_tls_is_not_required() {
    let address = serve(|_, mut stream| async move {
        let start = read_start(&mut stream).await;
        if start == 80_877_103_u32.to_be_bytes() {
            send(&mut stream, b"N").await;
            read_start(&mut stream).await;
        }
        send(&mut stream, &greeting(&[])).await;
        echo(&mut stream).await;
    })
    .await;
    for mode in ["disable", "prefer"] {
        let pool = pool_with(&format!("{} sslmode={mode}", of(address)), &[], None);
        assert_eq!(value(&pool, mode).await, mode);
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        let pool = pool_with(&format!("{} sslmode={mode}", of(address)), &[], None);
        let failure = failure(&pool).await;
        assert_eq!(
            (failure.kind, failure.code.as_ref()),
            (Kind::Tls, "ERR_POSTGRES_NO_TLS")
        );
        assert!(failure.message.contains(&format!("'{mode}'")), "{failure}");
    }
}

#[tokio::test]
async fn an_error_in_the_answer_about_tls_is_not_shown() {
    let address = serve(|_, mut stream| async move {
        read_start(&mut stream).await;
        send(&mut stream, &error("FATAL", "53300", "click here")).await;
    })
    .await;
    let pool = pool_with(&format!("{} sslmode=prefer", of(address)), &[], None);
    let failure = failure(&pool).await;
    assert_eq!(failure.kind, Kind::Protocol);
    assert!(!failure.message.contains("click"), "{failure}");
}

#[tokio::test]
async fn what_the_server_refuses_has_the_kind_that_a_caller_acts_on() {
    let table = [
        ("28P01", Kind::Auth, false),
        ("28000", Kind::Auth, false),
        ("3D000", Kind::Rejected, false),
        ("53300", Kind::Overloaded, true),
        ("57P03", Kind::Connect, true),
        ("XX000", Kind::Internal, false),
    ];
    for (code, kind, retryable) in table {
        let address = serve(move |_, mut stream| async move {
            read_start(&mut stream).await;
            send(&mut stream, &error("FATAL", code, "no")).await;
        })
        .await;
        let failure = failure(&plain_pool(address)).await;
        assert_eq!(
            (failure.kind, failure.code.as_ref(), failure.retryable),
            (kind, code, retryable)
        );
        assert_eq!(failure.delivery, Delivery::None);
        assert_eq!(failure.detail["port"], address.port());
        assert_eq!(failure.detail["server"]["severity"], "FATAL");
    }
}

#[tokio::test]
async fn a_message_that_belongs_to_no_beginning_is_refused() {
    for said in [
        &b"Z\0\0\0\x05I"[..],
        b"R\0\0\0\x06\0\0",
        b"R\0\0\0\x08\0\0\0\0R\0\0\0\x08\0\0\0\0D\0\0\0\x04",
        b"E\0\0\0\x05x",
    ] {
        let address = serve(move |_, mut stream| async move {
            read_start(&mut stream).await;
            send(&mut stream, said).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let failure = failure(&plain_pool(address)).await;
        assert_eq!(failure.kind, Kind::Protocol, "{failure}");
    }
}

#[tokio::test]
async fn notices_in_a_greeting_are_passed_over_and_the_rest_of_it_is_kept() {
    let address = serve(|_, mut stream| async move {
        read_start(&mut stream).await;
        let notice = message(b'N', b"Mbe nice\0\0");
        let said = [notice.clone(), greeting(&[]), notice].concat();
        send(&mut stream, &said).await;
        echo(&mut stream).await;
    })
    .await;
    assert_eq!(value(&plain_pool(address), "fine").await, "fine");
}

#[tokio::test]
async fn methods_that_are_not_spoken_are_named() {
    for (kind, name) in [(2, "Kerberos"), (7, "GSSAPI"), (9, "SSPI"), (99, "unknown")] {
        let address = serve(move |_, mut stream| async move {
            read_start(&mut stream).await;
            send(&mut stream, &authentication(kind, b"")).await;
            let _ = stream.shutdown().await;
        })
        .await;
        let failure = failure(&plain_pool(address)).await;
        assert_eq!(failure.code, "ERR_POSTGRES_AUTH_METHOD");
        assert!(failure.message.contains(name), "{failure}");
    }
}

#[tokio::test]
async fn the_start_says_who_comes_and_how() {
    let address = serve(|_, mut stream| async move {
        let start = read_start(&mut stream).await;
        send(&mut stream, &greeting(&[])).await;
        let shown = String::from_utf8_lossy(&start[4..]).replace('\0', " ");
        let _ = crate::server::read_message(&mut stream).await;
        send(&mut stream, &crate::server::one_row(shown.trim()).concat()).await;
        echo(&mut stream).await;
    })
    .await;
    let string = format!("{} sslmode=disable options='-c a=b'", of(address));
    let start = value(&pool_with(&string, &[], None), "SELECT 1").await;
    assert_eq!(
        start,
        "user me database app application_name moorline options -c a=b client_encoding UTF8 DateStyle ISO"
    );
}
