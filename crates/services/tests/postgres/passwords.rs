//! Passwords: how they are proved, where they come from, and to whom they are not shown.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use moorline_core::{
    error::{Failure, Kind},
    options::PlainValue,
    secret::Secret,
};
use moorline_services::postgres::password::{PasswordFuture, PasswordRequest, PasswordSource};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::server::{
    authentication, echo, error, failure, greeting, of, plain_pool, pool_with, query, read_message,
    read_start, send, serve, value,
};

const MECHANISMS: &[u8] = b"SCRAM-SHA-256\0\0";

/// Begins SCRAM: the client's nonce.
async fn begin_scram(stream: &mut TcpStream) -> String {
    read_start(stream).await;
    send(stream, &authentication(10, MECHANISMS)).await;
    let (_, first) = read_message(stream).await.unwrap();
    let first = String::from_utf8_lossy(&first).into_owned();
    first.split_once(",r=").unwrap().1.to_owned()
}

async fn challenge(stream: &mut TcpStream, nonce: &str, iterations: u32) {
    let salt = BASE64_STANDARD.encode(b"salt");
    let challenge = format!("r={nonce},s={salt},i={iterations}");
    send(stream, &authentication(11, challenge.as_bytes())).await;
}

#[tokio::test]
async fn a_server_that_costs_too_much_or_knows_no_password_is_refused() {
    let scripts = [
        "iterations",
        "nonce",
        "proof",
        "no proof",
        "refusal",
        "mechanism",
    ];
    for script in scripts {
        let address = serve(move |_, mut stream| async move {
            if script == "mechanism" {
                read_start(&mut stream).await;
                send(&mut stream, &authentication(10, b"OTHER\0\0")).await;
                return;
            }
            let nonce = begin_scram(&mut stream).await;
            match script {
                "iterations" => challenge(&mut stream, &format!("{nonce}x"), 100_001).await,
                "nonce" => challenge(&mut stream, "another", 4096).await,
                _ => challenge(&mut stream, &format!("{nonce}x"), 1).await,
            }
            if matches!(script, "iterations" | "nonce") {
                let _ = stream.read_to_end(&mut Vec::new()).await;
                return;
            }
            read_message(&mut stream).await;
            let last = match script {
                "proof" => {
                    let proof = format!("v={}", BASE64_STANDARD.encode([7; 32]));
                    authentication(12, proof.as_bytes())
                }
                "refusal" => authentication(12, b"e=other-error"),
                _ => greeting(&[]),
            };
            send(&mut stream, &last).await;
            send(&mut stream, &greeting(&[])).await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let failure = failure(&plain_pool(address)).await;
        let code = match script {
            "no proof" => "ERR_POSTGRES_PROTOCOL",
            "mechanism" => "ERR_POSTGRES_AUTH_METHOD",
            _ => "ERR_POSTGRES_SCRAM",
        };
        assert_eq!(failure.code, code, "{script}: {failure}");
        assert!(!format!("{failure:?}").contains("hunter2"));
    }
}

/// A server that wants a password by this method: what it is given.
async fn ask_plainly(stream: &mut TcpStream, kind: i32) -> Option<Vec<u8>> {
    read_start(stream).await;
    let salt: &[u8] = if kind == 5 { b"salt" } else { b"" };
    send(stream, &authentication(kind, salt)).await;
    let (tag, body) = read_message(stream).await?;
    assert_eq!(tag, b'p');
    Some(body)
}

#[tokio::test]
async fn a_password_is_shown_to_no_listener_unless_it_is_allowed() {
    for kind in [3, 5] {
        let address = serve(move |_, mut stream| async move {
            let given = ask_plainly(&mut stream, kind).await;
            let Some(given) = given else {
                return;
            };
            send(&mut stream, &greeting(&[])).await;
            read_message(&mut stream).await;
            let given = String::from_utf8_lossy(&given).into_owned();
            let shown = crate::server::one_row(given.trim_end_matches('\0')).concat();
            send(&mut stream, &shown).await;
            echo(&mut stream).await;
        })
        .await;
        let refused = failure(&plain_pool(address)).await;
        assert_eq!(
            (refused.kind, refused.code.as_ref()),
            (Kind::Auth, "ERR_POSTGRES_PLAIN_PASSWORD")
        );
        let allowed = ("allowPlainPassword", PlainValue::Bool(true));
        let string = format!("{} sslmode=disable", of(address));
        let given = value(&pool_with(&string, &[allowed], None), "SELECT 1").await;
        let expected = match kind {
            3 => "hunter2",
            // By `md5sum`.
            _ => "md52b40b468eda3dd2321db960917bd3cba",
        };
        assert_eq!(given, expected);
    }
}

#[tokio::test]
async fn a_login_that_has_to_be_bound_to_tls_is_not_done_without() {
    for kind in [0, 3, 5, 10] {
        let address = serve(move |_, mut stream| async move {
            read_start(&mut stream).await;
            let data: &[u8] = match kind {
                5 => b"salt",
                10 => MECHANISMS,
                _ => b"",
            };
            send(&mut stream, &authentication(kind, data)).await;
            assert!(read_message(&mut stream).await.is_none());
        })
        .await;
        let string = format!("{} sslmode=disable channel_binding=require", of(address));
        let failure = failure(&pool_with(&string, &[], None)).await;
        assert_eq!(failure.code, "ERR_POSTGRES_CHANNEL_BINDING", "{kind}");
    }
}

/// Gives the passwords of a list, then fails.
#[derive(Default)]
struct Rotating {
    asked: Mutex<Vec<PasswordRequest>>,
}

impl PasswordSource for Rotating {
    fn password<'a>(&'a self, request: &'a PasswordRequest) -> PasswordFuture<'a> {
        Box::pin(async {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request.clone());
            match asked.len() {
                3 => Err(Failure::new(
                    Kind::Connect,
                    "the function password has failed",
                )),
                number => Ok(Secret::new(format!("password {number}"))),
            }
        })
    }
}

#[tokio::test]
async fn a_function_is_asked_for_the_password_of_each_connection() {
    let address = serve(|_, mut stream| async move {
        let Some(given) = ask_plainly(&mut stream, 3).await else {
            return;
        };
        send(&mut stream, &greeting(&[])).await;
        read_message(&mut stream).await;
        let given = String::from_utf8_lossy(&given).into_owned();
        let shown = crate::server::one_row(given.trim_end_matches('\0')).concat();
        send(&mut stream, &shown).await;
    })
    .await;
    let source = Arc::new(Rotating::default());
    let options = [
        ("password", PlainValue::Other("a function")),
        ("allowPlainPassword", PlainValue::Bool(true)),
    ];
    let string = format!("{} sslmode=disable", of(address));
    let passwords = Arc::clone(&source) as Arc<dyn PasswordSource>;
    let pool = pool_with(&string, &options, Some(&passwords));
    for number in [1, 2] {
        assert_eq!(value(&pool, "SELECT 1").await, format!("password {number}"));
        // The server has gone, and the pool hears of it.
        let gone = async {
            while pool.stats().available > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::server::PATIENCE, gone)
            .await
            .unwrap();
    }
    let refused = failure(&pool).await;
    assert_eq!(refused.message, "the function password has failed");
    let asked = source.asked.lock().unwrap();
    let expected = PasswordRequest {
        host: "127.0.0.1".to_owned(),
        port: address.port(),
        database: "app".to_owned(),
        user: "me".to_owned(),
    };
    assert_eq!(*asked, [expected.clone(), expected.clone(), expected]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_password_file_is_read_for_each_connection_unless_others_can_read_it() {
    use std::os::unix::fs::PermissionsExt;

    let address = serve(|_, mut stream| async move {
        if let Some(given) = ask_plainly(&mut stream, 3).await {
            let given = String::from_utf8_lossy(&given).into_owned();
            let given = given.trim_end_matches('\0').to_owned();
            send(&mut stream, &error("FATAL", "28P01", &given)).await;
        }
    })
    .await;
    let file = std::env::temp_dir().join(format!("moorline-pgpass-{}", std::process::id()));
    let write = |text: &str, mode| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    };
    let string = format!(
        "host=127.0.0.1 port={} user=me dbname=app sslmode=disable passfile={}",
        address.port(),
        file.display()
    );
    let options = [("allowPlainPassword", PlainValue::Bool(true))];
    let pool = pool_with(&string, &options, None);
    let message = || async { query(&pool, None, "").await.unwrap_err().message.clone() };

    write("127.0.0.1:*:app:me:first\n", 0o600);
    assert_eq!(message().await, "first");
    write("127.0.0.1:*:app:me:second\n", 0o600);
    assert_eq!(message().await, "second");
    write("127.0.0.1:*:app:you:third\n", 0o600);
    assert!(message().await.contains("has none for 127.0.0.1"));
    write("127.0.0.1:*:app:me:hunter2\n", 0o640);
    let ignored = message().await;
    assert!(
        ignored.contains("others may read it") && !ignored.contains("hunter2"),
        "{ignored}"
    );
    fs::remove_file(&file).unwrap();
    assert_eq!(
        message().await,
        "The server wants a password, and none was given"
    );
}
