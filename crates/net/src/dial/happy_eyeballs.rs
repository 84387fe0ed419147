//! Happy eyeballs (RFC 8305): the addresses of a host, tried one after the other.
//!
//! An address that does not answer delays the next one only briefly.

use std::{collections::VecDeque, future::Future, io, net::SocketAddr, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until};

/// The delay before the next address is tried beside one that has not answered.
const STAGGER: Duration = Duration::from_millis(250);

/// The first connection that is made; the others are dropped. Fails as the first address did, when all fail.
pub(super) async fn race<T, F, Fut>(addresses: Vec<SocketAddr>, connect: F) -> io::Result<T>
where
    F: Fn(SocketAddr) -> Fut,
    Fut: Future<Output = io::Result<T>>,
{
    let mut left = interleaved(addresses);
    let mut running = FuturesUnordered::new();
    let mut first_error = None;
    let mut next_at = Instant::now();
    loop {
        if running.is_empty() || Instant::now() >= next_at {
            match left.pop_front() {
                Some(address) => {
                    running.push(connect(address));
                    next_at = Instant::now() + STAGGER;
                }
                None if running.is_empty() => {
                    return Err(first_error.unwrap_or_else(no_address));
                }
                None => {}
            }
        }
        tokio::select! {
            biased;
            Some(outcome) = running.next() => match outcome {
                Ok(connection) => return Ok(connection),
                // The next one need not wait for its turn.
                Err(error) => {
                    first_error.get_or_insert(error);
                    next_at = Instant::now();
                }
            },
            () = sleep_until(next_at), if !left.is_empty() => {}
        }
    }
}

/// The error where there is nothing to try.
pub(super) fn no_address() -> io::Error {
    io::Error::new(
        io::ErrorKind::AddrNotAvailable,
        "the host name has no address",
    )
}

/// The addresses with their families alternating, beginning with the family that the system prefers.
fn interleaved(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let prefers_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == prefers_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = VecDeque::with_capacity(first.len() + second.len());
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return order;
        }
        order.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Mutex};

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_families_take_turns() {
        let order = interleaved(addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]));
        assert_eq!(
            order,
            addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_delays_the_next_by_the_stagger() {
        let began = Instant::now();
        let connect = async |address: SocketAddr| {
            if address.is_ipv6() {
                return pending().await;
            }
            Ok(address)
        };
        let won = race(addresses(&["[::1]:1", "1.1.1.1:1"]), connect).await;
        assert_eq!(won.unwrap(), "1.1.1.1:1".parse().unwrap());
        assert_eq!(began.elapsed(), STAGGER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusing_address_delays_nothing_and_the_first_error_is_returned() {
        let began = Instant::now();
        let attempts = Mutex::new(0);
        let connect = async |address: SocketAddr| {
            *attempts.lock().unwrap() += 1;
            let kind = if address.is_ipv6() {
                io::ErrorKind::ConnectionRefused
            } else {
                io::ErrorKind::NetworkUnreachable
            };
            io::Result::<()>::Err(kind.into())
        };
        let error = race(addresses(&["[::1]:1", "1.1.1.1:1"]), connect).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(
            (*attempts.lock().unwrap(), began.elapsed()),
            (2, Duration::ZERO)
        );
    }

    #[tokio::test]
    async fn no_address_is_an_error_and_no_wait() {
        let error = race(Vec::new(), async |_| io::Result::Ok(())).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
