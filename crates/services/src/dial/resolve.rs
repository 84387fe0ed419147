//! Names to addresses, by the system's resolver and off the runtime.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{Arc, LazyLock},
};

use tokio::sync::Semaphore;

use crate::blocking::blocking;

/// The system's resolver cannot be interrupted: a look-up that hangs keeps its thread. So many may hang, and
/// there are threads left for other work.
const LOOKUPS_AT_ONCE: usize = 8;

static LOOKUPS: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(LOOKUPS_AT_ONCE)));

/// The addresses of a host, in the system's order of preference. The caller sets the time limit; giving up
/// leaves the look-up to end by itself.
pub(super) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    // Never closed, so there is always a permit in the end.
    let permit = Arc::clone(&LOOKUPS).acquire_owned().await;
    let name = host.to_owned();
    let look_up = move || {
        let _permit = permit;
        (name.as_str(), port)
            .to_socket_addrs()
            .map(Iterator::collect::<Vec<_>>)
    };
    blocking(look_up)
        .await
        .unwrap_or_else(|failure| Err(io::Error::other(failure)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_needs_no_look_up_and_a_name_gets_all_of_its_addresses() {
        let literal = resolve("::1", 5).await.unwrap();
        assert_eq!(literal, ["[::1]:5".parse().unwrap()]);
        let named = resolve("localhost", 5).await.unwrap();
        assert!(named.iter().all(|address| address.ip().is_loopback()));
        assert!(!named.is_empty());
    }

    #[tokio::test]
    async fn a_name_nobody_has_is_an_error() {
        assert!(resolve("no-such-host.invalid", 5).await.is_err());
    }
}
